//! The authorization stage: may this user do this?

use apimachinery::Status;
use auth::{Attributes, Authorizer, Decision, UserInfo};

use super::path::ResourcePath;

/// Lets the request pass or answers 403.
pub async fn authorize(authorizer: &dyn Authorizer, attributes: &Attributes) -> Result<(), Status> {
    match authorizer.authorize(attributes).await {
        Decision::Allow(_) => Ok(()),
        Decision::Deny(reason) | Decision::NoOpinion(reason) => {
            Err(auth::authz::forbidden(attributes, &reason))
        }
    }
}

/// What a resource request asks for. `field_selector` counts for list, watch and deletecollection only.
pub fn resource_attributes(
    user: &UserInfo,
    verb: &str,
    path: &ResourcePath,
    field_selector: &str,
) -> Attributes {
    let name = match verb {
        "list" | "watch" | "deletecollection" if path.name.is_empty() => single_name(field_selector),
        _ => None,
    };
    Attributes {
        user: user.clone(),
        verb: verb.into(),
        group: path.group.clone(),
        version: path.version.clone(),
        resource: path.resource.clone(),
        subresource: path.subresource.clone(),
        namespace: path.namespace.clone(),
        name: name.unwrap_or_else(|| path.name.clone()),
        path: String::new(),
        field_selector: field_selector.into(),
    }
}

/// `metadata.name=x` alone makes a list one about x, so that a role naming x allows it.
fn single_name(field_selector: &str) -> Option<String> {
    field_selector.split(',').find_map(|clause| {
        let value = clause.trim().strip_prefix("metadata.name=")?;
        Some(value.trim_start_matches('=').to_owned()).filter(|v| !v.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_selector_is_a_name() {
        let user = UserInfo::new("jane", &[]);
        let path = ResourcePath { resource: "pods".into(), ..ResourcePath::default() };
        let name = |selector| resource_attributes(&user, "list", &path, selector).name;
        assert_eq!(name("metadata.name=a"), "a");
        assert_eq!(name("spec.nodeName=a"), "");
    }
}
