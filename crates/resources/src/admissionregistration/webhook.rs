//! Webhook configurations, mutating and validating: one strategy for both.

use std::collections::BTreeSet;
use std::marker::PhantomData;

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::names;
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, MutatingWebhook, MutatingWebhookConfiguration, RuleWithOperations, ValidatingWebhook,
    ValidatingWebhookConfiguration, WebhookClientConfig,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::{Value, json};

use super::client_config::{self, Reached, Service};
use super::matching::{self, FAILURE_POLICIES, MATCH_POLICIES};
use crate::check::{each, known, one, shown_list};
use crate::columns::{AGE, NAME, number};
use crate::strategy::{Column, Part, age};
use crate::{desired, fill, selector};

#[cfg(test)]
mod tests;

const REVIEW_VERSIONS: &[&str] = &["v1", "v1beta1"];
const NO_SIDE_EFFECTS: &[&str] = &["None", "NoneOnDryRun"];
const SIDE_EFFECTS: &[&str] = &["None", "NoneOnDryRun", "Some", "Unknown"];
const REINVOCATIONS: &[&str] = &["IfNeeded", "Never"];
const TIMEOUT_DEFAULT: i32 = 10;

/// What both kinds of webhook have.
#[allow(missing_docs)]
pub struct Hook<'a> {
    pub name: &'a str,
    pub client_config: &'a WebhookClientConfig,
    pub rules: &'a [RuleWithOperations],
    pub failure_policy: Option<&'a str>,
    pub match_policy: Option<&'a str>,
    pub namespace_selector: Option<&'a LabelSelector>,
    pub object_selector: Option<&'a LabelSelector>,
    pub side_effects: &'a str,
    pub timeout_seconds: Option<i32>,
    pub review_versions: &'a [String],
    pub conditions: Option<&'a [MatchCondition]>,
    /// Of mutating webhooks only.
    pub reinvocation: Option<&'a str>,
}

/// A kind that is a list of webhooks.
pub trait Configuration: Kind {
    fn hooks(&self) -> Vec<Hook<'_>>;
    /// Fills what webhooks leave open.
    fn fill(&mut self);
}

macro_rules! hook {
    ($h:ident) => {{
        let h = $h;
        Hook {
            name: &h.name,
            client_config: &h.client_config,
            rules: h.rules.as_deref().unwrap_or_default(),
            failure_policy: h.failure_policy.as_deref(),
            match_policy: h.match_policy.as_deref(),
            namespace_selector: h.namespace_selector.as_ref(),
            object_selector: h.object_selector.as_ref(),
            side_effects: &h.side_effects,
            timeout_seconds: h.timeout_seconds,
            review_versions: &h.admission_review_versions,
            conditions: h.match_conditions.as_deref(),
            reinvocation: None,
        }
    }};
}
macro_rules! configuration {
    ($kind:ty, $hook:ty, |$h:ident| $reinvocation:expr, |$m:ident| {$($more:tt)*}) => {
        impl Configuration for $kind {
            fn hooks(&self) -> Vec<Hook<'_>> {
                fn hook($h: &$hook) -> Hook<'_> {
                    Hook { reinvocation: $reinvocation, ..hook!($h) }
                }
                self.webhooks.iter().flatten().map(hook).collect()
            }

            fn fill(&mut self) {
                for $m in self.webhooks.iter_mut().flatten() {
                    fill::text(&mut $m.failure_policy, "Fail");
                    fill::text(&mut $m.match_policy, "Equivalent");
                    $m.namespace_selector.get_or_insert_default();
                    $m.object_selector.get_or_insert_default();
                    $m.timeout_seconds.get_or_insert(TIMEOUT_DEFAULT);
                    $m.rules.iter_mut().flatten().for_each(|rule| matching::default_scope(&mut rule.scope));
                    if let Some(service) = &mut $m.client_config.service {
                        client_config::default_port(&mut service.port);
                    }
                    $($more)*
                }
            }
        }
    };
}

configuration!(ValidatingWebhookConfiguration, ValidatingWebhook, |h| None, |m| {});
configuration!(MutatingWebhookConfiguration, MutatingWebhook, |h| h.reinvocation_policy.as_deref(), |m| {
    fill::text(&mut m.reinvocation_policy, "Never");
});

/// The rules of webhook configurations.
pub struct Strategy<C>(PhantomData<fn() -> C>);

impl<C> Default for Strategy<C> {
    fn default() -> Self {
        Strategy(PhantomData)
    }
}

/// What an update need not have, since it was not there before.
#[derive(Clone, Copy)]
struct Leniency {
    side_effects: bool,
    review_versions: bool,
    names: bool,
}

impl<C: Configuration> crate::Strategy for Strategy<C> {
    type Kind = C;

    fn default(&self, configuration: &mut C) {
        configuration.fill();
    }

    fn prepare_create(&self, configuration: &mut C) {
        configuration.meta_mut().generation = Some(1);
    }

    fn prepare_update(&self, new: &mut C, old: &C, _: Part) {
        desired::bump_generation(new, old, "webhooks");
    }

    fn validate(&self, configuration: &C) -> ErrorList {
        let strict = Leniency { side_effects: false, review_versions: false, names: false };
        errors(&configuration.hooks(), strict)
    }

    /// Configurations from before these rules keep what they have.
    fn validate_update(&self, new: &C, old: &C, _: Part) -> ErrorList {
        let old = old.hooks();
        let recognised =
            |h: &Hook<'_>| h.review_versions.iter().any(|v| REVIEW_VERSIONS.contains(&v.as_str()));
        let mut names = BTreeSet::new();
        let lenient = Leniency {
            side_effects: old.iter().any(|h| !NO_SIDE_EFFECTS.contains(&h.side_effects)),
            review_versions: old.iter().any(|h| !h.review_versions.is_empty() && !recognised(h)),
            names: !old.iter().all(|h| names.insert(h.name)),
        };
        errors(&new.hooks(), lenient)
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] =
            &[NAME, number("Webhooks", "Webhooks indicates the number of webhooks."), AGE];
        COLUMNS
    }

    fn row(&self, configuration: &C, now: Timestamp) -> Vec<Value> {
        vec![
            json!(configuration.name()),
            json!(configuration.hooks().len()),
            json!(age(configuration.meta(), now)),
        ]
    }

    fn allow_unconditional_update(&self) -> bool {
        false
    }
}

fn errors(hooks: &[Hook<'_>], lenient: Leniency) -> ErrorList {
    let mut errs = ErrorList::new();
    let mut seen = BTreeSet::new();
    for (i, hook) in hooks.iter().enumerate() {
        let path = Path::new("webhooks").index(i);
        errs.extend(hook_errors(hook, lenient, &path));
        errs.extend(version_errors(hook.review_versions, lenient, &path.child("admissionReviewVersions")));
        if !lenient.names && !hook.name.is_empty() && !seen.insert(hook.name) {
            errs.push(Error::duplicate(&path.child("name"), hook.name));
        }
    }
    errs
}

fn hook_errors(hook: &Hook<'_>, lenient: Leniency, path: &Path) -> ErrorList {
    let mut errs = qualified_domain(hook.name, &path.child("name"));
    for (i, rule) in hook.rules.iter().enumerate() {
        errs.extend(matching::rule(rule, &path.child("rules").index(i)));
    }
    for (field, value, supported) in [
        ("failurePolicy", hook.failure_policy, FAILURE_POLICIES),
        ("matchPolicy", hook.match_policy, MATCH_POLICIES),
    ] {
        errs.extend(value.map(|v| known(&path.child(field), v, supported)).unwrap_or_default());
    }
    let allowed = if lenient.side_effects { SIDE_EFFECTS } else { NO_SIDE_EFFECTS };
    let at = path.child("sideEffects");
    errs.extend(match hook.side_effects {
        "" => one(true, || Error::required(&at, format!("must specify one of {}", allowed.join(", ")))),
        given => known(&at, given, allowed),
    });
    if let Some(timeout) = hook.timeout_seconds.filter(|t| !(1..=30).contains(t)) {
        let why = "the timeout value must be between 1 and 30 seconds";
        errs.push(Error::invalid(&path.child("timeoutSeconds"), timeout, why));
    }
    for (field, selector) in
        [("namespaceSelector", hook.namespace_selector), ("objectSelector", hook.object_selector)]
    {
        errs.extend(selector.map(|s| selector::validate(s, &path.child(field))).unwrap_or_default());
    }
    let reinvocation = path.child("reinvocationPolicy");
    errs.extend(hook.reinvocation.map(|r| known(&reinvocation, r, REINVOCATIONS)).unwrap_or_default());
    errs.extend(client_config::errors(&reached(hook.client_config), &path.child("clientConfig")));
    errs.extend(matching::conditions(hook.conditions, &path.child("matchConditions")));
    errs
}

fn reached(config: &WebhookClientConfig) -> Reached<'_> {
    let service = config.service.as_ref().map(|s| Service {
        namespace: &s.namespace,
        name: &s.name,
        path: s.path.as_deref(),
        port: s.port,
    });
    Reached { url: config.url.as_deref(), service }
}

/// A domain of at least three labels.
fn qualified_domain(name: &str, path: &Path) -> ErrorList {
    let wrong = names::dns1123_subdomain(name);
    match name {
        "" => one(true, || Error::required(path, "")),
        _ if !wrong.is_empty() => each(path, name, vec![wrong.join(",")]),
        _ => one(name.split('.').count() < 3, || {
            Error::invalid(path, name, "should be a domain with at least three segments separated by dots")
        }),
    }
}

fn version_errors(versions: &[String], lenient: Leniency, path: &Path) -> ErrorList {
    let list = REVIEW_VERSIONS.join(", ");
    if versions.is_empty() {
        return one(true, || Error::required(path, format!("must specify one of {list}")));
    }
    let mut errs = ErrorList::new();
    for (i, version) in versions.iter().enumerate() {
        let path = path.index(i);
        match versions[..i].contains(version) {
            true => errs.push(Error::invalid(&path, version, "duplicate version")),
            false => errs.extend(each(&path, version, names::dns1035_label(version))),
        }
    }
    let recognised = versions.iter().any(|v| REVIEW_VERSIONS.contains(&v.as_str()));
    errs.extend(one(!recognised && !lenient.review_versions, || {
        Error::invalid(path, shown_list(versions), format!("must include at least one of {list}"))
    }));
    errs
}
