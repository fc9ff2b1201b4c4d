//! How strict a namespace is: its `pod-security.kubernetes.io/…` labels.

use std::collections::BTreeMap;
use std::fmt;

use apimachinery::field::{Error, ErrorList, Path};

/// From free to strict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Privileged,
    Baseline,
    Restricted,
}

/// Which release's rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Latest,
    /// The minor number after `v1.`
    Minor(u32),
}

impl Version {
    /// Whether rules that came with 1.`minor` count.
    pub fn since(self, minor: u32) -> bool {
        match self {
            Version::Latest => true,
            Version::Minor(mine) => mine >= minor,
        }
    }
}

/// One mode's demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    pub level: Level,
    pub version: Version,
}

impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Privileged => "privileged",
            Level::Baseline => "baseline",
            Level::Restricted => "restricted",
        };
        match self.version {
            Version::Latest => write!(f, "{level}:latest"),
            Version::Minor(minor) => write!(f, "{level}:v1.{minor}"),
        }
    }
}

const FREE: Demand = Demand { level: Level::Privileged, version: Version::Latest };
const STRICT: Demand = Demand { level: Level::Restricted, version: Version::Latest };
const PREFIX: &str = "pod-security.kubernetes.io/";

type Labels = BTreeMap<String, String>;

/// What `mode` (`enforce`, `warn`, `audit`) asks of the namespace's pods. A label that cannot be read asks for the most
/// when it is about what is refused, else for nothing.
pub(crate) fn demand(labels: Option<&Labels>, mode: &str) -> Demand {
    let get = |key: String| labels.and_then(|l| l.get(&key)).map(String::as_str);
    let worst = if mode == "enforce" { STRICT } else { FREE };
    let level = match get(format!("{PREFIX}{mode}")).map(parse_level) {
        None => Some(Level::Privileged),
        Some(level) => level,
    };
    let version = match get(format!("{PREFIX}{mode}-version")).map(parse_version) {
        None => Some(Version::Latest),
        Some(version) => version,
    };
    match (level, version) {
        (Some(level), Some(version)) => Demand { level, version },
        _ => worst,
    }
}

fn parse_level(text: &str) -> Option<Level> {
    match text {
        "privileged" => Some(Level::Privileged),
        "baseline" => Some(Level::Baseline),
        "restricted" => Some(Level::Restricted),
        _ => None,
    }
}

fn parse_version(text: &str) -> Option<Version> {
    if text == "latest" {
        return Some(Version::Latest);
    }
    let minor = text.strip_prefix("v1.")?;
    let plain = !minor.is_empty() && minor.bytes().all(|b| b.is_ascii_digit());
    let plain = plain && (minor == "0" || !minor.starts_with('0'));
    plain.then(|| minor.parse().ok().map(Version::Minor)).flatten()
}

/// Labels that say nothing known.
pub(crate) fn errors(labels: Option<&Labels>) -> ErrorList {
    let path = Path::new("metadata").child("labels");
    let mut errs = ErrorList::new();
    for mode in ["enforce", "audit", "warn"] {
        let level = format!("{PREFIX}{mode}");
        let version = format!("{level}-version");
        if let Some(text) = labels.and_then(|l| l.get(&level)).filter(|t| parse_level(t).is_none()) {
            let why = "must be one of privileged, baseline, restricted";
            errs.push(Error::invalid(&path.key(&level), text, why));
        }
        if let Some(text) = labels.and_then(|l| l.get(&version)).filter(|t| parse_version(t).is_none()) {
            errs.push(Error::invalid(&path.key(&version), text, "must be \"latest\" or \"v1.x\""));
        }
    }
    errs
}
