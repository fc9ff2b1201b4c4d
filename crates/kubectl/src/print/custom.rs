//! Columns that the user names: `-o custom-columns=NAME:.metadata.name`. Start at [`Columns::parse`].

use serde_json::Value;

use crate::error::{Error, Result};
use crate::jsonpath::JsonPath;
use crate::text::columns;

/// Headings and where their values are.
pub struct Columns {
    all: Vec<(String, JsonPath)>,
    headers: bool,
    shown: bool,
}

impl Columns {
    /// `NAME:.metadata.name,IMAGE:.spec.containers[*].image`
    pub fn parse(spec: &str, headers: bool) -> Result<Self> {
        let mut all = Vec::new();
        for part in split(spec) {
            let Some((name, path)) = part.split_once(':').filter(|(_, path)| !path.is_empty()) else {
                return Err(Error::text(format!(
                    "unexpected custom-columns spec: {part}, expected <header>:<json-path-expr>"
                )));
            };
            all.push((name.to_owned(), compile(&relaxed(path)?)?));
        }
        Ok(Columns { all, headers, shown: false })
    }

    /// A file with headings in the first line and paths in the second.
    pub fn of_file(text: &str, headers: bool) -> Result<Self> {
        let mut lines = text.lines();
        let (Some(names), Some(paths)) = (lines.next(), lines.next()) else {
            return Err(Error::text(
                "invalid template, missing spec line. Expected 2 lines: headers and specs",
            ));
        };
        let (names, paths): (Vec<&str>, Vec<&str>) =
            (names.split_whitespace().collect(), paths.split_whitespace().collect());
        if names.len() != paths.len() {
            return Err(Error::text(format!(
                "number of headers ({}) and field specifications ({}) don't match",
                names.len(),
                paths.len()
            )));
        }
        let mut all = Vec::new();
        for (name, path) in names.iter().zip(paths) {
            all.push(((*name).to_owned(), compile(&relaxed(path)?)?));
        }
        Ok(Columns { all, headers, shown: false })
    }

    /// Lines of one object or of a list's items; the first time with headings.
    pub fn text(&mut self, object: &Value) -> Result<String> {
        let mut table = columns::Columns::new(5, 3);
        let mut lines = Vec::new();
        if self.headers && !std::mem::replace(&mut self.shown, true) {
            let names: Vec<&str> = self.all.iter().map(|(name, _)| name.as_str()).collect();
            lines.push(names.join("\t"));
        }
        match object["items"].as_array() {
            Some(items) => {
                for item in items {
                    lines.push(self.line(item)?);
                }
            }
            None => lines.push(self.line(object)?),
        }
        for line in lines {
            table.push(&format!("{line}\n"));
        }
        Ok(table.finish())
    }

    fn line(&self, object: &Value) -> Result<String> {
        let mut cells = Vec::new();
        for (_, path) in &self.all {
            let found = path.find(object).map_err(Error::text)?;
            let values: Vec<String> =
                found.into_iter().flatten().map(|v| crate::jsonpath::shown(&v)).collect();
            cells.push(if values.is_empty() { "<none>".into() } else { values.join(",") });
        }
        Ok(cells.join("\t"))
    }
}

fn compile(path: &str) -> Result<JsonPath> {
    Ok(JsonPath::parse(path).map_err(Error::text)?.allow_missing(true))
}

/// At commas outside brackets.
fn split(spec: &str) -> Vec<&str> {
    let (mut found, mut start, mut depth) = (Vec::new(), 0, 0i32);
    for (at, c) in spec.char_indices() {
        match c {
            '[' | '(' => depth += 1,
            ']' | ')' => depth -= 1,
            ',' if depth == 0 => {
                found.push(&spec[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(&spec[start..]);
    found
}

/// `x.y`, `.x.y`, `{x.y}` and `{.x.y}` all mean `{.x.y}`.
pub fn relaxed(path: &str) -> Result<String> {
    if path.is_empty() {
        return Ok(String::new());
    }
    let inner = path.strip_prefix('{').and_then(|p| p.strip_suffix('}')).unwrap_or(path);
    if inner.contains(['{', '}']) {
        return Err(Error::text("unexpected path string, expected a 'name1.name2' or '.name1.name2' or '{name1.name2}' or '{.name1.name2}'".to_string()));
    }
    let inner = inner.strip_prefix('.').unwrap_or(inner);
    Ok(format!("{{.{inner}}}"))
}
