//! `AdmissionConfiguration`: the file of `--admission-control-config-file`, with a part for each plugin that takes one.
//!
//! Contract: <https://kubernetes.io/docs/reference/config-api/apiserver-config.v1/#apiserver-config-k8s-io-v1-AdmissionConfiguration>

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::pod_security::configuration::PodSecurityConfiguration;

/// Versions of the file that are read; both say the same.
const VERSIONS: &[&str] = &["apiserver.config.k8s.io/v1", "apiserver.k8s.io/v1alpha1"];
const POD_SECURITY: &str = "PodSecurity";

/// What the plugins are told besides the API. The default: nothing.
#[derive(Clone, Debug, Default)]
pub struct Configuration {
    pub(crate) pod_security: PodSecurityConfiguration,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    api_version: String,
    kind: String,
    #[serde(default)]
    plugins: Vec<PluginPart>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PluginPart {
    name: String,
    /// A file with the plugin's part, beside this one unless it is absolute.
    #[serde(default)]
    path: String,
    #[serde(default)]
    configuration: Option<Value>,
}

impl Configuration {
    /// Reads and checks the file, and those that it names. The error says which one, what is wrong, what to write.
    pub fn read(path: &Path) -> Result<Self, String> {
        let value = yaml(path)?;
        let dir = path.parent().unwrap_or(Path::new("."));
        Self::of(value, dir).map_err(|why| format!("{}: {why}", path.display()))
    }

    fn of(value: Value, dir: &Path) -> Result<Self, String> {
        let file: File = serde_json::from_value(value).map_err(|e| e.to_string())?;
        if file.kind != "AdmissionConfiguration" || !VERSIONS.contains(&file.api_version.as_str()) {
            return Err(format!(
                "no kind {:?} is registered for version {:?}; write kind: AdmissionConfiguration, apiVersion: {}",
                file.kind, file.api_version, VERSIONS[0]
            ));
        }
        let mut read = Configuration::default();
        let mut seen: Vec<&str> = Vec::new();
        for part in &file.plugins {
            if seen.contains(&part.name.as_str()) {
                return Err(format!("plugin {:?} is configured twice", part.name));
            }
            seen.push(&part.name);
            let configuration = match (&part.configuration, part.path.as_str()) {
                (Some(_), path) if !path.is_empty() => {
                    return Err(format!("plugin {:?}: take configuration or path, not both", part.name));
                }
                (Some(given), _) => given.clone(),
                (None, "") => continue,
                (None, path) => yaml(&dir.join(path))?,
            };
            match part.name.as_str() {
                POD_SECURITY => {
                    let read_part = PodSecurityConfiguration::read(configuration);
                    read.pod_security = read_part.map_err(|why| format!("plugin {POD_SECURITY:?}: {why}"))?;
                }
                // Nothing that somebody wrote down is quietly passed over.
                other => {
                    return Err(format!("plugin {other:?} takes no configuration here; remove its entry"));
                }
            }
        }
        Ok(read)
    }
}

fn yaml(path: &Path) -> Result<Value, String> {
    let text = std::fs::read(path).map_err(|e| format!("read {}: {e}", path.display()))?;
    codec::yaml::to_value(&text).map_err(|e| format!("{}: {e}", path.display()))
}
