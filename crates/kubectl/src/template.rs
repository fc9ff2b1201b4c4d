//! Go's templates (`text/template`), as kubectl sets them up. Start at [`Template::parse`], then [`Template::execute`].
//!
//! `lex` makes words of the text, `parse` a `tree` of them, `exec` runs it over `value`s with `functions`; `format` is Go's
//! `fmt`. Contract: <https://pkg.go.dev/text/template>; the words of errors are stock's. Whole numbers of objects are
//! `int64`, others `float64`, as kubectl decodes JSON.

mod exec;
mod format;
mod functions;
mod lex;
mod literal;
mod parse;
#[cfg(test)]
mod tests;
mod tree;
mod value;

use std::collections::BTreeMap;

use serde_json::Value;

/// What kubectl calls the template.
const NAME: &str = "output";

/// A template that was understood.
pub struct Template {
    source: String,
    templates: BTreeMap<String, Vec<tree::Node>>,
    allow_missing: bool,
}

/// A template that came upon an error.
#[derive(Debug)]
pub struct Failed {
    /// What it had printed before.
    pub printed: String,
    pub why: String,
}

impl Template {
    /// Reads a template. Errors: as Go's parser tells them, with `template: output:1: ` before them.
    pub fn parse(text: &str) -> Result<Self, String> {
        let templates = parse::parse(text)?;
        Ok(Template { source: text.to_owned(), templates, allow_missing: true })
    }

    /// Whether a field that is not there prints as `<no value>` rather than being an error.
    pub fn allow_missing(mut self, allow: bool) -> Self {
        self.allow_missing = allow;
        self
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    /// The template's text for an object. Output that is not UTF-8 is an error.
    pub fn execute(&self, object: &Value) -> Result<String, Failed> {
        let setting =
            exec::Setting { source: &self.source, templates: &self.templates, strict: !self.allow_missing };
        let (out, outcome) = exec::run(&setting, object);
        match (String::from_utf8(out), outcome) {
            (Ok(text), Ok(())) => Ok(text),
            (Err(_), Ok(())) => Err(Failed {
                printed: String::new(),
                why: "the template's output is not UTF-8: such cannot be printed yet".into(),
            }),
            (text, Err(why)) => Err(Failed { printed: text.unwrap_or_default(), why }),
        }
    }
}

/// An object as Go prints it: `map[a:1 b:[x y]]`.
pub fn shown(object: &Value) -> String {
    format::text(&value::Value::of(object))
}
