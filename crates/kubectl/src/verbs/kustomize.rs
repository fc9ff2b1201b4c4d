//! `kubectl kustomize`: what a kustomization makes, printed or written.

use std::path::Path;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::kustomize::{self, Restriction};
use crate::session::Session;

pub fn run(session: &Session) -> Result<()> {
    let call = &session.call;
    let dir = match call.args.as_slice() {
        [] => ".",
        [one] => one,
        _ => return Err(Error::text("specify one path to kustomization.yaml")),
    };
    let restriction = match call.text("load-restrictor") {
        "LoadRestrictionsRootOnly" => Restriction::RootOnly,
        "LoadRestrictionsNone" => Restriction::None,
        other => {
            return Err(Error::text(format!(
                "illegal flag value --load-restrictor {other}; legal values: [LoadRestrictionsRootOnly LoadRestrictionsNone]"
            )));
        }
    };
    for flag in ["enable-alpha-plugins", "enable-helm"] {
        if call.is(flag) {
            return Err(Error::text(format!(
                "--{flag} runs programs, which kubectl here does not: use the kustomize tool for that"
            )));
        }
    }
    let objects = kustomize::build(dir, restriction, &mut |line| eprintln!("{line}"))?;
    let text = objects.iter().map(codec::yaml::from_value).collect::<Vec<_>>().join("---\n");
    match call.text("output") {
        "" => session.print(&text),
        path if Path::new(path).is_dir() => write_each(Path::new(path), &objects),
        path => std::fs::write(path, text).map_err(|e| crate::error::io("open", path, &e)),
    }
}

/// A file for each object, called by kind and name.
fn write_each(dir: &Path, objects: &[Value]) -> Result<()> {
    for object in objects {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_lowercase();
        let api = text(&object["apiVersion"]).replace('/', "_");
        let namespace = match text(&object["metadata"]["namespace"]).as_str() {
            "" => String::new(),
            namespace => format!("{namespace}_"),
        };
        let name =
            format!("{namespace}{api}_{}_{}.yaml", text(&object["kind"]), text(&object["metadata"]["name"]));
        let path = dir.join(name.replace(['/', ':'], "_"));
        let shown = path.display().to_string();
        std::fs::write(&path, codec::yaml::from_value(object))
            .map_err(|e| crate::error::io("open", &shown, &e))?;
    }
    Ok(())
}
