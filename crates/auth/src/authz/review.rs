//! SubjectAccessReview and its family: values in, values out.

use apimachinery::Status;
use apimachinery::field::{Error, ErrorList, Path};
use codec::Kind;
use k8s_openapi::api::authorization::v1 as api;
use k8s_openapi::api::rbac::v1::PolicyRule;

use super::rbac::rules::list;
use crate::authn::UserInfo;
use crate::authz::{Attributes, Authorization, Authorizer, Decision, node};

/// Answers a SubjectAccessReview: may that user do this?
pub async fn subject_access_review(
    authorizer: &dyn Authorizer,
    mut review: api::SubjectAccessReview,
) -> Result<api::SubjectAccessReview, Status> {
    let errors = validate_subject(&review.spec);
    if !errors.is_empty() {
        return Err(Status::invalid(&api::SubjectAccessReview::gvk(), "", &errors));
    }
    review.status = Some(judge(authorizer, &spec_attributes(&review.spec)).await);
    Ok(review)
}

/// The same within the namespace of the request's path.
pub async fn local_subject_access_review(
    authorizer: &dyn Authorizer,
    namespace: &str,
    mut review: api::LocalSubjectAccessReview,
) -> Result<api::LocalSubjectAccessReview, Status> {
    let mut errors = validate_subject(&review.spec);
    let spec = Path::new("spec");
    if review.spec.non_resource_attributes.is_some() {
        let field = spec.child("nonResourceAttributes");
        errors.push(Error::forbidden(&field, "disallowed on this kind of request"));
    }
    if !errors.is_empty() {
        return Err(Status::invalid(&api::LocalSubjectAccessReview::gvk(), "", &errors));
    }
    let asked = review.spec.resource_attributes.as_ref().and_then(|r| r.namespace.as_deref());
    if asked.unwrap_or_default() != namespace {
        return Err(Status::bad_request(format!(
            "spec.resourceAttributes.namespace must match namespace: {namespace}"
        )));
    }
    review.status = Some(judge(authorizer, &spec_attributes(&review.spec)).await);
    Ok(review)
}

/// Answers a SelfSubjectAccessReview: may I do this?
pub async fn self_subject_access_review(
    authorizer: &dyn Authorizer,
    user: &UserInfo,
    mut review: api::SelfSubjectAccessReview,
) -> Result<api::SelfSubjectAccessReview, Status> {
    let spec = &review.spec;
    let errors =
        validate_attributes(spec.resource_attributes.as_ref(), spec.non_resource_attributes.as_ref());
    if !errors.is_empty() {
        return Err(Status::invalid(&api::SelfSubjectAccessReview::gvk(), "", &errors));
    }
    let attributes =
        attributes(user.clone(), spec.resource_attributes.as_ref(), spec.non_resource_attributes.as_ref());
    review.status = Some(judge(authorizer, &attributes).await);
    Ok(review)
}

/// Answers a SelfSubjectRulesReview: what may I do in this namespace?
pub fn self_subject_rules_review(
    authorization: &Authorization,
    user: &UserInfo,
    mut review: api::SelfSubjectRulesReview,
) -> Result<api::SelfSubjectRulesReview, Status> {
    let namespace = review.spec.namespace.as_deref().unwrap_or_default();
    if namespace.is_empty() {
        return Err(Status::bad_request("no namespace on request"));
    }
    let (mut rules, mut errors) = (Vec::new(), Vec::new());
    if authorization.always_allow {
        rules.extend(everything());
    }
    if authorization.node.is_some() && node::node_name(user).is_some() {
        errors.push("node authorizer does not support user rule resolution".to_owned());
    }
    if let Some(rbac) = &authorization.rbac {
        let (more, failed) = rbac.rules_for(user, namespace);
        rules.extend(more);
        errors.extend(failed);
    }
    review.status = Some(rules_status(&rules, &errors));
    Ok(review)
}

async fn judge(authorizer: &dyn Authorizer, attributes: &Attributes) -> api::SubjectAccessReviewStatus {
    let some = |reason: String| (!reason.is_empty()).then_some(reason);
    match authorizer.authorize(attributes).await {
        Decision::Allow(reason) => {
            api::SubjectAccessReviewStatus { allowed: true, reason: some(reason), ..Default::default() }
        }
        Decision::Deny(reason) => {
            api::SubjectAccessReviewStatus { denied: Some(true), reason: some(reason), ..Default::default() }
        }
        Decision::NoOpinion(reason) => {
            api::SubjectAccessReviewStatus { reason: some(reason), ..Default::default() }
        }
    }
}

fn spec_attributes(spec: &api::SubjectAccessReviewSpec) -> Attributes {
    let user = UserInfo {
        name: spec.user.clone().unwrap_or_default(),
        uid: spec.uid.clone().unwrap_or_default(),
        groups: spec.groups.clone().unwrap_or_default(),
        extra: spec.extra.clone().unwrap_or_default(),
    };
    attributes(user, spec.resource_attributes.as_ref(), spec.non_resource_attributes.as_ref())
}

fn attributes(
    user: UserInfo,
    resource: Option<&api::ResourceAttributes>,
    path: Option<&api::NonResourceAttributes>,
) -> Attributes {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    match (resource, path) {
        (Some(r), _) => Attributes {
            user,
            verb: text(&r.verb),
            group: text(&r.group),
            version: text(&r.version),
            resource: text(&r.resource),
            subresource: text(&r.subresource),
            namespace: text(&r.namespace),
            name: text(&r.name),
            path: String::new(),
            field_selector: r.field_selector.as_ref().map(selector_text).unwrap_or_default(),
        },
        (None, Some(n)) => {
            Attributes { user, verb: text(&n.verb), path: text(&n.path), ..Attributes::default() }
        }
        (None, None) => Attributes { user, ..Attributes::default() },
    }
}

/// Requirements as a selector's text, as far as it can say them: only `=` narrows what the node authorizer allows.
fn selector_text(selector: &api::FieldSelectorAttributes) -> String {
    if let Some(raw) = selector.raw_selector.as_ref().filter(|raw| !raw.is_empty()) {
        return raw.clone();
    }
    let terms =
        selector.requirements.iter().flatten().filter_map(|r| match (&*r.operator, r.values.as_deref()) {
            ("In", Some([value])) => Some(format!("{}={value}", r.key)),
            _ => None,
        });
    terms.collect::<Vec<_>>().join(",")
}

fn validate_subject(spec: &api::SubjectAccessReviewSpec) -> ErrorList {
    let mut errors =
        validate_attributes(spec.resource_attributes.as_ref(), spec.non_resource_attributes.as_ref());
    let empty = |text: &Option<String>| text.as_deref().unwrap_or_default().is_empty();
    if empty(&spec.user) && spec.groups.as_deref().unwrap_or_default().is_empty() {
        let field = Path::new("spec").child("user");
        errors.push(Error::required(&field, "at least one of user or group must be specified"));
    }
    errors
}

fn validate_attributes(
    resource: Option<&api::ResourceAttributes>,
    path: Option<&api::NonResourceAttributes>,
) -> ErrorList {
    let spec = Path::new("spec");
    let mut errors = ErrorList::new();
    match (resource, path) {
        (Some(_), Some(_)) => errors.push(Error::invalid(
            &spec.child("nonResourceAttributes"),
            // As Go prints the pointer's value is of no use to anyone; the detail says it all.
            "nonResourceAttributes",
            "cannot be specified in combination with resourceAttributes",
        )),
        (None, None) => errors.push(Error::invalid(
            &spec.child("resourceAttributes"),
            "null",
            "exactly one of nonResourceAttributes or resourceAttributes must be specified",
        )),
        _ => {}
    }
    errors
}

fn everything() -> [PolicyRule; 2] {
    let all = || vec!["*".to_owned()];
    [
        PolicyRule { verbs: all(), api_groups: Some(all()), resources: Some(all()), ..PolicyRule::default() },
        PolicyRule { verbs: all(), non_resource_urls: Some(all()), ..PolicyRule::default() },
    ]
}

fn rules_status(rules: &[PolicyRule], errors: &[String]) -> api::SubjectRulesReviewStatus {
    let mut status = api::SubjectRulesReviewStatus {
        incomplete: !errors.is_empty(),
        evaluation_error: (!errors.is_empty()).then(|| errors.join(", ")),
        ..Default::default()
    };
    for rule in rules {
        if !list(&rule.resources).is_empty() {
            status.resource_rules.push(api::ResourceRule {
                verbs: rule.verbs.clone(),
                api_groups: rule.api_groups.clone(),
                resources: rule.resources.clone(),
                resource_names: rule.resource_names.clone(),
            });
        }
        if !list(&rule.non_resource_urls).is_empty() {
            status.non_resource_rules.push(api::NonResourceRule {
                verbs: rule.verbs.clone(),
                non_resource_urls: rule.non_resource_urls.clone(),
            });
        }
    }
    status
}
