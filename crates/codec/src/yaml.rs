//! YAML in and out, as sigs.k8s.io/yaml reads and writes it: YAML 1.1 booleans and octal numbers, sorted keys.

mod resolve;
#[cfg(test)]
mod tests;
mod write;

use serde_json::{Number, Value};
use serde_saphyr::{DuplicateKeyPolicy, Error, Options};

/// Deeper documents are refused: reading and writing recurse, on stacks of 2 MiB, with 24 kB a level where nothing is optimised.
const DEPTH_MAX: usize = 64;

/// What aliases may stand for altogether, in nodes: so many, and so many more for each byte of the document, but never more
/// than upstream's parser lets them.
const REPLAYED_MIN: usize = 10_000;
const REPLAYED_PER_BYTE: usize = 2;
const REPLAYED_MAX: usize = 400_000;

/// One document as a JSON value. Of a repeated key the last one counts.
pub fn to_value(yaml: &[u8]) -> Result<Value, String> {
    parse(text(yaml)?, DuplicateKeyPolicy::LastWins).map_err(|e| message(&e))
}

/// As [`to_value`], with the booleans of YAML 1.2 only, as kustomize reads resources: `yes` and `on` are words.
pub fn to_value_core(yaml: &[u8]) -> Result<Value, String> {
    let mut options = options(text(yaml)?, DuplicateKeyPolicy::LastWins);
    options.strict_booleans = true;
    read(text(yaml)?, options).map_err(|e| message(&e))
}

/// One document as JSON text, and upstream's message about a repeated key.
pub fn to_json_strict(yaml: &[u8]) -> Result<(String, Vec<String>), String> {
    let value = to_value(yaml)?;
    let repeated = match parse(text(yaml)?, DuplicateKeyPolicy::Error) {
        Err(e) => match e.without_snippet() {
            Error::DuplicateMappingKey { key, location } => {
                let key = key.as_deref().unwrap_or_default();
                let line = location.line();
                vec![format!("yaml: unmarshal errors:\n  line {line}: key {key:?} already set in map")]
            }
            _ => Vec::new(),
        },
        Ok(_) => Vec::new(),
    };
    Ok((value.to_string(), repeated))
}

/// A JSON value as one YAML document, with the line break at its end.
pub fn from_value(value: &Value) -> String {
    write::document(value)
}

/// JSON text as one YAML document.
pub fn from_json(json: &[u8]) -> Result<String, String> {
    let value: Value = serde_json::from_slice(json).map_err(|e| e.to_string())?;
    Ok(from_value(&value))
}

/// The documents of a stream, cut at lines that start with `---`. Those with nothing but comments are left out.
pub fn documents(stream: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut at = 0;
    for line in stream.split_inclusive('\n') {
        if let Some(rest) = line.strip_prefix("---") {
            found.push(&stream[start..at]);
            start = at + line.len();
            // `--- {a: b}` or `--- # comment`: what follows the dashes belongs to the document.
            if !rest.trim().is_empty() {
                start = at + 3;
            }
        }
        at += line.len();
    }
    found.push(&stream[start..]);
    let blank = |l: &str| l.trim().is_empty() || l.trim_start().starts_with('#');
    found.retain(|document| !document.lines().all(blank));
    found
}

fn text(yaml: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(yaml).map_err(|_| "yaml: invalid UTF-8".to_owned())
}

fn parse(yaml: &str, duplicate_keys: DuplicateKeyPolicy) -> Result<Value, Error> {
    read(yaml, options(yaml, duplicate_keys))
}

fn options(yaml: &str, duplicate_keys: DuplicateKeyPolicy) -> Options {
    let mut options = Options::default();
    options.duplicate_keys = duplicate_keys;
    options.legacy_octal_numbers = true;
    // What an alias stands for is worth a little more than its own text: a few lines could stand for millions.
    let replayed = REPLAYED_MIN + REPLAYED_PER_BYTE * yaml.len();
    options.alias_limits.max_total_replayed_events = replayed.min(REPLAYED_MAX);
    if let Some(budget) = &mut options.budget {
        budget.max_depth = DEPTH_MAX;
        // A request body's three megabytes may all be list items.
        budget.max_nodes = 2_000_000;
        budget.max_events = 4_000_000;
    }
    options
}

fn read(yaml: &str, options: Options) -> Result<Value, Error> {
    let mut value: Value = serde_saphyr::from_str_with_options(yaml, options)?;
    whole_floats(&mut value);
    Ok(value)
}

/// `1.0` becomes `1`, as it does on its way through Go's float64.
fn whole_floats(value: &mut Value) {
    match value {
        Value::Number(n) if n.is_f64() => {
            if let Some(f) = n.as_f64()
                && f.fract() == 0.0
                && f.abs() < 1e15
            {
                *n = Number::from(f as i64);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(whole_floats),
        Value::Object(map) => map.values_mut().for_each(whole_floats),
        _ => {}
    }
}

fn message(error: &Error) -> String {
    let error = error.without_snippet();
    if matches!(error, Error::MultipleDocuments { .. }) {
        return "yaml: more than one document".into();
    }
    match error.location() {
        Some(at) if at.line() > 0 => {
            let text = error.to_string();
            // The crate says the place at the start; Go says it its own way.
            let what = text.rsplit_once(" at line ").map_or(&*text, |(what, _)| what);
            format!("yaml: line {}: {what}", at.line())
        }
        _ => format!("yaml: {error}"),
    }
}
