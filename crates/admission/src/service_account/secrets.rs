//! Which secrets a pod names, and whether its account may have them mounted.

use k8s_openapi::api::core::v1::{EnvFromSource, EnvVar, PodSpec, ServiceAccount};

const ENFORCE: &str = "kubernetes.io/enforce-mountable-secrets";

/// The account's owner wants only the account's own secrets in its pods.
pub(super) fn enforced(account: &ServiceAccount) -> bool {
    let annotation = account.metadata.annotations.as_ref().and_then(|a| a.get(ENFORCE));
    // As Go's strconv.ParseBool reads it.
    annotation.is_some_and(|v| matches!(v.as_str(), "1" | "t" | "T" | "true" | "TRUE" | "True"))
}

/// Every secret that the pod names, with the place as upstream's messages name it.
pub(crate) fn references(spec: &PodSpec) -> Vec<(String, &str)> {
    let mut found = Vec::new();
    for volume in spec.volumes.iter().flatten() {
        if let Some(name) = volume.secret.as_ref().and_then(|s| s.secret_name.as_deref()) {
            found.push((format!("volume with secret.secretName=\"{name}\""), name));
        }
        for source in volume.projected.iter().flat_map(|p| p.sources.iter().flatten()) {
            if let Some(secret) = &source.secret {
                found.push((format!("volume with secret.secretName=\"{}\"", secret.name), &secret.name));
            }
        }
    }
    for c in spec.init_containers.iter().flatten() {
        environment("init container", &c.name, &c.env, &c.env_from, &mut found);
    }
    for c in &spec.containers {
        environment("container", &c.name, &c.env, &c.env_from, &mut found);
    }
    for c in spec.ephemeral_containers.iter().flatten() {
        environment("ephemeral container", &c.name, &c.env, &c.env_from, &mut found);
    }
    for secret in spec.image_pull_secrets.iter().flatten() {
        found.push((format!("imagePullSecret \"{}\"", secret.name), &secret.name));
    }
    found
}

fn environment<'a>(
    sort: &str,
    container: &str,
    env: &'a Option<Vec<EnvVar>>,
    from: &'a Option<Vec<EnvFromSource>>,
    found: &mut Vec<(String, &'a str)>,
) {
    for variable in env.iter().flatten() {
        let secret = variable.value_from.as_ref().and_then(|v| v.secret_key_ref.as_ref());
        if let Some(name) = secret.map(|s| s.name.as_str()) {
            let place = format!(
                "{sort} {container} with envVar {} referencing secret.secretName=\"{name}\"",
                variable.name
            );
            found.push((place, name));
        }
    }
    for source in from.iter().flatten().filter_map(|f| f.secret_ref.as_ref()) {
        let name = source.name.as_str();
        let place = format!("{sort} {container} with envFrom referencing secret.secretName=\"{name}\"");
        found.push((place, name));
    }
}

/// The error is the reason for the 403.
pub(super) fn check(account: &ServiceAccount, spec: &PodSpec) -> Result<(), String> {
    let secrets = account.secrets.iter().flatten().filter_map(|s| s.name.as_deref());
    let pull = account.image_pull_secrets.iter().flatten().map(|s| s.name.as_str());
    let (mountable, pullable): (Vec<&str>, Vec<&str>) = (secrets.collect(), pull.collect());
    for (place, name) in references(spec) {
        let allowed = if place.starts_with("imagePullSecret") { &pullable } else { &mountable };
        if !allowed.contains(&name) {
            let account = account.metadata.name.as_deref().unwrap_or_default();
            return Err(format!(
                "{place} is not allowed because service account {account} does not reference that secret"
            ));
        }
    }
    Ok(())
}
