//! A container's environment: services, then `envFrom`, then `env`, the later ones over the earlier ones.

pub mod fields;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Container, EnvVar, EnvVarSource, Pod, Secret};

use super::ConfigError;
use super::expand::expand;
use fields::PodFields;

/// What variables can come from. Objects that the container names are here, or why they are not.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    pub config_maps: BTreeMap<String, Lookup<ConfigMap>>,
    pub secrets: BTreeMap<String, Lookup<Secret>>,
    pub services: Vec<(String, String)>,
}

/// An object that was looked for: `Ok(None)` when there is none.
pub type Lookup<T> = Result<Option<T>, String>;

/// The names of objects that a container's environment needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    pub config_maps: Vec<String>,
    pub secrets: Vec<String>,
}

/// What to look up before [`environment`].
pub fn needs(container: &Container) -> Needs {
    let mut needs = Needs::default();
    for from in container.env_from.iter().flatten() {
        needs.config_maps.extend(from.config_map_ref.as_ref().map(|r| r.name.clone()));
        needs.secrets.extend(from.secret_ref.as_ref().map(|r| r.name.clone()));
    }
    for source in container.env.iter().flatten().filter_map(|e| e.value_from.as_ref()) {
        needs.config_maps.extend(source.config_map_key_ref.as_ref().map(|r| r.name.clone()));
        needs.secrets.extend(source.secret_key_ref.as_ref().map(|r| r.name.clone()));
    }
    for names in [&mut needs.config_maps, &mut needs.secrets] {
        names.sort();
        names.dedup();
    }
    needs
}

/// The variables in order, each name once.
pub fn environment(
    pod: &Pod,
    container: &Container,
    fields: &PodFields,
    sources: &Sources,
) -> Result<Vec<(String, String)>, ConfigError> {
    let mut env = Env { pod, container, fields, sources, declared: Vec::new() };
    env.add_objects()?;
    for var in container.env.iter().flatten() {
        if let Some(value) = env.value(var)? {
            env.set(&var.name, value);
        }
    }
    let mut all: Vec<_> =
        sources.services.iter().filter(|(name, _)| env.get(name).is_none()).cloned().collect();
    all.splice(0..0, env.declared);
    Ok(all)
}

struct Env<'a> {
    pod: &'a Pod,
    container: &'a Container,
    fields: &'a PodFields,
    sources: &'a Sources,
    declared: Vec<(String, String)>,
}

impl Env<'_> {
    fn get(&self, name: &str) -> Option<&String> {
        self.declared.iter().find(|(n, _)| n == name).map(|(_, v)| v)
    }

    fn set(&mut self, name: &str, value: String) {
        match self.declared.iter_mut().find(|(n, _)| n == name) {
            Some((_, v)) => *v = value,
            None => self.declared.push((name.into(), value)),
        }
    }

    fn add_objects(&mut self) -> Result<(), ConfigError> {
        for from in self.container.env_from.iter().flatten() {
            let prefix = from.prefix.as_deref().unwrap_or_default();
            let mut pairs = Vec::new();
            if let Some(reference) = &from.config_map_ref {
                let found = found(&self.sources.config_maps, &reference.name, "configmap")?;
                match found {
                    Some(map) => pairs.extend(map.data.clone().unwrap_or_default()),
                    None if reference.optional == Some(true) => {}
                    None => return Err(missing("configmap", &reference.name)),
                }
            }
            if let Some(reference) = &from.secret_ref {
                let found = found(&self.sources.secrets, &reference.name, "secret")?;
                match found {
                    Some(secret) => {
                        pairs.extend(secret.data.iter().flatten().map(|(k, v)| (k.clone(), text(&v.0))))
                    }
                    None if reference.optional == Some(true) => {}
                    None => return Err(missing("secret", &reference.name)),
                }
            }
            for (key, value) in pairs.into_iter().filter(|(k, _)| is_env_name(&format!("{prefix}{k}"))) {
                self.set(&format!("{prefix}{key}"), value);
            }
        }
        Ok(())
    }

    /// `None`: an optional source that is not there.
    fn value(&self, var: &EnvVar) -> Result<Option<String>, ConfigError> {
        match &var.value_from {
            Some(source) => self.value_from(source),
            None => {
                let known = |name: &str| {
                    let service = || self.sources.services.iter().find(|(n, _)| n == name).map(|(_, v)| v);
                    self.get(name).or_else(service).cloned()
                };
                Ok(Some(expand(var.value.as_deref().unwrap_or_default(), &known)))
            }
        }
    }

    fn value_from(&self, source: &EnvVarSource) -> Result<Option<String>, ConfigError> {
        let namespace = self.pod.metadata.namespace.as_deref().unwrap_or_default();
        if let Some(field) = &source.field_ref {
            return self.fields.value(self.pod, &field.field_path).map(Some);
        }
        if let Some(resource) = &source.resource_field_ref {
            return self.fields.resource(self.pod, self.container, resource).map(Some);
        }
        if let Some(key) = &source.config_map_key_ref {
            let optional = key.optional == Some(true);
            let Some(map) = found(&self.sources.config_maps, &key.name, "configmap")? else {
                return if optional { Ok(None) } else { Err(missing("configmap", &key.name)) };
            };
            let value = map.data.as_ref().and_then(|d| d.get(&key.key)).cloned();
            return match value {
                None if !optional => Err(ConfigError(format!(
                    "couldn't find key {} in ConfigMap {namespace}/{}",
                    key.key, key.name
                ))),
                value => Ok(value),
            };
        }
        if let Some(key) = &source.secret_key_ref {
            let optional = key.optional == Some(true);
            let Some(secret) = found(&self.sources.secrets, &key.name, "secret")? else {
                return if optional { Ok(None) } else { Err(missing("secret", &key.name)) };
            };
            let value = secret.data.as_ref().and_then(|d| d.get(&key.key)).map(|v| text(&v.0));
            return match value {
                None if !optional => Err(ConfigError(format!(
                    "couldn't find key {} in Secret {namespace}/{}",
                    key.key, key.name
                ))),
                value => Ok(value),
            };
        }
        Err(ConfigError::new(
            "environment variables from files (fileKeyRef) are not supported by this kubelet",
        ))
    }
}

fn found<'a, T>(
    known: &'a BTreeMap<String, Lookup<T>>,
    name: &str,
    kind: &str,
) -> Result<Option<&'a T>, ConfigError> {
    match known.get(name) {
        Some(Ok(object)) => Ok(object.as_ref()),
        Some(Err(why)) => Err(ConfigError(why.clone())),
        None => Err(missing(kind, name)),
    }
}

fn missing(kind: &str, name: &str) -> ConfigError {
    ConfigError(format!("{kind} {name:?} not found"))
}

/// An environment can only carry text.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Printable ASCII but `=`.
fn is_env_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'=')
}

#[cfg(test)]
mod tests;
