//! One request to the API and its answer, as values: what the HTTP front and in-process components share.

use apimachinery::Status;
use auth::UserInfo;
use bytes::Bytes;
use client::transport::PatchType;
use codec::decode::Content;
use registry::{Listing, WatchStream};
use resources::Resource;

use super::params::Params;
use super::path::ResourcePath;

/// What to do with a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

impl Verb {
    /// As authorization, audit and metrics name it.
    pub fn name(self) -> &'static str {
        match self {
            Verb::Get => "get",
            Verb::List => "list",
            Verb::Watch => "watch",
            Verb::Create => "create",
            Verb::Update => "update",
            Verb::Patch => "patch",
            Verb::Delete => "delete",
            Verb::DeleteCollection => "deletecollection",
        }
    }
}

/// A request's body, and what it is.
#[derive(Clone, Debug)]
pub struct Payload {
    pub bytes: Bytes,
    pub content: Content,
    /// Of a patch.
    pub patch: Option<PatchType>,
}

impl Payload {
    /// A body in JSON.
    pub fn json(bytes: Bytes) -> Self {
        Payload { bytes, content: Content::Json, patch: None }
    }
}

/// One request about a resource.
#[derive(Clone, Debug)]
pub struct Call {
    pub user: UserInfo,
    pub verb: Verb,
    pub path: ResourcePath,
    pub params: Params,
    pub payload: Payload,
    /// Names the manager when `fieldManager` does not; the HTTP front derives it from the User-Agent.
    pub default_manager: String,
}

/// What comes back.
pub enum Answer {
    Object {
        code: u16,
        object: Shown,
    },
    List {
        resource: Resource,
        listing: Listing,
    },
    /// A list of objects that are kept nowhere, each as JSON.
    Made {
        resource: Resource,
        items: Vec<Bytes>,
    },
    Watch {
        resource: Resource,
        stream: WatchStream,
    },
    /// Success with nothing to show.
    Status(Status),
}

/// Stored JSON as the resource's version shows it.
pub fn in_version(resource: &Resource, stored: &Bytes) -> Result<Bytes, Status> {
    match resource.shown(stored) {
        None => Ok(stored.clone()),
        Some(shown) => shown.map(Bytes::from).map_err(Status::internal),
    }
}

/// One object to show.
pub struct Shown {
    /// The resource whose columns show it; `None` for kinds that are never stored (Scale, reviews, …).
    pub resource: Option<Resource>,
    /// As it is stored.
    pub json: Bytes,
}

impl Shown {
    /// As clients see it.
    pub fn in_own_version(&self) -> Result<Bytes, Status> {
        match &self.resource {
            Some(resource) => in_version(resource, &self.json),
            None => Ok(self.json.clone()),
        }
    }
}

/// An answer and its `Warning` texts.
pub struct Outcome {
    pub answer: Answer,
    pub warnings: Vec<String>,
}

impl Outcome {
    pub fn object(code: u16, resource: &Resource, json: Bytes) -> Self {
        Answer::Object { code, object: Shown { resource: Some(resource.clone()), json } }.into()
    }
}

impl From<Answer> for Outcome {
    fn from(answer: Answer) -> Self {
        Outcome { answer, warnings: Vec::new() }
    }
}
