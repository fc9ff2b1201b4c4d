//! API services: a group and version that this server answers itself, or that it passes on to a service.

use apimachinery::field::{Error, ErrorList, Path, Raw};
use apimachinery::names;
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::{
    APIService, APIServiceCondition, APIServiceSpec, APIServiceStatus,
};
use serde_json::{Value, json};

use crate::check::{each, known, one, required};
use crate::columns::{AGE, NAME, text};
use crate::conditions;
use crate::strategy::{Column, NameRule, Part, age};

#[cfg(test)]
mod tests;

/// The condition that says whether the group and version is answered for.
pub const AVAILABLE: &str = "Available";

const GROUP_PRIORITY_MAX: i32 = 20_000;
const VERSION_PRIORITY_MAX: i32 = 1000;
const PORT_DEFAULT: i32 = 443;

/// The rules of API services.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = APIService;

    fn name_rule(&self) -> NameRule {
        NameRule::PathSegment
    }

    fn default(&self, service: &mut APIService) {
        if let Some(reference) = service.spec.as_mut().and_then(|s| s.service.as_mut()) {
            reference.port.get_or_insert(PORT_DEFAULT);
        }
    }

    /// What is answered here is available from the start.
    fn prepare_create(&self, service: &mut APIService) {
        let mut status = APIServiceStatus::default();
        if service.is_local() {
            status.conditions = Some(vec![local()]);
        }
        service.status = Some(status);
    }

    fn prepare_update(&self, new: &mut APIService, old: &APIService, part: Part) {
        match part {
            Part::Status => {
                new.spec.clone_from(&old.spec);
                crate::desired::keep_metadata(new, old);
            }
            _ => new.status.clone_from(&old.status),
        }
    }

    fn reset_fields(&self, part: Part) -> &'static [&'static str] {
        match part {
            Part::Main => &["status"],
            _ => &["spec", "metadata"],
        }
    }

    fn validate(&self, service: &APIService) -> ErrorList {
        let spec = service.spec.clone().unwrap_or_default();
        let mut errs = name_errors(service.name(), &spec);
        errs.extend(spec_errors(&spec, &Path::new("spec")));
        errs
    }

    fn validate_update(&self, new: &APIService, _: &APIService, part: Part) -> ErrorList {
        match part {
            Part::Status => status_errors(new),
            _ => self.validate(new),
        }
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            text("Service", "The service that answers, or Local."),
            text("Available", "Whether it does."),
            AGE,
        ];
        COLUMNS
    }

    fn row(&self, service: &APIService, now: Timestamp) -> Vec<Value> {
        let reference = service.spec.as_ref().and_then(|s| s.service.as_ref());
        let text = |t: &Option<String>| t.clone().unwrap_or_default();
        let shown = reference
            .map_or_else(|| "Local".to_owned(), |r| format!("{}/{}", text(&r.namespace), text(&r.name)));
        vec![
            json!(service.name()),
            json!(shown),
            json!(available(service)),
            json!(age(&service.metadata, now)),
        ]
    }
}

/// What components ask of API services.
pub trait APIServiceExt {
    /// This server answers itself.
    fn is_local(&self) -> bool;
}

impl APIServiceExt for APIService {
    fn is_local(&self) -> bool {
        self.spec.as_ref().is_none_or(|spec| spec.service.is_none())
    }
}

impl conditions::Condition for APIServiceCondition {
    fn kind(&self) -> &str {
        &self.type_
    }

    fn status(&self) -> &str {
        &self.status
    }

    fn last_transition_time(&mut self) -> &mut Option<Time> {
        &mut self.last_transition_time
    }
}

/// The condition of what is answered here.
pub fn local() -> APIServiceCondition {
    APIServiceCondition {
        type_: AVAILABLE.into(),
        status: "True".into(),
        reason: Some("Local".into()),
        message: Some("Local APIServices are always available".into()),
        last_transition_time: None,
    }
}

/// `True`, or `False` with the reason, as `kubectl get` shows it.
fn available(service: &APIService) -> String {
    let conditions = service.status.as_ref().and_then(|s| s.conditions.clone());
    match conditions::find(&conditions, AVAILABLE) {
        None => "Unknown".into(),
        Some(condition) if condition.status == "True" => condition.status.clone(),
        Some(condition) => {
            format!("{} ({})", condition.status, condition.reason.as_deref().unwrap_or_default())
        }
    }
}

fn name_errors(name: &str, spec: &APIServiceSpec) -> ErrorList {
    let text = |t: &Option<String>| t.clone().unwrap_or_default();
    let wanted = format!("{}.{}", text(&spec.version), text(&spec.group));
    // An empty name has been refused already, as one that is no path segment.
    let wrong = !name.is_empty() && names::path_segment(name).is_empty() && name != wanted;
    one(wrong, || {
        let why = format!("must be `spec.version+\".\"+spec.group`: {wanted:?}");
        Error::invalid(&Path::new("metadata").child("name"), name, why)
    })
}

fn spec_errors(spec: &APIServiceSpec, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let (group, version) =
        (spec.group.as_deref().unwrap_or_default(), spec.version.as_deref().unwrap_or_default());
    match group {
        "" if version != "v1" => errs.push(Error::required(
            &path.child("group"),
            "only v1 may have an empty group and it better be legacy kube",
        )),
        "" => {}
        group => errs.extend(each(&path.child("group"), group, names::dns1123_subdomain(group))),
    }
    errs.extend(each(&path.child("version"), version, names::dns1035_label(version)));
    for (field, value, max) in [
        ("groupPriorityMinimum", spec.group_priority_minimum, GROUP_PRIORITY_MAX),
        ("versionPriority", spec.version_priority, VERSION_PRIORITY_MAX),
    ] {
        errs.extend(one(!(1..=max).contains(&value), || {
            Error::invalid(&path.child(field), value, format!("must be positive and less than {max}"))
        }));
    }
    let bundle = spec.ca_bundle.as_ref().map_or(0, |b| b.0.len());
    let insecure = spec.insecure_skip_tls_verify.unwrap_or(false);
    let skip = path.child("insecureSkipTLSVerify");
    let Some(service) = &spec.service else {
        if bundle > 0 {
            let why = "local APIServices may not have a caBundle";
            errs.push(Error::invalid(&path.child("caBundle"), Raw(format!("\"{bundle} bytes\"")), why));
        }
        if insecure {
            errs.push(Error::invalid(&skip, true, "local APIServices may not have insecureSkipTLSVerify"));
        }
        return errs;
    };
    let path = path.child("service");
    errs.extend(required(&path.child("namespace"), service.namespace.as_deref().unwrap_or_default()));
    errs.extend(required(&path.child("name"), service.name.as_deref().unwrap_or_default()));
    let port = service.port.unwrap_or(0);
    let wrong = names::port_number(port.into());
    errs.extend(one(!wrong.is_empty(), || {
        Error::invalid(&path.child("port"), port, format!("port is not valid: {}", wrong.join(", ")))
    }));
    errs.extend(one(insecure && bundle > 0, || {
        Error::invalid(&skip, true, "may not be true if caBundle is present")
    }));
    errs
}

fn status_errors(service: &APIService) -> ErrorList {
    let path = Path::new("status").child("conditions");
    let mut errs = ErrorList::new();
    let conditions = service.status.iter().flat_map(|s| s.conditions.iter().flatten());
    for (i, condition) in conditions.enumerate() {
        let path = path.index(i).child("status");
        errs.extend(known(&path, &condition.status, &["True", "False", "Unknown"]));
    }
    errs
}
