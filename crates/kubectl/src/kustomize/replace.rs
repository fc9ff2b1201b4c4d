//! Replacements: a value of one field put into others. Start at [`replace`].

use regex::Regex;
use serde_json::{Value, json};

use super::Res;
use super::load::Loader;
use super::resource::{Gvk, Resource, Set};
use super::select::{Target, wrong_pattern};

/// Does one item of `replacements`; or those of the file that it names.
pub fn replace(config: &Value, loader: &Loader, set: &mut Set) -> Res<()> {
    if let Some(path) = config["path"].as_str().filter(|p| !p.is_empty()) {
        if !config["source"].is_null() || !config["targets"].is_null() {
            return Err("cannot specify both path and inline replacement".into());
        }
        let read = codec::yaml::to_value(loader.text(path)?.as_bytes())?;
        return match read {
            Value::Array(all) => all.iter().try_for_each(|one| replace_one(one, set)),
            one @ Value::Object(_) => replace_one(&one, set),
            _ => Err(format!("unsupported replacement type encountered within replacement path: {path}")),
        };
    }
    replace_one(config, set)
}

fn replace_one(config: &Value, set: &mut Set) -> Res<()> {
    if config["source"].is_null() && config["sourceValue"].is_null() || config["targets"].is_null() {
        return Err("replacements must specify a source and at least one target".into());
    }
    let value = match &config["sourceValue"] {
        Value::Null => source(&config["source"], set)?,
        _ if !config["source"].is_null() => {
            return Err("value and resource selectors are mutually exclusive".into());
        }
        value => value.clone(),
    };
    let targets = config["targets"].as_array().into_iter().flatten();
    targets.into_iter().try_for_each(|target| put(target, &value, set))
}

/// A path's parts: dots between them, `[name=x]` whole, `\.` a dot.
fn parts(path: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut inside, mut chars) = (false, path.chars().peekable());
    while let Some(c) = chars.next() {
        let last = parts.last_mut();
        match (c, last) {
            ('\\', Some(last)) if chars.peek() == Some(&'.') => {
                chars.next();
                last.push('.');
            }
            ('.', _) if !inside => parts.push(String::new()),
            (c, Some(last)) => {
                inside = match c {
                    '[' => true,
                    ']' => false,
                    _ => inside,
                };
                last.push(c);
            }
            (_, None) => {}
        }
    }
    parts.into_iter().filter(|p| !p.is_empty()).map(|p| unwrapped(&p)).collect()
}

/// `[a.b/c]` is the field `a.b/c`; `[a=b]` stays a condition.
fn unwrapped(part: &str) -> String {
    match part.strip_prefix('[').and_then(|p| p.strip_suffix(']')) {
        Some(inner) if !inner.contains('=') => inner.to_owned(),
        _ => part.to_owned(),
    }
}

/// `[key=value]`
fn condition(part: &str) -> Option<(&str, &str)> {
    part.strip_prefix('[')?.strip_suffix(']')?.split_once('=')
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn lookup<'v>(value: &'v Value, parts: &[String]) -> Option<&'v Value> {
    let Some((first, rest)) = parts.split_first() else { return Some(value) };
    let next = match (value, condition(first)) {
        (Value::Array(list), Some(("", wanted))) => list.iter().find(|item| shown(item) == wanted),
        (Value::Array(list), Some((key, wanted))) => list.iter().find(|item| shown(&item[key]) == wanted),
        (Value::Array(list), None) if first == "-" => list.last(),
        (Value::Array(list), None) => list.get(first.parse::<usize>().ok()?),
        (Value::Object(map), None) => map.get(first),
        _ => None,
    };
    lookup(next?, rest)
}

fn source(source: &Value, set: &Set) -> Res<Value> {
    let text = |key: &str| source[key].as_str().unwrap_or_default();
    let gvk = Gvk { group: text("group").into(), version: text("version").into(), kind: text("kind").into() };
    let (name, namespace) = (text("name"), text("namespace"));
    let fits = |r: &&Resource| {
        r.was(|id| {
            id.gvk.is_selected(&gvk)
                && (name.is_empty() || id.name == name)
                && (namespace.is_empty() || id.effective_namespace() == namespace)
        })
    };
    let selector = super::resource::Id { gvk: gvk.clone(), name: name.into(), namespace: namespace.into() };
    let found: Vec<&Resource> = set.0.iter().filter(fits).collect();
    let from = match found.as_slice() {
        [one] => one,
        [] => return Err(format!("nothing selected by {selector}")),
        _ => return Err(format!("multiple matches for selector {selector}")),
    };
    let path = if text("fieldPath").is_empty() { "metadata.name" } else { text("fieldPath") };
    let value = lookup(&from.value, &parts(path)).filter(|v| !v.is_null());
    let Some(value) = value else {
        return Err(format!("fieldPath `{path}` is missing for replacement source {selector}"));
    };
    let options = &source["options"];
    let delimiter = options["delimiter"].as_str().unwrap_or_default();
    if delimiter.is_empty() {
        return Ok(value.clone());
    }
    if value.is_array() || value.is_object() {
        return Err("delimiter option can only be used with scalar nodes".into());
    }
    let whole = shown(value);
    let index = options["index"].as_i64().unwrap_or_default();
    let part = usize::try_from(index).ok().and_then(|at| whole.split(delimiter).nth(at));
    part.map(Value::from).ok_or_else(|| format!("options.index {index} is out of bounds for value {whole}"))
}

fn put(target: &Value, value: &Value, set: &mut Set) -> Res<()> {
    if target["select"].is_null() {
        return Err("target must specify resources to select".into());
    }
    let texts = |list: &Value| -> Vec<String> {
        list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut paths = texts(&target["fieldPaths"]);
    if paths.is_empty() {
        paths.push("metadata.name".into());
    }
    let mut places = Target::read(&target["select"])?.places(set)?;
    for reject in target["reject"].as_array().into_iter().flatten() {
        if reject.as_object().is_some_and(|r| r.values().any(|v| v.as_str().is_some_and(|t| !t.is_empty()))) {
            let rejected = Target::read(reject)?.places(set)?;
            places.retain(|at| !rejected.contains(at));
        }
    }
    let options = &target["options"];
    let create = options["create"].as_bool().unwrap_or(false);
    for at in places {
        let resource = &mut set.0[at];
        let before = resource.id();
        for path in &paths {
            let mut found = 0;
            let said = |why: String| {
                let or = if create { "find or create" } else { "find" };
                format!("unable to {or} field {} in replacement target{why}", crate::text::quote(path))
            };
            let make = create.then_some(value);
            reach(&mut resource.value, &parts(path), make, &mut |field| {
                found += 1;
                assign(field, value, options)?;
                // These hold texts only.
                let parts = parts(path);
                if parts.len() == 3
                    && parts[0] == "metadata"
                    && matches!(parts[1].as_str(), "annotations" | "labels")
                {
                    *field = shown(field).into();
                }
                Ok(())
            })
            .map_err(|why| match why {
                Missing::Path(why) => said(format!(": {why}")),
                Missing::Said(why) => why,
            })?;
            if found == 0 {
                return Err(said(String::new()));
            }
        }
        if resource.id() != before {
            resource.previous.push(before);
        }
    }
    Ok(())
}

/// Why a field was not reached.
enum Missing {
    Path(String),
    Said(String),
}

type Assign<'s> = &'s mut dyn FnMut(&mut Value) -> Res<()>;

/// All fields that a path means: `*` is every element, a condition's value is a pattern.
fn reach(value: &mut Value, parts: &[String], make: Option<&Value>, set: Assign<'_>) -> Result<(), Missing> {
    let Some((first, rest)) = parts.split_first() else { return set(value).map_err(Missing::Said) };
    // What is not there yet is a list where a condition or a place is asked for.
    if value.is_null() && make.is_some() {
        *value = if condition(first).is_some() { json!([]) } else { json!({}) };
    }
    match (&mut *value, condition(first)) {
        (Value::Array(list), None) if first == "*" => {
            list.iter_mut().try_for_each(|item| reach(item, rest, make, &mut *set))
        }
        (Value::Object(map), None) if first == "*" => {
            map.values_mut().try_for_each(|item| reach(item, rest, make, &mut *set))
        }
        (Value::Array(list), Some((key, wanted))) => {
            let pattern = Regex::new(wanted).map_err(|_| Missing::Path(wrong_pattern(wanted)))?;
            let mut any = false;
            for item in list.iter_mut() {
                let field = if key.is_empty() { &*item } else { &item[key] };
                if !field.is_null() && pattern.is_match(&shown(field)) {
                    any = true;
                    reach(item, rest, make, &mut *set)?;
                }
            }
            if !any && make.is_some() {
                let mut item = if key.is_empty() { json!(wanted) } else { json!({ key: wanted }) };
                reach(&mut item, rest, make, set)?;
                list.push(item);
            }
            Ok(())
        }
        (Value::Array(list), None) if first == "-" => match list.last_mut() {
            Some(item) => reach(item, rest, make, set),
            None => Ok(()),
        },
        (Value::Array(list), None) => match first.parse::<usize>() {
            Ok(at) if at < list.len() => reach(&mut list[at], rest, make, set),
            Ok(at) if make.is_some() && at == list.len() => {
                let mut item = Value::Null;
                reach(&mut item, rest, make, set)?;
                list.push(item);
                Ok(())
            }
            Ok(at) if make.is_some() => {
                Err(Missing::Path(format!("index {at} specified but only {} elements found", list.len())))
            }
            _ => Ok(()),
        },
        (Value::Object(map), None) => {
            if !map.contains_key(first) && make.is_some() {
                let new = match (rest.is_empty(), make) {
                    (true, Some(Value::Object(_))) => json!({}),
                    (true, Some(Value::Array(_))) => json!([]),
                    _ => Value::Null,
                };
                map.insert(first.clone(), new);
            }
            map.get_mut(first).map_or(Ok(()), |inner| reach(inner, rest, make, set))
        }
        _ => Ok(()),
    }
}

/// Puts the value, or a part of it, where it belongs. Scalars keep the type that they had.
fn assign(field: &mut Value, value: &Value, options: &Value) -> Res<()> {
    let delimiter = options["delimiter"].as_str().unwrap_or_default();
    let scalar = |v: &Value| !(v.is_array() || v.is_object());
    let value = match delimiter {
        "" => value.clone(),
        delimiter => {
            if !scalar(field) {
                return Err("delimiter option can only be used with scalar nodes".into());
            }
            let whole = shown(field);
            let mut parts: Vec<String> = whole.split(delimiter).map(str::to_owned).collect();
            let new = shown(value);
            match usize::try_from(options["index"].as_i64().unwrap_or_default()) {
                Err(_) => parts.insert(0, new),
                Ok(at) if at >= parts.len() => parts.push(new),
                Ok(at) => parts[at] = new,
            }
            parts.join(delimiter).into()
        }
    };
    *field = match (&*field, value) {
        (Value::String(_), new) if scalar(&new) => Value::String(shown(&new)),
        // What is no scalar has no text.
        (Value::String(_), _) => json!(""),
        (Value::Number(_) | Value::Bool(_), Value::Object(_) | Value::Array(_)) => {
            let tag = tag(field);
            return Err(format!(
                "map[string]interface {{}}(nil): yaml: cannot decode !!null `` as a !!{tag}"
            ));
        }
        (Value::Number(_) | Value::Bool(_), Value::String(new)) => {
            let tag = tag(field);
            match codec::yaml::to_value_core(new.as_bytes()) {
                Ok(read @ (Value::Number(_) | Value::Bool(_))) => read,
                _ => {
                    return Err(format!(
                        "map[string]interface {{}}(nil): yaml: cannot decode !!str `{new}` as a !!{tag}"
                    ));
                }
            }
        }
        (_, new) => new,
    };
    Ok(())
}

/// YAML's name of a scalar's type.
fn tag(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_f64() => "float",
        _ => "int",
    }
}
