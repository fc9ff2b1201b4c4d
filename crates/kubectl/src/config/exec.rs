//! Credential plugins: a command that prints who we are. Start at [`run`].
//!
//! Contract: <https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins>

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::error::{Error, Result};

/// What a plugin gave.
#[derive(Debug, Default)]
pub struct Credential {
    pub token: Option<String>,
    pub identity: Option<(String, String)>,
}

/// Runs the plugin that a user entry names.
pub fn run(exec: &Value, cluster: &Value, dir: &Path) -> Result<Credential> {
    let text = |field: &str| exec[field].as_str().unwrap_or_default();
    let version = text("apiVersion");
    let command = text("command");
    if command.is_empty() {
        return Err(Error::Configuration(vec![
            "exec plugin: command must be specified to use exec authentication plugin".into(),
        ]));
    }
    if !matches!(version, "client.authentication.k8s.io/v1" | "client.authentication.k8s.io/v1beta1") {
        return Err(Error::text(format!("exec plugin: invalid apiVersion \"{version}\"")));
    }
    let interactive =
        nix::unistd::isatty(std::io::stdin()).unwrap_or(false) && text("interactiveMode") != "Never";
    if text("interactiveMode") == "Always" && !interactive {
        return Err(Error::text(
            "exec plugin cannot support interactive mode: standard input is not a terminal",
        ));
    }
    let mut info = json!({
        "kind": "ExecCredential",
        "apiVersion": version,
        "spec": { "interactive": interactive },
    });
    if exec["provideClusterInfo"].as_bool() == Some(true) {
        info["spec"]["cluster"] = json!({
            "server": cluster["server"],
            "certificate-authority-data": cluster["certificate-authority-data"],
            "tls-server-name": cluster["tls-server-name"],
            "insecure-skip-tls-verify": cluster["insecure-skip-tls-verify"],
        });
    }
    // A command with a slash is relative to the file that names it, as paths in kubeconfigs are.
    let program = if command.contains('/') { dir.join(command) } else { command.into() };
    let mut process = Command::new(program);
    process.args(exec["args"].as_array().into_iter().flatten().filter_map(Value::as_str));
    for pair in exec["env"].as_array().into_iter().flatten() {
        process.env(pair["name"].as_str().unwrap_or_default(), pair["value"].as_str().unwrap_or_default());
    }
    process.env("KUBERNETES_EXEC_INFO", info.to_string());
    process.stdin(if interactive { Stdio::inherit() } else { Stdio::null() });
    process.stderr(Stdio::inherit()).stdout(Stdio::piped());
    let hint = text("installHint");
    let hint = if hint.is_empty() { String::new() } else { format!("\n\n{hint}") };
    let output = process.output().map_err(|_| {
        Error::Connection(format!(
            "Unable to connect to the server: getting credentials: exec: executable {command} not found{hint}"
        ))
    })?;
    if !output.status.success() {
        let code = output.status.code().unwrap_or(-1);
        return Err(Error::Connection(format!(
            "Unable to connect to the server: getting credentials: exec: executable {command} failed with exit code {code}{hint}"
        )));
    }
    read(&output.stdout, version)
}

fn read(stdout: &[u8], version: &str) -> Result<Credential> {
    let said =
        |why: &str| Error::Connection(format!("Unable to connect to the server: getting credentials: {why}"));
    let value: Value = serde_json::from_slice(stdout).map_err(|e| said(&format!("decoding stdout: {e}")))?;
    if value["apiVersion"] != version {
        return Err(said(&format!(
            "exec plugin is configured to use API version {version}, plugin returned version {}",
            value["apiVersion"].as_str().unwrap_or_default()
        )));
    }
    let status = &value["status"];
    if !status.is_object() {
        return Err(said("exec plugin didn't return a status field"));
    }
    let field = |name: &str| status[name].as_str().filter(|t| !t.is_empty()).map(str::to_owned);
    let identity = field("clientCertificateData").zip(field("clientKeyData"));
    let token = field("token");
    if token.is_none() && identity.is_none() {
        return Err(said("exec plugin didn't return a token or cert/key pair"));
    }
    Ok(Credential { token, identity })
}
