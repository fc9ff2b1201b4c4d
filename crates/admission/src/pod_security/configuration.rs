//! `PodSecurityConfiguration`: what namespaces without labels ask for, and whom Pod Security leaves alone.
//!
//! Contract: <https://kubernetes.io/docs/tasks/configure-pod-container/enforce-standards-admission-controller/>

use std::collections::BTreeSet;

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::names;
use serde::Deserialize;
use serde_json::Value;

use super::level::{self, Policy};

/// Versions of the file that are read; all say the same.
const VERSIONS: &[&str] = &[
    "pod-security.admission.config.k8s.io/v1",
    "pod-security.admission.config.k8s.io/v1beta1",
    "pod-security.admission.config.k8s.io/v1alpha1",
];

/// Defaults and exemptions. The default: nothing is asked for, nobody is exempt.
#[derive(Clone, Debug, Default)]
pub(crate) struct PodSecurityConfiguration {
    pub defaults: Policy,
    pub exemptions: Exemptions,
}

/// Whom Pod Security leaves alone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exemptions {
    pub usernames: BTreeSet<String>,
    pub namespaces: BTreeSet<String>,
    pub runtime_classes: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    api_version: String,
    kind: String,
    #[serde(default)]
    defaults: Defaults,
    #[serde(default)]
    exemptions: Lists,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Defaults {
    enforce: Option<String>,
    enforce_version: Option<String>,
    audit: Option<String>,
    audit_version: Option<String>,
    warn: Option<String>,
    warn_version: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Lists {
    #[serde(default)]
    usernames: Vec<String>,
    #[serde(default)]
    namespaces: Vec<String>,
    #[serde(default)]
    runtime_classes: Vec<String>,
}

impl PodSecurityConfiguration {
    /// Reads and checks the configuration; the error says which field, and what it takes.
    pub fn read(value: Value) -> Result<Self, String> {
        let file: File = serde_json::from_value(value).map_err(|e| e.to_string())?;
        if file.kind != "PodSecurityConfiguration" || !VERSIONS.contains(&file.api_version.as_str()) {
            return Err(format!(
                "no kind {:?} is registered for version {:?}; write kind: PodSecurityConfiguration, apiVersion: {}",
                file.kind, file.api_version, VERSIONS[0]
            ));
        }
        let mut errors = ErrorList::new();
        let defaults = defaults(file.defaults, &mut errors);
        let exemptions = exemptions(&file.exemptions, &mut errors);
        match errors.is_empty() {
            true => Ok(PodSecurityConfiguration { defaults, exemptions }),
            false => Err(errors.aggregate()),
        }
    }
}

fn defaults(given: Defaults, errors: &mut ErrorList) -> Policy {
    let mut policy = Policy::default();
    let path = Path::new("defaults");
    let texts = [
        (given.enforce, given.enforce_version),
        (given.audit, given.audit_version),
        (given.warn, given.warn_version),
    ];
    for ((mode, demand), (level, version)) in policy.modes().into_iter().zip(texts) {
        if let Some(text) = level.filter(|text| !text.is_empty()) {
            match level::parse_level(&text) {
                Some(level) => demand.level = level,
                None => errors.push(Error::invalid(&path.child(mode), &text, level::BAD_LEVEL)),
            }
        }
        if let Some(text) = version.filter(|text| !text.is_empty()) {
            match level::parse_version(&text) {
                Some(version) => demand.version = version,
                None => {
                    let field = path.child(&format!("{mode}-version"));
                    errors.push(Error::invalid(&field, &text, level::BAD_VERSION));
                }
            }
        }
    }
    policy
}

fn exemptions(given: &Lists, errors: &mut ErrorList) -> Exemptions {
    let mut list = |field: &str, values: &[String], check: fn(&str) -> Vec<String>| {
        let path = Path::new("exemptions").child(field);
        let mut seen = BTreeSet::new();
        for (index, value) in values.iter().enumerate() {
            let wrong = check(value);
            if value.is_empty() && field == "usernames" {
                errors.push(Error::required(&path.index(index), ""));
            } else if !wrong.is_empty() {
                errors.push(Error::invalid(&path.index(index), value, wrong.join(", ")));
            } else if !seen.insert(value.clone()) {
                errors.push(Error::duplicate(&path.index(index), value));
            }
        }
        seen
    };
    Exemptions {
        namespaces: list("namespaces", &given.namespaces, names::dns1123_label),
        runtime_classes: list("runtimeClasses", &given.runtime_classes, names::dns1123_subdomain),
        usernames: list("usernames", &given.usernames, |_| Vec::new()),
    }
}
