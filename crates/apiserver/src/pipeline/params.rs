//! Query parameters, parsed once.

use std::num::IntErrorKind;
use std::time::Duration;

use apimachinery::Status;

use super::path::decode;

/// Every query parameter the API knows, and the raw pairs for those that a subresource knows.
#[derive(Clone, Debug, Default)]
pub struct Params {
    pub label_selector: String,
    pub field_selector: String,
    pub watch: bool,
    pub allow_watch_bookmarks: bool,
    pub send_initial_events: Option<bool>,
    pub resource_version: String,
    pub resource_version_match: String,
    pub timeout: Option<Duration>,
    pub limit: u64,
    pub continue_token: String,
    /// Every `dryRun`; only `All` is valid.
    pub dry_run: Vec<String>,
    pub field_manager: String,
    pub field_validation: String,
    pub force: Option<bool>,
    pub grace_period_seconds: Option<i64>,
    pub orphan_dependents: Option<bool>,
    pub propagation_policy: Option<String>,
    pub pretty: bool,
    /// `includeObject` of Tables: `None`, `Metadata` (default) or `Object`.
    pub include_object: String,
    /// All pairs, decoded, in order.
    pub raw: Vec<(String, String)>,
}

impl Params {
    /// Parses what follows the `?`.
    pub fn parse(query: &str) -> Result<Params, Status> {
        let mut params = Params { raw: pairs(query), ..Params::default() };
        for (key, value) in params.raw.clone() {
            params.set(&key, value)?;
        }
        Ok(params)
    }

    fn set(&mut self, key: &str, value: String) -> Result<(), Status> {
        match key {
            "labelSelector" => self.label_selector = value,
            "fieldSelector" => self.field_selector = value,
            "watch" => self.watch = flag(&value),
            "allowWatchBookmarks" => self.allow_watch_bookmarks = flag(&value),
            "sendInitialEvents" => self.send_initial_events = Some(flag(&value)),
            "resourceVersion" => self.resource_version = value,
            "resourceVersionMatch" => self.resource_version_match = value,
            "timeoutSeconds" => {
                let seconds = integer(&value)?;
                self.timeout = u64::try_from(seconds).ok().filter(|s| *s > 0).map(Duration::from_secs);
            }
            "timeout" => duration(&value)?,
            "limit" => {
                self.limit = u64::try_from(integer(&value)?).unwrap_or_default();
            }
            "continue" => self.continue_token = value,
            "dryRun" if !value.is_empty() => self.dry_run.push(value),
            "fieldManager" => self.field_manager = value,
            "fieldValidation" => self.field_validation = value,
            "force" => self.force = Some(flag(&value)),
            "gracePeriodSeconds" => self.grace_period_seconds = Some(integer(&value)?),
            "orphanDependents" => self.orphan_dependents = Some(flag(&value)),
            "propagationPolicy" => self.propagation_policy = Some(value),
            "pretty" => self.pretty = flag(&value),
            "includeObject" => self.include_object = value,
            _ => {}
        }
        Ok(())
    }

    /// The first value of a raw parameter.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.raw.iter().find(|(k, _)| k == key).map(|(_, v)| &**v)
    }
}

/// Splits and decodes `a=1&b=x+y`.
pub fn pairs(query: &str) -> Vec<(String, String)> {
    let plus = |s: &str| decode(&s.replace('+', " "));
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (plus(key), plus(value))
        })
        .collect()
}

/// As upstream reads booleans in queries: absent of a value is true, `false` and `0` are false, all else is true.
fn flag(value: &str) -> bool {
    !matches!(value.to_ascii_lowercase().as_str(), "false" | "0")
}

fn integer(value: &str) -> Result<i64, Status> {
    if value.is_empty() {
        return Ok(0);
    }
    value.parse::<i64>().map_err(|e| {
        let why = match e.kind() {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        Status::bad_request(format!("strconv.ParseInt: parsing {value:?}: {why}"))
    })
}

/// How long the client wants to wait for an answer, as Go writes durations. No request here takes so long that it would be
/// cut short, but what is no duration is refused.
fn duration(value: &str) -> Result<(), Status> {
    let refuse = |why: String| {
        Err(Status::bad_request(format!("invalid timeout specified in the request URL - time: {why}")))
    };
    let mut rest = value.trim_start_matches(['-', '+']);
    if value.is_empty() || rest == "0" {
        return Ok(());
    }
    if rest.is_empty() || value.len() > rest.len() + 1 {
        return refuse(format!("invalid duration {value:?}"));
    }
    while !rest.is_empty() {
        let number = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        let (digits, more) = rest.split_at(number);
        if !digits.contains(|c: char| c.is_ascii_digit()) || digits.matches('.').count() > 1 {
            return refuse(format!("invalid duration {value:?}"));
        }
        let unit = more.len() - more.trim_start_matches(|c: char| !c.is_ascii_digit() && c != '.').len();
        let (unit, more) = more.split_at(unit);
        match unit {
            "ns" | "us" | "µs" | "μs" | "ms" | "s" | "m" | "h" => rest = more,
            "" => return refuse(format!("missing unit in duration {value:?}")),
            unit => return refuse(format!("unknown unit {unit:?} in duration {value:?}")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_queries() {
        let p = Params::parse("labelSelector=a%3Db%2Cc&watch=1&limit=5&timeoutSeconds=9&x=a+b&dryRun=All")
            .unwrap();
        assert_eq!((&*p.label_selector, p.watch, p.limit), ("a=b,c", true, 5));
        assert_eq!(p.timeout, Some(Duration::from_secs(9)));
        assert_eq!(p.get("x"), Some("a b"));
        assert_eq!(p.dry_run, ["All"]);
        assert!(!Params::parse("watch=false").unwrap().watch);
        let bad = Params::parse("limit=x").unwrap_err();
        assert_eq!((bad.code, &*bad.message), (400, "strconv.ParseInt: parsing \"x\": invalid syntax"));
    }

    #[test]
    fn refuses_what_go_cannot_read() {
        for (query, expected) in [
            (
                "limit=99999999999999999999",
                "strconv.ParseInt: parsing \"99999999999999999999\": value out of range",
            ),
            ("timeout=x", "invalid timeout specified in the request URL - time: invalid duration \"x\""),
            (
                "timeout=5",
                "invalid timeout specified in the request URL - time: missing unit in duration \"5\"",
            ),
            (
                "timeout=5y",
                "invalid timeout specified in the request URL - time: unknown unit \"y\" in duration \"5y\"",
            ),
        ] {
            assert_eq!(Params::parse(query).unwrap_err().message, expected);
        }
        for query in ["timeout=", "timeout=0", "timeout=1h30m", "timeout=-1.5s"] {
            assert!(Params::parse(query).is_ok(), "{query}");
        }
    }
}
