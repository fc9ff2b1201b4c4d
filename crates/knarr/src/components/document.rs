//! Upstream's configuration files (KubeletConfiguration and its like): every field of one acts, is named in a warning that says what
//! stands in its place, or is refused by its path. Start at [`Document::read`].

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::nearest;

/// What becomes of a field.
#[derive(Clone, Copy)]
pub enum Does {
    /// It is read.
    Acts,
    /// Only this value, in JSON: it is what is done anyway. An explicit false counts.
    Only(&'static str),
    /// Nothing: what stands in its place.
    Nothing(&'static str),
    /// Known upstream, and refused, with the reason, unless it says nothing.
    Refused(&'static str),
}

/// A field by its path; what is below it shares its fate.
pub type Field = (&'static str, Does);

/// A kind of file.
pub struct Format {
    pub api_version: &'static str,
    pub kind: &'static str,
    pub fields: &'static [Field],
}

/// A file that holds nothing else than its format allows.
#[derive(Default)]
pub struct Document {
    file: PathBuf,
    value: Value,
    /// About fields without effect.
    pub warnings: Vec<String>,
}

impl Document {
    /// Reads and checks a file; without one the document is empty.
    pub fn read(file: Option<&Path>, format: &Format) -> Result<Document> {
        let Some(file) = file else { return Ok(Document::default()) };
        let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
        Self::parse(file, &text, format)
    }

    /// The same of a text.
    pub fn parse(file: &Path, text: &str, format: &Format) -> Result<Document> {
        let shown = file.display();
        let value: Value = serde_saphyr::from_str(text)
            .map_err(|e| anyhow!("{shown} is no YAML, or not a {}: {e}", format.kind))?;
        let Value::Object(fields) = &value else { bail!("{shown} is not a {}", format.kind) };
        let said = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or_default();
        if said("apiVersion") != format.api_version || said("kind") != format.kind {
            bail!(
                "{shown}: apiVersion {:?} and kind {:?}; expected a {} of {}",
                said("apiVersion"),
                said("kind"),
                format.kind,
                format.api_version
            );
        }
        let mut warnings = Vec::new();
        for (key, value) in fields.iter().filter(|(key, _)| !matches!(key.as_str(), "apiVersion" | "kind")) {
            judge(key, value, format, &mut warnings).map_err(|e| anyhow!("{shown}: {e}"))?;
        }
        Ok(Document { file: file.to_owned(), value, warnings })
    }

    /// The field at `path` (`a.b.c`); `None` where it says nothing. An error names the path.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>> {
        let Some(value) = path.split('.').try_fold(&self.value, |value, key| value.get(key)) else {
            return Ok(None);
        };
        if value.is_null() || value.as_str() == Some("") {
            return Ok(None);
        }
        serde_json::from_value(value.clone())
            .map(Some)
            .map_err(|e| anyhow!("{}: {path}: {e}", self.file.display()))
    }

    /// An error about something in the file.
    pub fn about(&self, what: impl std::fmt::Display) -> anyhow::Error {
        anyhow!("{}: {what}", self.file.display())
    }

    /// An error about the field at `path`.
    pub fn wrong(&self, path: &str, why: impl std::fmt::Display) -> anyhow::Error {
        anyhow!("{}: {path}: {why}", self.file.display())
    }
}

/// What the flag says, or else the file.
pub fn or<T: DeserializeOwned>(flag: Option<T>, file: &Document, path: &str) -> Result<Option<T>> {
    match flag {
        Some(value) => Ok(Some(value)),
        None => file.get(path),
    }
}

/// One field and what is below it.
fn judge(path: &str, value: &Value, format: &Format, warnings: &mut Vec<String>) -> Result<()> {
    let below = format!("{path}.");
    match format.fields.iter().find(|(name, _)| *name == path).map(|(_, does)| *does) {
        Some(Does::Acts) => Ok(()),
        Some(Does::Only(_)) if says_nothing(value) && !value.is_boolean() => Ok(()),
        Some(Does::Nothing(_) | Does::Refused(_)) if says_nothing(value) => Ok(()),
        Some(Does::Only(only)) => match serde_json::from_str::<Value>(only) {
            Ok(only) if only == *value => Ok(()),
            _ => bail!("{path}: {value} is not supported, only {only}"),
        },
        Some(Does::Nothing(instead)) => {
            warnings.push(format!("{path} has no effect: {instead}"));
            Ok(())
        }
        Some(Does::Refused("")) => bail!("{path}: not supported"),
        Some(Does::Refused(why)) => bail!("{path}: not supported: {why}"),
        None if format.fields.iter().any(|(name, _)| name.starts_with(&below)) => match value {
            Value::Null => Ok(()),
            Value::Object(fields) => fields
                .iter()
                .try_for_each(|(key, value)| judge(&format!("{below}{key}"), value, format, warnings)),
            _ => bail!("{path}: a map is due here"),
        },
        None => {
            let names = format.fields.iter().flat_map(|(name, _)| prefixes(name));
            bail!("unknown field {path:?}{}", nearest::suggestion(path, names))
        }
    }
}

/// `a`, `a.b`, `a.b.c`
fn prefixes(name: &'static str) -> impl Iterator<Item = &'static str> {
    name.match_indices('.').map(move |(at, _)| &name[..at]).chain([name])
}

/// As Go leaves out: null, nothing, zero, false, and zero durations. Those mean upstream's default, or off.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::Number(n) => n.as_f64() == Some(0.0),
        Value::String(s) => matches!(s.as_str(), "" | "0" | "0s"),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(says_nothing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: Format = Format {
        api_version: "x/v1",
        kind: "X",
        fields: &[
            ("port", Does::Acts),
            ("auth.ca", Does::Acts),
            ("auth.mode", Does::Only("\"Webhook\"")),
            ("qps", Does::Nothing("the server does it")),
            ("gone", Does::Refused("")),
            ("runtime", Does::Refused("it is built in")),
            ("on", Does::Only("true")),
        ],
    };

    fn check(text: &str, expected: &str) {
        let text = format!("apiVersion: x/v1\nkind: X\n{text}");
        let said = match Document::parse(Path::new("f"), &text, &FORMAT) {
            Ok(document) => document.warnings.join("\n"),
            Err(error) => format!("error: {error:#}"),
        };
        assert_eq!(said, expected, "{text}");
    }

    #[test]
    fn every_field_acts_or_is_named() {
        check("port: 3\nauth: { ca: f, mode: Webhook }", "");
        check("qps: 5", "qps has no effect: the server does it");
        check("qps: 0\ngone: { a: 0s, b: [], c: '' }\nauth: null", "");
        check("gone: 1", "error: f: gone: not supported");
        check("runtime: unix://s", "error: f: runtime: not supported: it is built in");
        check("on: true", "");
        check("on: false", "error: f: on: false is not supported, only true");
        check(
            "auth: { mode: AlwaysAllow }",
            "error: f: auth.mode: \"AlwaysAllow\" is not supported, only \"Webhook\"",
        );
        check("auth: 3", "error: f: auth: a map is due here");
        check("Port: 3", "error: f: unknown field \"Port\"; did you mean port?");
        check("auth: { cafe: 0 }", "error: f: unknown field \"auth.cafe\"; did you mean auth.ca?");
    }

    #[test]
    fn files_of_other_kinds_are_refused() {
        let said = |text: &str| {
            Document::parse(Path::new("f"), text, &FORMAT).err().map(|e| format!("{e:#}")).unwrap_or_default()
        };
        assert_eq!(
            said("apiVersion: x/v2\nkind: X"),
            "f: apiVersion \"x/v2\" and kind \"X\"; expected a X of x/v1"
        );
        assert_eq!(said("[]"), "f is not a X");
        assert!(said("a: [").starts_with("f is no YAML"));
    }

    #[test]
    fn values_are_of_their_type() {
        let text = "apiVersion: x/v1\nkind: X\nport: many\nauth: { ca: '' }";
        let document = Document::parse(Path::new("f"), text, &FORMAT).expect("a document");
        assert_eq!(document.get::<PathBuf>("auth.ca").expect("no error"), None);
        let error = document.get::<u16>("port").expect_err("no number").to_string();
        assert!(error.starts_with("f: port: "), "{error}");
    }
}
