//! Pods get the number that their priority class stands for.

use std::sync::Arc;

use apimachinery::{ObjectKey, Status};
use async_trait::async_trait;
use client::transport::Transport;
use client::{Api, Informer};
use codec::Kind;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use registry::admit::{Attributes, Operation};

use crate::ask;
use crate::chain::{Context, Plugin};

/// In the JSON of a class that is the default.
const MARK: &[u8] = b"\"globalDefault\":true";
const PREEMPT: &str = "PreemptLowerPriority";

/// The classes that every cluster has, for whoever creates them at start.
pub fn system_classes() -> [PriorityClass; 2] {
    let class = |name: &str, value: i32, description: &str| PriorityClass {
        metadata: ObjectMeta { name: Some(name.into()), ..ObjectMeta::default() },
        value: Some(value),
        description: Some(description.into()),
        preemption_policy: Some(PREEMPT.into()),
        ..PriorityClass::default()
    };
    [
        class(
            "system-node-critical",
            2_000_001_000,
            "Used for system critical pods that must not be moved from their current node.",
        ),
        class(
            "system-cluster-critical",
            2_000_000_000,
            "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
        ),
    ]
}

/// Creates those of [`system_classes`] that are missing. `transport` acts as a member of system:masters.
pub async fn ensure_system_classes(transport: &Arc<dyn Transport>) -> Result<(), Status> {
    let api = Api::<PriorityClass>::new(transport.clone());
    for class in system_classes() {
        if api.find(&ObjectKey::cluster(class.name())).await?.is_some() {
            continue;
        }
        match api.create(&class).await {
            Ok(_) => {}
            Err(e) if e.is_already_exists() => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

pub(crate) struct Priority {
    api: Api<PriorityClass>,
    classes: Informer<PriorityClass>,
}

impl Priority {
    pub(crate) fn new(context: &Context) -> Self {
        Priority { api: Api::new(context.transport.clone()), classes: Informer::all(&*context.transport) }
    }

    /// The default class; of several (made at the same time) the one with the lowest value.
    fn default_class(&self) -> Option<PriorityClass> {
        // Every pod asks, and mostly there is none: one that is has these bytes in it.
        let classes = self.classes.objects("").into_iter();
        let classes = classes.filter(|class| class.json().windows(MARK.len()).any(|bytes| bytes == MARK));
        let all = classes.filter_map(|class| client::informer::decode::<PriorityClass>(&class));
        all.filter(|c| c.global_default == Some(true)).min_by_key(|c| c.value)
    }

    /// By the view, then by asking, then the system's own: these are good before they are stored.
    async fn class(&self, name: &str) -> Result<Option<PriorityClass>, Status> {
        let key = ObjectKey::cluster(name);
        if let Some(class) = self.classes.get(&key) {
            return Ok(Some(class));
        }
        let found = self.api.find(&key).await?;
        Ok(found.or_else(|| system_classes().into_iter().find(|c| c.name() == name)))
    }

    async fn set(&self, a: &mut Attributes<'_>) -> Result<(), Status> {
        let Some(spec) = ask::object::<Pod>(a).and_then(|pod| pod.spec.as_ref()) else { return Ok(()) };
        let asked = spec.priority_class_name.clone().unwrap_or_default();
        let class = if asked.is_empty() {
            self.default_class().unwrap_or_else(|| PriorityClass {
                preemption_policy: Some(PREEMPT.into()),
                ..PriorityClass::default()
            })
        } else {
            let found = self.class(&asked).await?;
            found.ok_or_else(|| ask::forbidden(a, format!("no PriorityClass with name {asked} was found")))?
        };
        let computed = class.value.unwrap_or_default();
        if let Some(given) = spec.priority.filter(|given| *given != computed) {
            return Err(ask::forbidden(
                a,
                format!(
                    "the integer value of priority ({given}) must not be provided in pod spec; priority admission \
                     controller computed {computed} from the given PriorityClass name"
                ),
            ));
        }
        let policy = class.preemption_policy.clone();
        if let (Some(given), Some(computed)) = (&spec.preemption_policy, &policy)
            && given != computed
        {
            return Err(ask::forbidden(
                a,
                format!(
                    "the string value of PreemptionPolicy ({given}) must not be provided in pod spec; priority \
                     admission controller computed {computed} from the given PriorityClass name"
                ),
            ));
        }
        let Some(spec) = ask::object_mut::<Pod>(a).and_then(|pod| pod.spec.as_mut()) else { return Ok(()) };
        spec.priority_class_name = Some(class.name().to_owned()).filter(|n| !n.is_empty());
        spec.priority = Some(computed);
        spec.preemption_policy = policy.or(spec.preemption_policy.take());
        Ok(())
    }
}

/// A client that does not know these fields must not lose them.
fn keep(a: &mut Attributes<'_>) {
    let Some(old) = ask::old::<Pod>(a).and_then(|pod| pod.spec.as_ref()) else { return };
    let (priority, policy) = (old.priority, old.preemption_policy.clone());
    let Some(spec) = ask::object_mut::<Pod>(a).and_then(|pod| pod.spec.as_mut()) else { return };
    spec.priority = spec.priority.or(priority);
    if spec.preemption_policy.is_none() {
        spec.preemption_policy = policy;
    }
}

#[async_trait]
impl Plugin for Priority {
    async fn mutate(&self, a: &mut Attributes<'_>) -> Result<(), Status> {
        if !ask::is_main::<Pod>(a) {
            return Ok(());
        }
        match a.operation {
            Operation::Create => self.set(a).await,
            Operation::Update => {
                keep(a);
                Ok(())
            }
            Operation::Delete | Operation::Connect => Ok(()),
        }
    }

    async fn validate(&self, a: &Attributes<'_>) -> Result<(), Status> {
        if !ask::is_main::<PriorityClass>(a) || !matches!(a.operation, Operation::Create | Operation::Update)
        {
            return Ok(());
        }
        let Some(class) = ask::object::<PriorityClass>(a) else { return Ok(()) };
        if class.global_default != Some(true) {
            return Ok(());
        }
        match self.default_class() {
            Some(other) if a.operation == Operation::Create || other.name() != class.name() => {
                let why = format!(
                    "PriorityClass {} is already marked as default. Only one default can exist",
                    other.name()
                );
                Err(ask::forbidden(a, why))
            }
            _ => Ok(()),
        }
    }
}
