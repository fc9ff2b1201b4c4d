//! kubectl's JSONPath. Start at [`JsonPath::parse`], then [`JsonPath::render`] or [`JsonPath::find`].
//!
//! Contract: <https://kubernetes.io/docs/reference/kubectl/jsonpath/>; the words of errors are stock's.

mod eval;
mod parse;
#[cfg(test)]
mod tests;

use serde_json::Value;

/// A template that was understood: text, and paths in braces.
#[derive(Clone, Debug)]
pub struct JsonPath {
    source: String,
    nodes: Vec<Node>,
    allow_missing: bool,
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq)]
enum Node {
    Text(String),
    /// A path in braces.
    Path(Vec<Step>),
    /// `{range path}…{end}`
    Range(Vec<Step>, Vec<Node>),
}

/// A step of a path.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    /// `$` and `@`: nothing to do but to begin anew from the root (or the current object).
    Root,
    Field(String),
    Wildcard,
    Recursive,
    Slice {
        from: Option<i64>,
        to: Option<i64>,
        step: Option<i64>,
        single: bool,
    },
    Union(Vec<Vec<Step>>),
    Filter(Operand, String, Operand),
    Literal(Value),
}

/// A side of a filter's comparison.
#[derive(Clone, Debug, PartialEq)]
enum Operand {
    Path(Vec<Step>),
    Value(Value),
    None,
}

impl JsonPath {
    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self, String> {
        let nodes = parse::template(text)?;
        Ok(JsonPath { source: text.to_owned(), nodes, allow_missing: false })
    }

    /// Whether a field that is not there is nothing rather than an error.
    pub fn allow_missing(mut self, allow: bool) -> Self {
        self.allow_missing = allow;
        self
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    /// What each path in the template finds.
    pub fn find(&self, object: &Value) -> Result<Vec<Vec<Value>>, String> {
        let mut found = Vec::new();
        eval::nodes(&self.nodes, object, object, self.allow_missing, &mut |part| {
            if let eval::Part::Found(values) = part {
                found.push(values);
            }
        })?;
        Ok(found)
    }

    /// The template's text for an object.
    pub fn render(&self, object: &Value) -> Result<String, String> {
        let mut out = String::new();
        eval::nodes(&self.nodes, object, object, self.allow_missing, &mut |part| match part {
            eval::Part::Text(text) => out.push_str(text),
            eval::Part::Found(values) => {
                let all: Vec<String> = values.iter().map(shown).collect();
                out.push_str(&all.join(" "));
            }
        })?;
        Ok(out)
    }
}

/// A value as templates print it: texts bare, objects and lists as JSON.
pub fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(n) => crate::print::json::number(n),
        Value::Bool(b) => b.to_string(),
        Value::Null => "<nil>".into(),
        other => crate::print::json::compact(other),
    }
}
