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

/// What a namespace asks of its pods: what is refused, what is noted, what is warned of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    pub enforce: Demand,
    pub audit: Demand,
    pub warn: Demand,
}

impl Default for Policy {
    fn default() -> Self {
        const FREE: Demand = Demand { level: Level::Privileged, version: Version::Latest };
        Policy { enforce: FREE, audit: FREE, warn: FREE }
    }
}

impl Policy {
    /// Each mode's name, as labels and files have it, with what it asks for.
    pub fn modes(&mut self) -> [(&'static str, &mut Demand); 3] {
        [("enforce", &mut self.enforce), ("audit", &mut self.audit), ("warn", &mut self.warn)]
    }

    /// Of the modes that `labels` speak of, those that ask for anything: `enforce=baseline:latest, warn=…`.
    pub fn compact(mut self, labels: Option<&Labels>) -> String {
        let has = |label: &str| labels.is_some_and(|l| l.contains_key(label));
        let named = |mode: &str| has(&level_label(mode)) || has(&version_label(mode));
        let asked = self.modes().into_iter().filter(|(mode, d)| d.level > Level::Privileged && named(mode));
        asked.map(|(mode, demand)| format!("{mode}={demand}")).collect::<Vec<_>>().join(", ")
    }

    /// No mode asks for anything.
    pub fn is_free(mut self) -> bool {
        self.modes().iter().all(|(_, demand)| demand.level == Level::Privileged)
    }
}

pub(crate) type Labels = BTreeMap<String, String>;

fn level_label(mode: &str) -> String {
    format!("pod-security.kubernetes.io/{mode}")
}

fn version_label(mode: &str) -> String {
    format!("pod-security.kubernetes.io/{mode}-version")
}

/// What the namespace's labels ask for, and where they are silent `defaults`. A level that cannot be read asks for the most
/// where pods are refused by it, else for nothing; such a version is the latest.
pub(crate) fn policy(labels: Option<&Labels>, defaults: Policy) -> Policy {
    let mut policy = defaults;
    let Some(labels) = labels else { return policy };
    for (mode, demand) in policy.modes() {
        if let Some(text) = labels.get(&level_label(mode)) {
            let worst = if mode == "enforce" { Level::Restricted } else { Level::Privileged };
            demand.level = parse_level(text).unwrap_or(worst);
        }
        if let Some(text) = labels.get(&version_label(mode)) {
            demand.version = parse_version(text).unwrap_or(Version::Latest);
        }
    }
    policy
}

pub(super) const BAD_LEVEL: &str = "must be one of privileged, baseline, restricted";
pub(super) const BAD_VERSION: &str = "must be \"latest\" or \"v1.x\"";

pub(super) fn parse_level(text: &str) -> Option<Level> {
    match text {
        "privileged" => Some(Level::Privileged),
        "baseline" => Some(Level::Baseline),
        "restricted" => Some(Level::Restricted),
        _ => None,
    }
}

pub(super) fn parse_version(text: &str) -> Option<Version> {
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
        let (level, version) = (level_label(mode), version_label(mode));
        if let Some(text) = labels.and_then(|l| l.get(&level)).filter(|t| parse_level(t).is_none()) {
            errs.push(Error::invalid(&path.key(&level), text, BAD_LEVEL));
        }
        if let Some(text) = labels.and_then(|l| l.get(&version)).filter(|t| parse_version(t).is_none()) {
            errs.push(Error::invalid(&path.key(&version), text, BAD_VERSION));
        }
    }
    errs
}
