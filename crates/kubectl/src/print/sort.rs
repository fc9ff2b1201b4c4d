//! `--sort-by`: values of a path, compared as stock does. Start at [`by`].

use std::cmp::Ordering;

use apimachinery::quantity::Quantity;
use serde_json::Value;

use super::custom::relaxed;
use crate::error::{Error, Result};
use crate::jsonpath::JsonPath;

/// Sorts things by the value at `path` of each one's object; those without it come first. `needed`: one at least must have it.
pub fn by<T>(things: &mut Vec<T>, path: &str, needed: bool, object: impl Fn(&T) -> &Value) -> Result<()> {
    let compiled = JsonPath::parse(&relaxed(path)?).map_err(Error::text)?.allow_missing(true);
    let mut keyed = Vec::new();
    let mut any = things.is_empty();
    for thing in things.drain(..) {
        let found = compiled.find(object(&thing)).map_err(Error::text)?;
        let key = found.into_iter().flatten().next();
        any |= key.is_some();
        keyed.push((key, thing));
    }
    if !any && needed {
        return Err(Error::text(format!(
            "couldn't find any field with path \"{}\" in the list of objects",
            relaxed(path)?
        )));
    }
    keyed.sort_by(|a, b| compare(a.0.as_ref(), b.0.as_ref()));
    things.extend(keyed.into_iter().map(|(_, thing)| thing));
    Ok(())
}

fn compare(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    match (a, b) {
        (None, None) => Ordering::Equal,
        (None, _) => Ordering::Less,
        (_, None) => Ordering::Greater,
        (Some(Value::String(a)), Some(Value::String(b))) => texts(a, b),
        (Some(Value::Number(a)), Some(Value::Number(b))) => {
            a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal)
        }
        (Some(Value::Bool(a)), Some(Value::Bool(b))) => a.cmp(b),
        (Some(a), Some(b)) => a.to_string().cmp(&b.to_string()),
    }
}

/// Times and quantities by what they mean, names with numbers naturally.
fn texts(a: &str, b: &str) -> Ordering {
    if let (Ok(a), Ok(b)) = (a.parse::<jiff::Timestamp>(), b.parse::<jiff::Timestamp>()) {
        return a.cmp(&b);
    }
    if let (Ok(a), Ok(b)) = (Quantity::parse(a), Quantity::parse(b)) {
        return a.approximate().partial_cmp(&b.approximate()).unwrap_or(Ordering::Equal);
    }
    natural(a, b)
}

/// Runs of digits by their value, the rest by its letters.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        match (a.chars().next(), b.chars().next()) {
            (None, None) => return Ordering::Equal,
            (None, _) => return Ordering::Less,
            (_, None) => return Ordering::Greater,
            (Some(x), Some(y)) if x.is_ascii_digit() && y.is_ascii_digit() => {
                let cut = |s: &str| s.find(|c: char| !c.is_ascii_digit()).unwrap_or(s.len());
                let (na, nb) = (&a[..cut(a)], &b[..cut(b)]);
                let (va, vb) = (na.trim_start_matches('0'), nb.trim_start_matches('0'));
                let order = va.len().cmp(&vb.len()).then_with(|| va.cmp(vb));
                if order.is_ne() {
                    return order;
                }
                (a, b) = (&a[na.len()..], &b[nb.len()..]);
            }
            (Some(x), Some(y)) if x == y => (a, b) = (&a[x.len_utf8()..], &b[y.len_utf8()..]),
            (Some(x), Some(y)) => return x.cmp(&y),
        }
    }
}
