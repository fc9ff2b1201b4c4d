//! Pods get what their runtime class costs, and go where there is one.

use apimachinery::{ObjectKey, Status};
use async_trait::async_trait;
use client::{Api, Informer};
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use k8s_openapi::api::node::v1::{RuntimeClass, Scheduling};
use registry::admit::{Attributes, Operation};
use resources::quantity::Amounts;

use crate::ask;
use crate::chain::{Context, Plugin};

pub(crate) struct RuntimeClassPlugin {
    classes: Informer<RuntimeClass>,
    api: Api<RuntimeClass>,
}

impl RuntimeClassPlugin {
    pub(crate) fn new(context: &Context) -> Self {
        RuntimeClassPlugin {
            classes: Informer::all(&*context.transport),
            api: Api::new(context.transport.clone()),
        }
    }

    /// The pod's class, when it names one. The view may be behind: ask.
    async fn class(&self, a: &Attributes<'_>) -> Result<Option<RuntimeClass>, Status> {
        let spec = ask::object::<Pod>(a).and_then(|p| p.spec.as_ref());
        let Some(name) = spec.and_then(|s| s.runtime_class_name.as_deref()) else { return Ok(None) };
        let key = ObjectKey::cluster(name);
        let found = match self.classes.get(&key) {
            Some(class) => Some(class),
            None => self.api.find(&key).await?,
        };
        match found {
            Some(class) => Ok(Some(class)),
            None => Err(rejected(a, &format!("RuntimeClass {name:?} not found"))),
        }
    }
}

fn rejected(a: &Attributes<'_>, why: &str) -> Status {
    ask::forbidden(a, format!("pod rejected: {why}"))
}

#[async_trait]
impl Plugin for RuntimeClassPlugin {
    async fn mutate(&self, a: &mut Attributes<'_>) -> Result<(), Status> {
        if !ask::is_main::<Pod>(a) || a.operation != Operation::Create {
            return Ok(());
        }
        let Some(class) = self.class(a).await? else { return Ok(()) };
        let Some(spec) = ask::object_mut::<Pod>(a).and_then(|p| p.spec.as_mut()) else { return Ok(()) };
        let done = charge(spec, &class).and_then(|()| match &class.scheduling {
            Some(scheduling) => place(spec, scheduling),
            None => Ok(()),
        });
        done.map_err(|why| rejected(a, &why))
    }

    async fn validate(&self, a: &Attributes<'_>) -> Result<(), Status> {
        if !ask::is_main::<Pod>(a) || a.operation != Operation::Create {
            return Ok(());
        }
        let overhead = ask::object::<Pod>(a).and_then(|p| p.spec.as_ref()?.overhead.as_ref());
        if overhead.is_none_or(|o| o.is_empty()) {
            return Ok(());
        }
        let class = self.class(a).await?;
        match class.and_then(|c| c.overhead) {
            Some(_) => Ok(()),
            None => Err(rejected(a, "Pod Overhead set without corresponding RuntimeClass defined Overhead")),
        }
    }
}

fn charge(spec: &mut PodSpec, class: &RuntimeClass) -> Result<(), String> {
    let Some(fixed) = class.overhead.as_ref().and_then(|o| o.pod_fixed.as_ref()) else { return Ok(()) };
    let own = Amounts::of(spec.overhead.as_ref());
    if !own.is_empty() && own != Amounts::of(Some(fixed)) {
        return Err("Pod's Overhead doesn't match RuntimeClass's defined Overhead".into());
    }
    spec.overhead = Some(fixed.clone());
    Ok(())
}

fn place(spec: &mut PodSpec, scheduling: &Scheduling) -> Result<(), String> {
    for (key, value) in scheduling.node_selector.iter().flatten() {
        let selector = spec.node_selector.get_or_insert_default();
        match selector.get(key) {
            Some(own) if own != value => {
                return Err(format!(
                    "conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; pod.spec.nodeSelector[{key}] = {own}"
                ));
            }
            _ => selector.insert(key.clone(), value.clone()),
        };
    }
    for toleration in scheduling.tolerations.iter().flatten() {
        let own = spec.tolerations.get_or_insert_default();
        if !own.contains(toleration) {
            own.push(toleration.clone());
        }
    }
    Ok(())
}
