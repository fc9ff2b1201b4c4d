//! Conditions of a status: found by type, stamped with the time of their last transition.

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::names;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::ReplicaSetCondition;
use k8s_openapi::api::core::v1::{
    NamespaceCondition, NodeCondition, PodCondition, ReplicationControllerCondition,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{self as meta, Time};

/// What conditions of all kinds have.
pub trait Condition: PartialEq {
    fn kind(&self) -> &str;
    fn status(&self) -> &str;
    fn last_transition_time(&mut self) -> &mut Option<Time>;
}

/// The condition of a type.
pub fn find<'a, C: Condition>(conditions: &'a Option<Vec<C>>, kind: &str) -> Option<&'a C> {
    conditions.iter().flatten().find(|c| c.kind() == kind)
}

/// Sets a condition. The transition time moves only when the status does. True when anything changed.
pub fn set<C: Condition>(conditions: &mut Option<Vec<C>>, mut condition: C, now: Timestamp) -> bool {
    let conditions = conditions.get_or_insert_default();
    *condition.last_transition_time() = Some(Time(now));
    let Some(old) = conditions.iter_mut().find(|c| c.kind() == condition.kind()) else {
        conditions.push(condition);
        return true;
    };
    if old.status() == condition.status() {
        condition.last_transition_time().clone_from(old.last_transition_time());
    }
    let changed = *old != condition;
    *old = condition;
    changed
}

macro_rules! condition {
    ($kind:ty, |$c:ident| $type:expr, $status:expr) => {
        impl Condition for $kind {
            fn kind(&self) -> &str {
                let $c = self;
                $type
            }
            fn status(&self) -> &str {
                let $c = self;
                $status
            }
            fn last_transition_time(&mut self) -> &mut Option<Time> {
                &mut self.last_transition_time
            }
        }
    };
}
condition!(PodCondition, |c| &c.type_, &c.status);
condition!(NodeCondition, |c| &c.type_, &c.status);
condition!(NamespaceCondition, |c| &c.type_, &c.status);
condition!(ReplicationControllerCondition, |c| &c.type_, &c.status);
condition!(
    ReplicaSetCondition,
    |c| c.type_.as_deref().unwrap_or_default(),
    c.status.as_deref().unwrap_or_default()
);

/// [`set`] for `meta/v1.Condition`, whose times are always there: `condition` carries now.
pub fn set_standard(conditions: &mut Option<Vec<meta::Condition>>, mut condition: meta::Condition) {
    let conditions = conditions.get_or_insert_default();
    match conditions.iter_mut().find(|c| c.type_ == condition.type_) {
        Some(old) => {
            if old.status == condition.status {
                condition.last_transition_time = old.last_transition_time.clone();
            }
            *old = condition;
        }
        None => conditions.push(condition),
    }
}

/// Rules for `meta/v1.Condition`.
pub(crate) fn validate(conditions: &[meta::Condition], path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    for (i, condition) in conditions.iter().enumerate() {
        let path = path.index(i);
        if conditions[..i].iter().any(|before| before.type_ == condition.type_) {
            errs.push(Error::duplicate(&path.child("type"), &condition.type_));
        }
        errs.extend(names::label_key(&condition.type_, &path.child("type")));
        errs.extend(crate::check::known(
            &path.child("status"),
            &condition.status,
            &["False", "True", "Unknown"],
        ));
        if let Some(generation) = condition.observed_generation.filter(|g| *g < 0) {
            let path = path.child("observedGeneration");
            errs.push(Error::invalid(&path, generation, "must be greater than or equal to zero"));
        }
        if codec::transitions::is_never(&condition.last_transition_time) {
            errs.push(Error::required(&path.child("lastTransitionTime"), "must be set"));
        }
        errs.extend(reason_errors(&condition.reason, &path.child("reason")));
        if condition.message.len() > MESSAGE_MAX {
            errs.push(Error::too_long(&path.child("message"), MESSAGE_MAX));
        }
    }
    errs
}

const REASON_MAX: usize = 1024;
const MESSAGE_MAX: usize = 32 * 1024;

fn reason_errors(reason: &str, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    if reason.is_empty() {
        errs.push(Error::required(path, "must be set"));
        return errs;
    }
    let inner = |b: u8| b.is_ascii_alphanumeric() || b"_,:".contains(&b);
    let last = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    let well_formed = reason.bytes().all(inner)
        && reason.starts_with(|c: char| c.is_ascii_alphabetic())
        && reason.as_bytes().last().is_some_and(last);
    if !well_formed {
        let detail = names::regex_error(
            "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric \
             characters or '_,:', and must end with an alphanumeric character or '_'",
            "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?",
            &["my_name", "MY_NAME", "MyName", "ReasonA,ReasonB", "ReasonA:ReasonB"],
        );
        errs.push(Error::invalid(path, reason, detail));
    }
    if reason.len() > REASON_MAX {
        errs.push(Error::too_long(path, REASON_MAX));
    }
    errs
}
