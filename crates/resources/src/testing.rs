//! How this crate's tests are written: a good object, edits that spoil it, and what the rules then say.

use codec::Kind;
use expect_test::Expect;
use jiff::Timestamp;
use serde_json::Value;

use crate::Strategy;
use crate::strategy::Part;

/// Cases are paragraphs of edits to `base`. Each is defaulted, prepared and validated as a create.
#[track_caller]
pub fn check_create<S: Strategy>(strategy: &S, base: &str, cases: &str, expect: Expect) {
    let run = |edits: &str| {
        let mut object = object::<S>(strategy, base, edits);
        strategy.prepare_create(&mut object);
        causes(&strategy.validate(&object))
    };
    expect.assert_eq(&report(cases, run));
}

/// As [`check_create`], for updates of `base` (already created) to what the edits make of it.
#[track_caller]
pub fn check_update<S: Strategy>(strategy: &S, base: &str, cases: &str, part: Part, expect: Expect) {
    let run = |edits: &str| {
        let mut old = object::<S>(strategy, base, "");
        let status = old.clone();
        strategy.prepare_create(&mut old);
        let mut new = object::<S>(strategy, &text(&old), edits);
        if part == Part::Status {
            // What a create clears is there again by the time a status is written.
            new = object::<S>(strategy, &text(&status), edits);
        }
        strategy.prepare_update(&mut new, &old, part);
        causes(&strategy.validate_update(&new, &old, part))
    };
    expect.assert_eq(&report(cases, run));
}

/// The whole object after defaulting, as JSON.
#[track_caller]
pub fn check_default<S: Strategy>(strategy: &S, json: &str, expect: Expect) {
    let object = object::<S>(strategy, json, "");
    let value: Value = serde_json::from_slice(&object.to_json()).unwrap();
    expect.assert_eq(&(serde_json::to_string_pretty(&value).unwrap() + "\n"));
}

/// One line for each paragraph of edits: the row as `kubectl get -o wide` aligns it, cells separated by two blanks.
/// It is 2026-01-01 00:10:00.
#[track_caller]
pub fn check_rows<S: Strategy>(strategy: &S, base: &str, cases: &str, expect: Expect) {
    let now: Timestamp = "2026-01-01T00:10:00Z".parse().unwrap();
    let mut out =
        strategy.columns().iter().map(|c| c.name.to_uppercase()).collect::<Vec<_>>().join("  ") + "\n";
    for edits in paragraphs(cases) {
        let object = object::<S>(strategy, base, &edits);
        let row = strategy.row(&object, now);
        assert_eq!(row.len(), strategy.columns().len());
        let cells = row.iter().map(|cell| cell.as_str().map_or_else(|| cell.to_string(), str::to_owned));
        out += &(cells.collect::<Vec<_>>().join("  ") + "\n");
    }
    expect.assert_eq(&out);
}

/// `base` with edits, defaulted.
pub fn object<S: Strategy>(strategy: &S, base: &str, edits: &str) -> S::Kind {
    let mut object = S::Kind::from_json(edited(base, edits).to_string().as_bytes()).unwrap();
    strategy.default(&mut object);
    object
}

fn text<K: Kind>(object: &K) -> String {
    String::from_utf8(object.to_json()).unwrap()
}

/// One line for each cause.
pub fn causes(errors: &apimachinery::field::ErrorList) -> String {
    match errors.is_empty() {
        true => "fine\n".into(),
        false => errors.iter().map(|e| format!("{e}\n")).collect(),
    }
}

fn report(cases: &str, run: impl Fn(&str) -> String) -> String {
    let indented = |text: String| text.lines().map(|line| format!("    {line}\n")).collect::<String>();
    paragraphs(cases).iter().map(|edits| format!("{edits}\n{}", indented(run(edits)))).collect()
}

fn paragraphs(cases: &str) -> Vec<String> {
    let lines = cases.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    lines.trim().split("\n\n").map(str::to_owned).collect()
}

/// `base` with each line of `edits` done: `a.b[0]."c.d" = JSON` sets (an index one past the end appends), `- a.b` removes.
pub fn edited(base: &str, edits: &str) -> Value {
    let mut value: Value = serde_json::from_str(base).unwrap();
    for edit in edits.lines().map(str::trim).filter(|e| !e.is_empty() && !e.starts_with('#')) {
        if let Some(path) = edit.strip_prefix("- ") {
            let mut keys = keys(path);
            let last = keys.pop().unwrap();
            match place(&mut value, &keys) {
                Value::Object(fields) => drop(fields.remove(&last)),
                Value::Array(items) => drop(items.remove(last.parse().unwrap())),
                other => panic!("{path}: {other}"),
            }
        } else {
            let (path, new) = edit.split_once(" = ").unwrap_or_else(|| panic!("no edit: {edit}"));
            let new = serde_json::from_str(new).unwrap_or_else(|e| panic!("{edit}: {e}"));
            *place(&mut value, &keys(path)) = new;
        }
    }
    value
}

fn place<'a>(mut value: &'a mut Value, keys: &[String]) -> &'a mut Value {
    for key in keys {
        if let Ok(index) = key.parse::<usize>() {
            if value.is_null() {
                *value = Value::Array(Vec::new());
            }
            let items = value.as_array_mut().unwrap_or_else(|| panic!("{key}"));
            if index == items.len() {
                items.push(Value::Null);
            }
            value = &mut items[index];
        } else {
            if value.is_null() {
                *value = Value::Object(Default::default());
            }
            value =
                value.as_object_mut().unwrap_or_else(|| panic!("{key}")).entry(key).or_insert(Value::Null);
        }
    }
    value
}

fn keys(path: &str) -> Vec<String> {
    let mut keys = vec![String::new()];
    let mut quoted = false;
    for c in path.chars() {
        match c {
            '"' => quoted = !quoted,
            '.' | '[' if !quoted => keys.push(String::new()),
            ']' if !quoted => {}
            c => keys.last_mut().unwrap().push(c),
        }
    }
    keys
}
