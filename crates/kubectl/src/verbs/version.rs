//! `version`: ours and the server's.

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::print::json;
use crate::session::Session;

pub const VERSION: &str = "v1.37.1";
const KUSTOMIZE: &str = "v5.8.1";

pub fn run(session: &Session) -> Result<()> {
    let call = &session.call;
    let output = call.text("output");
    if !matches!(output, "" | "yaml" | "json") {
        return Err(Error::text("--output must be 'yaml' or 'json'"));
    }
    let mut shown = json!({ "clientVersion": client(), "kustomizeVersion": KUSTOMIZE });
    let mut failed = None;
    if !call.is("client") {
        match session.get("/version") {
            Ok(version) => shown["serverVersion"] = version,
            Err(e) => failed = Some(e),
        }
    }
    match output {
        "yaml" => session.print(&codec::yaml::from_value(&shown))?,
        "json" => session.println(&pretty(&shown))?,
        _ => {
            session.println(&format!("Client Version: {VERSION}\nKustomize Version: {KUSTOMIZE}"))?;
            if let Some(version) = shown["serverVersion"]["gitVersion"].as_str() {
                session.println(&format!("Server Version: {version}"))?;
                skew(version);
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

/// Commands that ask no server.
const OFFLINE: &[&str] = &["", "alpha", "completion", "config", "kuberc", "kustomize", "options", "plugin"];

/// What `--match-server-version` and other flags for all commands want to be true before a command runs.
pub fn check(session: &Session) -> Result<()> {
    let call = &session.call;
    let profile = call.globals.iter().any(|f| f.name == "profile") && !call.has_flag("profile");
    if profile && !matches!(call.text("profile"), "" | "none") {
        return Err(Error::text(format!("--profile={} is not there yet", call.text("profile"))));
    }
    if !call.text("vmodule").is_empty() {
        return Err(Error::text("--vmodule is not there yet: -v alone says how much is told"));
    }
    let first = call.path().split(' ').next().unwrap_or_default();
    let offline = OFFLINE.contains(&first) || first == "version" && call.is("client");
    if !call.is("match-server-version") || offline {
        return Ok(());
    }
    let server = session
        .get("/version")
        .map_err(|e| Error::text(format!("couldn't read version from server: {e}")))?;
    if server["gitVersion"] == VERSION {
        return Ok(());
    }
    Err(Error::text(format!(
        "server version (&{}) differs from client version ({})",
        go(&server),
        go(&client())
    )))
}

/// As Go's `%#v` shows it.
fn go(version: &Value) -> String {
    let fields = [
        ("Major", "major"),
        ("Minor", "minor"),
        ("EmulationMajor", "emulationMajor"),
        ("EmulationMinor", "emulationMinor"),
        ("MinCompatibilityMajor", "minCompatibilityMajor"),
        ("MinCompatibilityMinor", "minCompatibilityMinor"),
        ("GitVersion", "gitVersion"),
        ("GitCommit", "gitCommit"),
        ("GitTreeState", "gitTreeState"),
        ("BuildDate", "buildDate"),
        ("GoVersion", "goVersion"),
        ("Compiler", "compiler"),
        ("Platform", "platform"),
    ];
    let all = fields.map(|(shown, field)| {
        format!("{shown}:{}", crate::text::quote(version[field].as_str().unwrap_or_default()))
    });
    format!("version.Info{{{}}}", all.join(", "))
}

fn client() -> Value {
    json!({
        "major": "1", "minor": "37", "gitVersion": VERSION, "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "rustc", "platform": "linux/amd64",
    })
}

/// In the order of Go's structs.
fn pretty(shown: &Value) -> String {
    let mut out = "{\n".to_owned();
    for (at, part) in ["clientVersion", "kustomizeVersion", "serverVersion"]
        .iter()
        .filter(|p| !shown[**p].is_null())
        .enumerate()
    {
        if at > 0 {
            out.push_str(",\n");
        }
        match &shown[*part] {
            Value::String(text) => out.push_str(&format!("  \"{part}\": \"{text}\"")),
            Value::Object(map) => {
                out.push_str(&format!("  \"{part}\": {{\n"));
                let fields = [
                    "major",
                    "minor",
                    "emulationMajor",
                    "emulationMinor",
                    "minCompatibilityMajor",
                    "minCompatibilityMinor",
                    "gitVersion",
                    "gitCommit",
                    "gitTreeState",
                    "buildDate",
                    "goVersion",
                    "compiler",
                    "platform",
                ];
                let lines: Vec<String> = fields
                    .iter()
                    .filter_map(|f| Some((f, map.get(*f)?)))
                    .map(|(f, v)| format!("    \"{f}\": {}", json::compact(v)))
                    .collect();
                out.push_str(&lines.join(",\n"));
                out.push_str("\n  }");
            }
            _ => {}
        }
    }
    out + "\n}"
}

/// Versions more than one minor apart are warned of.
fn skew(server: &str) {
    let minor = server.split('.').nth(1).and_then(|m| m.parse::<i64>().ok()).unwrap_or(37);
    if (minor - 37).abs() > 1 {
        eprintln!(
            "Warning: version difference between client (1.37) and server (1.{minor}) exceeds the supported minor version skew of +/-1"
        );
    }
}
