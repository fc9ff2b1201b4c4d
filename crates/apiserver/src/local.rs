//! The API without a wire: [`Local`] is the Transport of components in this process, each with its own identity;
//! [`Loopback`] is the server's own, which nobody has to allow.

use std::sync::Arc;

use apimachinery::{Gvr, Status};
use async_trait::async_trait;
use auth::UserInfo;
use bytes::Bytes;
use client::transport::{self, Options, Request, Transport, View, ViewScope, WatchEvent};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use registry::Registry;
use serde_json::json;

use crate::api::Api;
use crate::http::present::{bookmark, list_json, made_json};
use crate::pipeline::call::{Answer, Call, Outcome, Payload, Verb, in_version};
use crate::pipeline::dispatch::Backend;
use crate::pipeline::params::Params;
use crate::pipeline::path::ResourcePath;
use crate::pipeline::{self, authorize, dispatch};

pub(crate) mod gates;
mod view;

use view::CacheView;

/// The API as one component sees it.
pub struct Local {
    api: Arc<Api>,
    user: UserInfo,
}

impl Local {
    pub fn new(api: Arc<Api>, user: UserInfo) -> Self {
        Local { api, user: user.authenticated() }
    }
}

#[async_trait]
impl Transport for Local {
    async fn send(&self, request: Request) -> Result<Bytes, Status> {
        let call = call(&self.user, request);
        body(pipeline::handle(&self.api, &call).await?)
    }

    async fn watch(
        &self,
        gvr: &Gvr,
        namespace: &str,
        options: &Options,
    ) -> Result<BoxStream<'static, WatchEvent>, Status> {
        let call = watch_call(&self.user, gvr, namespace, options);
        events(pipeline::handle(&self.api, &call).await?)
    }

    fn reflect(&self, gvr: &Gvr, scope: &ViewScope) -> Arc<dyn View> {
        let questions = ["list", "watch"].map(|verb| {
            let path = ResourcePath { namespace: scope.namespace.clone(), ..resource_path(gvr) };
            authorize::resource_attributes(&self.user, verb, &path, &scope.field_selector)
        });
        let view = CacheView::new(&self.api.registry, gvr, scope, questions.into());
        self.api.gates.add(view.gate(), self.api.authorizer.clone(), &self.api.tasks);
        Arc::new(view)
    }
}

/// The server's own way to its API: no authorization, and no virtual kinds.
pub struct Loopback {
    registry: Arc<Registry>,
    user: UserInfo,
}

impl Loopback {
    /// Acts as `system:apiserver` in `system:masters`.
    pub fn new(registry: Arc<Registry>) -> Self {
        Loopback {
            registry,
            user: UserInfo::new("system:apiserver", &["system:masters", "system:authenticated"]),
        }
    }

    fn backend(&self) -> Backend<'_> {
        Backend { registry: &self.registry, authorizer: None }
    }
}

#[async_trait]
impl Transport for Loopback {
    async fn send(&self, request: Request) -> Result<Bytes, Status> {
        let call = call(&self.user, request);
        body(dispatch::dispatch(self.backend(), &call).await?)
    }

    async fn watch(
        &self,
        gvr: &Gvr,
        namespace: &str,
        options: &Options,
    ) -> Result<BoxStream<'static, WatchEvent>, Status> {
        let call = watch_call(&self.user, gvr, namespace, options);
        events(dispatch::dispatch(self.backend(), &call).await?)
    }

    fn reflect(&self, gvr: &Gvr, scope: &ViewScope) -> Arc<dyn View> {
        Arc::new(CacheView::new(&self.registry, gvr, scope, Vec::new()))
    }
}

fn resource_path(gvr: &Gvr) -> ResourcePath {
    ResourcePath {
        group: gvr.group.to_string(),
        version: gvr.version.to_string(),
        resource: gvr.resource.to_string(),
        ..ResourcePath::default()
    }
}

fn call(user: &UserInfo, request: Request) -> Call {
    let verb = match request.verb {
        transport::Verb::Get => Verb::Get,
        transport::Verb::List => Verb::List,
        transport::Verb::Create => Verb::Create,
        transport::Verb::Update => Verb::Update,
        transport::Verb::Patch => Verb::Patch,
        transport::Verb::Delete => Verb::Delete,
        transport::Verb::DeleteCollection => Verb::DeleteCollection,
    };
    // A namespace is in itself, as in a URL path.
    let own = &*request.gvr.resource == "namespaces" && request.gvr.group.is_empty();
    let namespace = if own { request.name.clone() } else { request.namespace };
    Call {
        user: user.clone(),
        verb,
        path: ResourcePath {
            namespace,
            name: request.name,
            subresource: request.subresource,
            ..resource_path(&request.gvr)
        },
        payload: Payload { patch: request.options.patch_type, ..Payload::json(request.body) },
        params: params(&request.options),
        default_manager: manager(user),
    }
}

fn watch_call(user: &UserInfo, gvr: &Gvr, namespace: &str, options: &Options) -> Call {
    Call {
        user: user.clone(),
        verb: Verb::Watch,
        path: ResourcePath { namespace: namespace.to_owned(), ..resource_path(gvr) },
        payload: Payload::json(Bytes::new()),
        params: Params { allow_watch_bookmarks: true, ..params(options) },
        default_manager: String::new(),
    }
}

fn params(options: &Options) -> Params {
    Params {
        label_selector: options.label_selector.clone(),
        field_selector: options.field_selector.clone(),
        resource_version: options.resource_version.clone(),
        resource_version_match: options.resource_version_match.clone(),
        limit: options.limit,
        continue_token: options.continue_token.clone(),
        dry_run: if options.dry_run { vec!["All".into()] } else { Vec::new() },
        field_manager: options.field_manager.clone(),
        force: options.force.then_some(true),
        ..Params::default()
    }
}

/// What a component writes as: the last part of its user's name.
fn manager(user: &UserInfo) -> String {
    user.name.rsplit(':').next().unwrap_or_default().to_owned()
}

fn body(outcome: Outcome) -> Result<Bytes, Status> {
    match outcome.answer {
        Answer::Object { object, .. } => object.in_own_version(),
        Answer::List { resource, listing } => list_json(&resource, &listing),
        Answer::Made { resource, items } => Ok(made_json(&resource, &items)),
        Answer::Status(status) if status.status == "Failure" => Err(status),
        Answer::Status(status) => Ok(json!(status).to_string().into()),
        Answer::Watch { .. } => Err(Status::internal("a watch has no body")),
    }
}

fn events(outcome: Outcome) -> Result<BoxStream<'static, WatchEvent>, Status> {
    let Answer::Watch { resource, stream } = outcome.answer else {
        return Err(Status::internal("this is no watch"));
    };
    let event = move |item| match item {
        registry::WatchItem::Event(event) => {
            let json = match in_version(&resource, event.object.json()) {
                Ok(json) => json,
                Err(status) => return WatchEvent::Error(status),
            };
            match event.kind {
                cache::EventKind::Added => WatchEvent::Added(json),
                cache::EventKind::Modified => WatchEvent::Modified(json),
                cache::EventKind::Deleted => WatchEvent::Deleted(json),
            }
        }
        registry::WatchItem::Bookmark { revision, initial_events_end } => {
            WatchEvent::Bookmark(bookmark(&resource, revision, initial_events_end))
        }
        registry::WatchItem::Error(status) => WatchEvent::Error(status),
    };
    Ok(stream.map(event).boxed())
}
