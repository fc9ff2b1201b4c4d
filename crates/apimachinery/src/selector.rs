//! Label and field selectors: their text, and what they select.
//!
//! Contract: <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors>

mod field_selector;
mod parse;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

pub use field_selector::{FieldRequirement, FieldSelector};

use crate::field::{Error, ErrorList, Path, Raw};
use crate::meta::Meta;
use crate::names;

/// What selectors look at.
pub trait Labels {
    /// The label's value.
    fn label(&self, key: &str) -> Option<&str>;
}

impl Labels for Meta {
    fn label(&self, key: &str) -> Option<&str> {
        Meta::label(self, key)
    }
}

impl Labels for BTreeMap<String, String> {
    fn label(&self, key: &str) -> Option<&str> {
        self.get(key).map(String::as_str)
    }
}

impl Labels for Option<BTreeMap<String, String>> {
    fn label(&self, key: &str) -> Option<&str> {
        self.as_ref()?.get(key).map(String::as_str)
    }
}

/// Sorted by key, as in [`Meta::labels`].
impl Labels for [(Arc<str>, Arc<str>)] {
    fn label(&self, key: &str) -> Option<&str> {
        let at = self.binary_search_by(|(k, _)| (**k).cmp(key)).ok()?;
        Some(&self[at].1)
    }
}

/// How a requirement relates a label to its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operator {
    In,
    NotIn,
    Equals,
    DoubleEquals,
    NotEquals,
    Exists,
    DoesNotExist,
    GreaterThan,
    LessThan,
}

impl Operator {
    /// As upstream's parser and messages name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Operator::In => "in",
            Operator::NotIn => "notin",
            Operator::Equals => "=",
            Operator::DoubleEquals => "==",
            Operator::NotEquals => "!=",
            Operator::Exists => "exists",
            Operator::DoesNotExist => "!",
            Operator::GreaterThan => "gt",
            Operator::LessThan => "lt",
        }
    }

    /// As written in `matchExpressions` of label selectors (`In`, `NotIn`, `Exists`, `DoesNotExist`) and of node
    /// selectors (`Gt`, `Lt` too).
    pub fn from_expression(text: &str) -> Option<Self> {
        Some(match text {
            "In" => Operator::In,
            "NotIn" => Operator::NotIn,
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            "Gt" => Operator::GreaterThan,
            "Lt" => Operator::LessThan,
            _ => return None,
        })
    }
}

/// One condition on one label.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Requirement {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

impl Requirement {
    /// Checks key and values as upstream does; `path` names the place in errors (`Path::default()` for none).
    pub fn new(key: &str, operator: Operator, values: Vec<String>, path: &Path) -> Result<Self, ErrorList> {
        let mut errs = ErrorList::new();
        if let Some(e) = key_error(key, &path.child("key")) {
            errs.push(e);
        }
        errs.extend(values_errors(key, operator, &values, &path.child("values")));
        match errs.is_empty() {
            true => Ok(Requirement { key: key.into(), operator, values }),
            false => Err(errs),
        }
    }

    pub fn key(&self) -> &str {
        &self.key
    }

    pub fn operator(&self) -> Operator {
        self.operator
    }

    pub fn values(&self) -> &[String] {
        &self.values
    }

    pub fn matches<L: Labels + ?Sized>(&self, labels: &L) -> bool {
        let value = labels.label(&self.key);
        let among = |v: &str| self.values.iter().any(|x| x == v);
        match self.operator {
            Operator::In | Operator::Equals | Operator::DoubleEquals => value.is_some_and(among),
            Operator::NotIn | Operator::NotEquals => !value.is_some_and(among),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::GreaterThan => self.compares(value, |label, bound| label > bound),
            Operator::LessThan => self.compares(value, |label, bound| label < bound),
        }
    }

    fn compares(&self, value: Option<&str>, holds: impl Fn(i64, i64) -> bool) -> bool {
        let bound = self.values.first().and_then(|v| v.parse().ok());
        let label = value.and_then(|v| v.parse().ok());
        label.zip(bound).is_some_and(|(label, bound)| holds(label, bound))
    }
}

fn key_error(key: &str, path: &Path) -> Option<Error> {
    let messages = names::qualified_name(key);
    (!messages.is_empty()).then(|| Error::invalid(path, key, messages.join("; ")))
}

fn values_errors(key: &str, operator: Operator, values: &[String], path: &Path) -> ErrorList {
    let count = |detail: &str| {
        Error::invalid(path, Raw(serde_json::Value::from(values.to_vec()).to_string()), detail)
    };
    let mut errs = ErrorList::new();
    match operator {
        Operator::In | Operator::NotIn if values.is_empty() => {
            errs.push(count("for 'in', 'notin' operators, values set can't be empty"));
        }
        Operator::Equals | Operator::DoubleEquals | Operator::NotEquals if values.len() != 1 => {
            errs.push(count("exact-match compatibility requires one single value"));
        }
        Operator::Exists | Operator::DoesNotExist if !values.is_empty() => {
            errs.push(count("values set must be empty for exists and does not exist"));
        }
        Operator::GreaterThan | Operator::LessThan => {
            if values.len() != 1 {
                errs.push(count("for 'Gt', 'Lt' operators, exactly one value is required"));
            }
            for (i, value) in values.iter().enumerate().filter(|(_, v)| v.parse::<i64>().is_err()) {
                let detail = "for 'Gt', 'Lt' operators, the value must be an integer";
                errs.push(Error::invalid(&path.index(i), value, detail));
            }
        }
        _ => {}
    }
    for (i, value) in values.iter().enumerate() {
        let messages = names::label_value(value);
        if !messages.is_empty() {
            errs.push(Error::invalid(&path.index(i).key(key), value, messages.join("; ")));
        }
    }
    errs
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = || {
            let mut sorted: Vec<&str> = self.values.iter().map(String::as_str).collect();
            sorted.sort_unstable();
            sorted.join(",")
        };
        let key = &self.key;
        match self.operator {
            Operator::Exists => f.write_str(key),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::In => write!(f, "{key} in ({})", values()),
            Operator::NotIn => write!(f, "{key} notin ({})", values()),
            Operator::Equals => write!(f, "{key}={}", values()),
            Operator::DoubleEquals => write!(f, "{key}=={}", values()),
            Operator::NotEquals => write!(f, "{key}!={}", values()),
            Operator::GreaterThan => write!(f, "{key}>{}", values()),
            Operator::LessThan => write!(f, "{key}<{}", values()),
        }
    }
}

/// All of its requirements have to hold; none selects everything. [`Selector::nothing`] selects nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Selector {
    nothing: bool,
    /// Sorted by key.
    requirements: Vec<Requirement>,
}

/// One of `matchExpressions`, as plain values.
#[derive(Clone, Copy, Debug)]
pub struct Expression<'a> {
    pub key: &'a str,
    /// `In`, `NotIn`, `Exists` or `DoesNotExist`
    pub operator: &'a str,
    pub values: &'a [String],
}

impl Selector {
    pub fn everything() -> Self {
        Self::default()
    }

    pub fn nothing() -> Self {
        Selector { nothing: true, requirements: Vec::new() }
    }

    /// Reads `a=b,c!=d,e in (x,y),!f,g>1`. The error is upstream's text.
    pub fn parse(text: &str) -> Result<Self, String> {
        Ok(Self::from_requirements(parse::requirements(text)?))
    }

    /// Exactly these labels; not validated. Empty selects everything.
    pub fn from_set<'a>(labels: impl IntoIterator<Item = (&'a String, &'a String)>) -> Self {
        Self::from_requirements(labels.into_iter().map(|(k, v)| equals(k, v)).collect())
    }

    /// A `meta/v1.LabelSelector` that is present; an absent one is [`Selector::nothing`]. Not validated but for operators.
    pub fn from_label_selector<'a>(
        match_labels: impl IntoIterator<Item = (&'a String, &'a String)>,
        match_expressions: impl IntoIterator<Item = Expression<'a>>,
    ) -> Result<Self, String> {
        let mut requirements: Vec<_> = match_labels.into_iter().map(|(k, v)| equals(k, v)).collect();
        for e in match_expressions {
            let operator = match Operator::from_expression(e.operator) {
                Some(op @ (Operator::In | Operator::NotIn | Operator::Exists | Operator::DoesNotExist)) => op,
                _ => return Err(format!("{:?} is not a valid label selector operator", e.operator)),
            };
            let new = Requirement::new(e.key, operator, e.values.to_vec(), &Path::default());
            requirements.push(new.map_err(|errs| errs.aggregate())?);
        }
        Ok(Self::from_requirements(requirements))
    }

    /// All of `requirements` have to hold.
    pub fn from_requirements(mut requirements: Vec<Requirement>) -> Self {
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Selector { nothing: false, requirements }
    }

    pub fn matches<L: Labels + ?Sized>(&self, labels: &L) -> bool {
        !self.nothing && self.requirements.iter().all(|r| r.matches(labels))
    }

    /// Selects everything.
    pub fn is_empty(&self) -> bool {
        !self.nothing && self.requirements.is_empty()
    }

    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// The one value that `key` must have, when the selector asks for one.
    pub fn requires_exact(&self, key: &str) -> Option<&str> {
        let requirement = self.requirements.iter().find(|r| r.key == key)?;
        match (requirement.operator, &requirement.values[..]) {
            (Operator::Equals | Operator::DoubleEquals | Operator::In, [value]) => Some(value),
            _ => None,
        }
    }
}

fn equals(key: &str, value: &str) -> Requirement {
    Requirement { key: key.into(), operator: Operator::Equals, values: vec![value.into()] }
}

impl fmt::Display for Selector {
    /// In the syntax that [`Selector::parse`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, requirement) in self.requirements.iter().enumerate() {
            write!(f, "{}{requirement}", if i > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}
