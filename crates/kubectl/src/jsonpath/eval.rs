//! From steps and an object to values.

use std::cmp::Ordering;

use serde_json::Value;

use super::{Node, Operand, Step};

/// What a template yields, in order.
pub(super) enum Part<'t> {
    Text(&'t str),
    Found(Vec<Value>),
}

pub(super) fn nodes(
    all: &[Node],
    root: &Value,
    current: &Value,
    allow_missing: bool,
    each: &mut dyn FnMut(Part<'_>),
) -> Result<(), String> {
    for node in all {
        match node {
            Node::Text(text) => each(Part::Text(text)),
            Node::Path(path) => each(Part::Found(owned(steps(path, root, current, allow_missing)?))),
            Node::Range(path, inner) => {
                for item in steps(path, root, current, allow_missing)? {
                    nodes(inner, root, &item, allow_missing, each)?;
                }
            }
        }
    }
    Ok(())
}

fn owned(found: Vec<std::borrow::Cow<'_, Value>>) -> Vec<Value> {
    found.into_iter().map(std::borrow::Cow::into_owned).collect()
}

type Found<'v> = Vec<std::borrow::Cow<'v, Value>>;

fn steps<'v>(
    path: &[Step],
    root: &'v Value,
    current: &'v Value,
    allow_missing: bool,
) -> Result<Found<'v>, String> {
    let mut found: Vec<&'v Value> = vec![current];
    for (at, step) in path.iter().enumerate() {
        let mut next: Vec<&'v Value> = Vec::new();
        match step {
            // `$` and `@` both stay where one is: stock knows no other root inside a range.
            Step::Root => next = found,
            Step::Literal(value) => return Ok(vec![std::borrow::Cow::Owned(value.clone())]),
            Step::Union(parts) => {
                let mut all: Found<'v> = Vec::new();
                for value in &found {
                    for part in parts {
                        all.extend(steps(part, root, value, allow_missing)?);
                    }
                }
                let mut rest: Found<'v> = Vec::new();
                for value in all {
                    match (value, &path[at + 1..]) {
                        (value, []) => rest.push(value),
                        (std::borrow::Cow::Borrowed(value), more) => {
                            rest.extend(steps(more, root, value, allow_missing)?);
                        }
                        (std::borrow::Cow::Owned(value), _) => rest.push(std::borrow::Cow::Owned(value)),
                    }
                }
                return Ok(rest);
            }
            _ => {
                // After `..` every object is looked into, whether it has the field or not.
                let lenient = allow_missing || at > 0 && path[at - 1] == Step::Recursive;
                for value in found {
                    one(step, root, value, lenient, &mut next)?;
                }
            }
        }
        found = next;
    }
    Ok(found.into_iter().map(std::borrow::Cow::Borrowed).collect())
}

fn one<'v>(
    step: &Step,
    root: &'v Value,
    value: &'v Value,
    allow_missing: bool,
    next: &mut Vec<&'v Value>,
) -> Result<(), String> {
    match step {
        Step::Field(name) => match value.get(name.as_str()) {
            Some(Value::Null) => {}
            Some(found) => next.push(found),
            None if allow_missing => {}
            None => return Err(format!("{name} is not found")),
        },
        Step::Wildcard => match value {
            Value::Array(list) => next.extend(list),
            Value::Object(map) => next.extend(map.values()),
            _ => {}
        },
        Step::Recursive => recurse(value, next),
        Step::Slice { from, to, step, single } => {
            slice(value, (*from, *to, *step), *single, allow_missing, next)?
        }
        Step::Filter(left, operator, right) => {
            let list: Vec<&Value> = match value {
                Value::Array(list) => list.iter().collect(),
                Value::Object(map) => map.values().collect(),
                Value::Null => Vec::new(),
                other => {
                    return Err(format!(
                        "{} is not array or slice and cannot be filtered",
                        super::shown(other)
                    ));
                }
            };
            for item in list {
                if holds(item, root, left, operator, right)? {
                    next.push(item);
                }
            }
        }
        Step::Root | Step::Literal(_) | Step::Union(_) => {}
    }
    Ok(())
}

fn recurse<'v>(value: &'v Value, found: &mut Vec<&'v Value>) {
    match value {
        Value::Array(list) => {
            found.push(value);
            list.iter().for_each(|item| recurse(item, found));
        }
        Value::Object(map) => {
            found.push(value);
            map.values().for_each(|item| recurse(item, found));
        }
        _ => {}
    }
}

fn slice<'v>(
    value: &'v Value,
    (from, to, step): (Option<i64>, Option<i64>, Option<i64>),
    single: bool,
    allow_missing: bool,
    found: &mut Vec<&'v Value>,
) -> Result<(), String> {
    let list = match value {
        Value::Array(list) => list,
        Value::Null => return Ok(()),
        other => return Err(format!("{} is not array or slice", super::shown(other))),
    };
    let length = i64::try_from(list.len()).unwrap_or(i64::MAX);
    let real = |n: i64| if n < 0 { n + length } else { n };
    let start = real(from.unwrap_or(0));
    if single {
        match usize::try_from(start).ok().and_then(|s| list.get(s)) {
            Some(item) => found.push(item),
            None if allow_missing && list.is_empty() => {}
            None => {
                return Err(format!(
                    "array index out of bounds: index {}, length {length}",
                    from.unwrap_or(0)
                ));
            }
        }
        return Ok(());
    }
    let end = to.map_or(length, real);
    let step = step.unwrap_or(1);
    if step <= 0 {
        return Err("step must be > 0".into());
    }
    if start > length || start < 0 {
        return Err(format!("array index out of bounds: index {start}, length {length}"));
    }
    if end > length || end < 0 {
        return Err(format!("array index out of bounds: index {}, length {length}", end - 1));
    }
    let range = usize::try_from(start).unwrap_or(0)..usize::try_from(end.max(start)).unwrap_or(0);
    found.extend(list[range].iter().step_by(usize::try_from(step).unwrap_or(1)));
    Ok(())
}

fn holds(
    item: &Value,
    root: &Value,
    left: &Operand,
    operator: &str,
    right: &Operand,
) -> Result<bool, String> {
    let side = |operand: &Operand| -> Result<Vec<Value>, String> {
        match operand {
            Operand::Path(path) => Ok(owned(steps(path, root, item, true)?)),
            Operand::Value(value) => Ok(vec![value.clone()]),
            Operand::None => Ok(Vec::new()),
        }
    };
    let lefts = side(left)?;
    if operator == "exists" {
        return Ok(!lefts.is_empty());
    }
    let rights = side(right)?;
    if lefts.len() > 1 || rights.len() > 1 {
        return Err("can only compare one element at a time".into());
    }
    let (Some(left), Some(right)) = (lefts.first(), rights.first()) else { return Ok(false) };
    let order = match (left, right) {
        (Value::Number(a), Value::Number(b)) => a.as_f64().partial_cmp(&b.as_f64()),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        _ => None,
    };
    Ok(match (operator, order) {
        ("!=", None) => true,
        (_, None) => return Err("incompatible types for comparison".into()),
        ("==", Some(o)) => o.is_eq(),
        ("!=", Some(o)) => o.is_ne(),
        ("<", Some(o)) => o == Ordering::Less,
        (">", Some(o)) => o == Ordering::Greater,
        ("<=", Some(o)) => o.is_le(),
        (_, Some(o)) => o.is_ge(),
    })
}
