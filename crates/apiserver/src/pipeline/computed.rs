//! Kinds that are made when they are asked for: read, never written, never stored. [`all`] lists them.
//!
//! Another server may take a group over: what decides that belongs in front of [`answer`] and beside [`Computed::resource`]
//! in discovery.

use apimachinery::{ObjectKey, Selector, Status};
use async_trait::async_trait;
use bytes::Bytes;
use codec::AnyObject;
use resources::Resource;

use super::call::{Answer, Call, Outcome, Verb};
use super::dispatch::method_not_allowed;
use crate::api::Api;

mod component_status;
mod usage;

/// One such kind.
pub struct Computed {
    /// Its row: names, verbs, columns.
    pub resource: Resource,
    maker: Box<dyn Maker>,
}

/// What is asked for.
pub struct Asked<'a> {
    /// Empty: all.
    pub namespace: &'a str,
    /// Empty: all.
    pub name: &'a str,
    pub labels: &'a Selector,
}

/// Makes the objects.
#[async_trait]
trait Maker: Send + Sync {
    async fn make(&self, api: &Api, asked: &Asked<'_>) -> Result<Vec<Box<dyn AnyObject>>, Status>;

    fn warning(&self) -> Option<&'static str> {
        None
    }
}

/// All of them.
pub fn all() -> Vec<Computed> {
    let usage = usage::Usage::new();
    let mut all = vec![Computed {
        resource: resources::core::component_status::computed(),
        maker: Box::new(component_status::ComponentStatuses),
    }];
    for resource in resources::metrics::computed() {
        let maker: Box<dyn Maker> = match resource.namespaced() {
            true => Box::new(usage::Pods(usage.clone())),
            false => Box::new(usage::Nodes(usage.clone())),
        };
        all.push(Computed { resource, maker });
    }
    all
}

/// Whether the group and version have any.
pub fn serves_version(all: &[Computed], group: &str, version: &str) -> bool {
    all.iter().any(|c| *c.resource.gvr.group == *group && *c.resource.gvr.version == *version)
}

/// The answer, when the call is for one of these.
pub async fn answer(api: &Api, call: &Call) -> Option<Result<Outcome, Status>> {
    let path = &call.path;
    let is_for = |c: &&Computed| {
        let gvr = &c.resource.gvr;
        (&*gvr.group, &*gvr.version, &*gvr.resource) == (&*path.group, &*path.version, &*path.resource)
    };
    let found = api.computed.iter().find(is_for).filter(|_| path.subresource.is_empty())?;
    Some(run(found, api, call).await)
}

async fn run(found: &Computed, api: &Api, call: &Call) -> Result<Outcome, Status> {
    let resource = &found.resource;
    if !matches!(call.verb, Verb::Get | Verb::List) {
        return Err(method_not_allowed());
    }
    let labels = Selector::parse(&call.params.label_selector).map_err(Status::bad_request)?;
    let asked = Asked { namespace: &call.path.namespace, name: &call.path.name, labels: &labels };
    let made = found.maker.make(api, &asked).await?;
    let mut outcome = match call.verb {
        Verb::Get => {
            let Some(object) = made.into_iter().next() else {
                let key = ObjectKey::new(&call.path.namespace, &call.path.name);
                return Err(Status::not_found(&resource.gvr.group_resource(), &key.name));
            };
            Outcome::object(200, resource, object.encode().into())
        }
        _ => {
            let items: Vec<Bytes> = made.iter().map(|object| object.encode().into()).collect();
            Answer::Made { resource: resource.clone(), items }.into()
        }
    };
    outcome.warnings.extend(found.maker.warning().map(str::to_owned));
    Ok(outcome)
}
