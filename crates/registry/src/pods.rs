//! `pods/binding`.

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::status::Details;
use apimachinery::{GroupResource, Status};
use codec::{AnyObject, Kind as _};
use k8s_openapi::api::core::v1::{Binding, Pod, PodCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use resources::strategy::Part;

use crate::admit::{Attributes, Operation};
use crate::create::whole_seconds;
use crate::options::WriteOptions;
use crate::registry::{Registry, Target};
use crate::update::{Changed, Kind};

impl Registry {
    /// `pods/binding`: puts the pod onto a node, once.
    pub async fn bind(
        &self,
        target: &Target<'_>,
        mut binding: Binding,
        options: &WriteOptions,
    ) -> Result<Status, Status> {
        let name = binding.name().to_owned();
        if !name.is_empty() && name != target.name {
            return Err(Status::bad_request("name in URL does not match name in Binding object"));
        }
        binding.metadata.name = Some(target.name.to_owned());
        let namespace = binding.namespace().to_owned();
        if !namespace.is_empty() && namespace != target.namespace {
            return Err(Status::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        validate(&binding)?;
        let mut attributes = Attributes {
            operation: Operation::Create,
            gvk: &Binding::gvk(),
            gvr: &target.resource.gvr,
            part: Part::Binding,
            subresource: "binding",
            namespace: target.namespace,
            name: target.name,
            user: &options.user,
            dry_run: options.dry_run,
            object: Some(&mut binding),
            old: None,
        };
        self.mutate(&mut attributes).await?;
        self.admit(&attributes).await?;
        let now = Time(whole_seconds(self.clock.now()));
        let assign = |old: &dyn AnyObject| assign(target, old, &binding, &now);
        let kind = Kind { part: Part::Binding, subresource: "binding", checked: false };
        self.change(target, kind, &assign, options).await?;
        Ok(Status { details: None, code: 201, ..Status::success(Details::default()) })
    }
}

fn validate(binding: &Binding) -> Result<(), Status> {
    let path = Path::new("target");
    let mut errors = ErrorList::new();
    match binding.target.kind.as_deref().unwrap_or_default() {
        "" | "Node" => {}
        other => errors.push(Error::not_supported(&path.child("kind"), other, &["Node", "<empty>"])),
    }
    if binding.target.name.as_deref().unwrap_or_default().is_empty() {
        errors.push(Error::required(&path.child("name"), ""));
    }
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Status::invalid(&Binding::gvk(), binding.name(), &errors)),
    }
}

fn assign(
    target: &Target<'_>,
    old: &dyn AnyObject,
    binding: &Binding,
    now: &Time,
) -> Result<Changed, Status> {
    let pod = old.downcast_ref::<Pod>().ok_or_else(|| target.not_found())?;
    let refuse = |why: String| {
        let resource = GroupResource { group: "".into(), resource: "pods/binding".into() };
        Status::conflict(&resource, target.name, &why)
    };
    let wanted_uid = binding.metadata.uid.as_deref().filter(|u| !u.is_empty());
    if let Some(uid) = wanted_uid.filter(|uid| pod.metadata.uid.as_deref() != Some(*uid)) {
        return Err(refuse(target.why_other_uid(uid, pod.uid())));
    }
    if pod.metadata.deletion_timestamp.is_some() {
        return Err(refuse(format!("pod {} is being deleted, cannot be assigned to a host", target.name)));
    }
    let spec = pod.spec.clone().unwrap_or_default();
    if let Some(node) = spec.node_name.as_deref().filter(|n| !n.is_empty()) {
        return Err(refuse(format!("pod {} is already assigned to node {node:?}", target.name)));
    }
    if spec.scheduling_gates.is_some_and(|gates| !gates.is_empty()) {
        return Err(refuse(format!("pod {} has non-empty .spec.schedulingGates", target.name)));
    }
    let mut bound = pod.clone();
    bound.spec.get_or_insert_default().node_name = binding.target.name.clone();
    if let Some(annotations) = &binding.metadata.annotations {
        bound.metadata.annotations.get_or_insert_default().extend(annotations.clone());
    }
    scheduled(&mut bound, now);
    Ok(Changed { object: Box::new(bound), warnings: Vec::new() })
}

/// Sets the PodScheduled condition.
fn scheduled(pod: &mut Pod, now: &Time) {
    let generation = pod.metadata.generation;
    let conditions = pod.status.get_or_insert_default().conditions.get_or_insert_default();
    let condition = PodCondition {
        type_: "PodScheduled".into(),
        status: "True".into(),
        last_transition_time: Some(now.clone()),
        observed_generation: generation,
        ..PodCondition::default()
    };
    match conditions.iter_mut().find(|c| c.type_ == "PodScheduled") {
        Some(known) if known.status == "True" => {}
        Some(known) => *known = condition,
        None => conditions.push(condition),
    }
}
