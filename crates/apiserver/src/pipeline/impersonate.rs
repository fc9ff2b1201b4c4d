//! The impersonation stage: `Impersonate-User` and its companions, each of which must be allowed.

use apimachinery::Status;
use auth::authn::{ANONYMOUS, UNAUTHENTICATED};
use auth::{Attributes, Authorizer, UserInfo};
use http::HeaderMap;

use super::authorize::authorize;
use super::path;

const EXTRA: &str = "impersonate-extra-";

/// The user whom the request wants to be, when its sender may.
pub async fn impersonate(
    authorizer: &dyn Authorizer,
    sender: UserInfo,
    headers: &HeaderMap,
) -> Result<UserInfo, Status> {
    let Some(wanted) = wanted(headers)? else { return Ok(sender) };
    for attributes in questions(&sender, &wanted) {
        authorize(authorizer, &attributes).await?;
    }
    tracing::debug!(from = sender.name, to = wanted.name, "impersonates");
    Ok(with_groups(wanted))
}

fn wanted(headers: &HeaderMap) -> Result<Option<UserInfo>, Status> {
    let values = |name: &str| -> Vec<String> {
        headers.get_all(name).iter().filter_map(|v| v.to_str().ok()).map(str::to_owned).collect()
    };
    let mut user = UserInfo {
        name: values("impersonate-user").into_iter().next().unwrap_or_default(),
        uid: values("impersonate-uid").into_iter().next().unwrap_or_default(),
        groups: values("impersonate-group"),
        ..UserInfo::default()
    };
    for name in headers.keys() {
        if let Some(key) = name.as_str().strip_prefix(EXTRA) {
            user.extra.insert(path::decode(key), values(name.as_str()));
        }
    }
    let rest = !user.uid.is_empty() || !user.groups.is_empty() || !user.extra.is_empty();
    match (user.name.is_empty(), rest) {
        (true, false) => Ok(None),
        (true, true) => Err(Status::internal(format!(
            "requested {:?} without impersonating a user",
            if user.groups.is_empty() { &user.uid } else { &user.groups[0] }
        ))),
        (false, _) => Ok(Some(user)),
    }
}

/// One authorization question for each thing that is impersonated.
fn questions(sender: &UserInfo, wanted: &UserInfo) -> Vec<Attributes> {
    let ask = |group: &str, resource: &str, subresource: &str, namespace: &str, name: &str| Attributes {
        user: sender.clone(),
        verb: "impersonate".into(),
        group: group.into(),
        version: "v1".into(),
        resource: resource.into(),
        subresource: subresource.into(),
        namespace: namespace.into(),
        name: name.into(),
        ..Attributes::default()
    };
    const AUTHENTICATION: &str = "authentication.k8s.io";
    let mut all = vec![match service_account(&wanted.name) {
        Some((namespace, name)) => ask("", "serviceaccounts", "", namespace, name),
        None => ask("", "users", "", "", &wanted.name),
    }];
    all.extend(wanted.groups.iter().map(|g| ask("", "groups", "", "", g)));
    for (key, values) in &wanted.extra {
        all.extend(values.iter().map(|v| ask(AUTHENTICATION, "userextras", key, "", v)));
    }
    if !wanted.uid.is_empty() {
        all.push(ask(AUTHENTICATION, "uids", "", "", &wanted.uid));
    }
    all
}

fn service_account(user: &str) -> Option<(&str, &str)> {
    auth::authn::claims::split_username(user)
}

/// The groups that come with being such a user.
fn with_groups(mut user: UserInfo) -> UserInfo {
    if user.groups.is_empty()
        && let Some((namespace, _)) = service_account(&user.name)
    {
        user.groups = vec!["system:serviceaccounts".into(), format!("system:serviceaccounts:{namespace}")];
    }
    if user.name == ANONYMOUS && !user.in_group(UNAUTHENTICATED) {
        user.groups.push(UNAUTHENTICATED.into());
    }
    user.authenticated()
}

#[cfg(test)]
mod tests {
    use auth::Decision;

    use super::*;

    /// Allows to impersonate `allowed` only.
    struct Only(&'static str);

    #[async_trait::async_trait]
    impl Authorizer for Only {
        async fn authorize(&self, a: &Attributes) -> Decision {
            let asked = format!("{}/{}", a.resource, a.name);
            if self.0.split(' ').any(|s| s == asked) {
                Decision::Allow(String::new())
            } else {
                Decision::NoOpinion(String::new())
            }
        }
    }

    async fn check(allowed: &'static str, headers: &[(&'static str, &str)], expected: Result<&str, u16>) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let got = impersonate(&Only(allowed), UserInfo::new("root", &[]), &map).await;
        let got = got.map(|u| format!("{} {}", u.name, u.groups.join(","))).map_err(|s| s.code);
        assert_eq!(got, expected.map(str::to_owned), "{headers:?}");
    }

    #[tokio::test]
    async fn impersonation() {
        check("", &[], Ok("root ")).await;
        check("", &[("impersonate-user", "jane")], Err(403)).await;
        check("users/jane", &[("impersonate-user", "jane")], Ok("jane system:authenticated")).await;
        let both = [("impersonate-user", "jane"), ("impersonate-group", "devs")];
        check("users/jane", &both, Err(403)).await;
        check("users/jane groups/devs", &both, Ok("jane devs,system:authenticated")).await;
        check("", &[("impersonate-group", "devs")], Err(500)).await;
        let anonymous = [("impersonate-user", "system:anonymous")];
        check("users/system:anonymous", &anonymous, Ok("system:anonymous system:unauthenticated")).await;
        // No service account's name: a user's.
        let odd = [("impersonate-user", "system:serviceaccount:a:b:c")];
        check("serviceaccounts/b:c serviceaccounts/b", &odd, Err(403)).await;
        check(
            "serviceaccounts/b",
            &[("impersonate-user", "system:serviceaccount:a:b")],
            Ok("system:serviceaccount:a:b system:serviceaccounts,system:serviceaccounts:a,system:authenticated"),
        )
        .await;
    }
}
