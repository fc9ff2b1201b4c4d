//! How objects are shown. Start at [`Printer::of`]: what `-o` asks for; no answer means tables for people.

pub mod custom;
pub mod json;
pub mod kyaml;
pub mod sort;
pub mod table;
pub mod typed;

use std::fmt::Write;

use serde_json::Value;

use crate::command::Call;
use crate::error::{self, Error, Result};
use crate::jsonpath::JsonPath;
use crate::template::{self, Failed, Template};

/// A format for machines (or nearly).
pub enum Format {
    Json,
    Yaml,
    Kyaml,
    Name,
    JsonPath { path: JsonPath, as_json: bool },
    Template(Template),
    Custom(custom::Columns),
}

/// Prints objects one after the other.
pub struct Printer {
    pub format: Format,
    printed: usize,
    /// Whether who set which field is shown, too.
    pub managed_fields: bool,
    /// Fields in the order of Go's types, not sorted.
    pub typed: bool,
    /// What `name` says happened: `created`.
    pub operation: String,
}

/// What every command that prints objects knows.
const COMMON: &[&str] = &[
    "go-template",
    "go-template-file",
    "json",
    "jsonpath",
    "jsonpath-as-json",
    "jsonpath-file",
    "kyaml",
    "name",
    "template",
    "templatefile",
    "yaml",
];

impl Printer {
    /// The printer that the flags ask for. `tables`: the command also knows wide and custom columns.
    pub fn of(call: &Call, tables: bool) -> Result<Option<Printer>> {
        Self::named(call, call.text("output"), tables)
    }

    /// As [`Printer::of`], of a format by name.
    pub fn named(call: &Call, output: &str, tables: bool) -> Result<Option<Printer>> {
        let template = if call.has_flag("template") { call.text("template") } else { "" };
        let output = if output.is_empty() && !template.is_empty() { "go-template" } else { output };
        let (name, inline) = output.split_once('=').unwrap_or((output, ""));
        let argument = if inline.is_empty() { template } else { inline };
        let missing =
            |what: &str| Err(Error::text(format!("template format specified but no template given{what}")));
        let missing_keys =
            !call.has_flag("allow-missing-template-keys") || call.is("allow-missing-template-keys");
        let file = |path: &str| {
            std::fs::read_to_string(path).map_err(|e| {
                Error::text(format!("error reading --template {path}, open {path}: {}", error::reason(&e)))
            })
        };
        let unknown = || {
            let mut all: Vec<&str> = COMMON.to_vec();
            if tables {
                all.extend(["custom-columns", "custom-columns-file", "wide"]);
            }
            all.sort_unstable();
            Error::text(format!(
                "unable to match a printer suitable for the output format \"{output}\", allowed formats are: {}",
                all.join(",")
            ))
        };
        let format = match name {
            "" => return Ok(None),
            "wide" if tables => return Ok(None),
            "json" if inline.is_empty() => Format::Json,
            "yaml" if inline.is_empty() => Format::Yaml,
            "kyaml" if inline.is_empty() => Format::Kyaml,
            "name" if inline.is_empty() => Format::Name,
            "jsonpath" | "jsonpath-as-json" | "jsonpath-file" => {
                if argument.is_empty() {
                    return missing("");
                }
                let text = if name == "jsonpath-file" { file(argument)? } else { argument.to_owned() };
                let path = JsonPath::parse(&text)
                    .map_err(|e| Error::text(format!("error parsing jsonpath {text}, {e}")))?
                    .allow_missing(missing_keys);
                Format::JsonPath { path, as_json: name == "jsonpath-as-json" }
            }
            "go-template" | "go-template-file" | "template" | "templatefile" => {
                if argument.is_empty() {
                    return missing("");
                }
                let text = if name.ends_with("file") { file(argument)? } else { argument.to_owned() };
                let template = Template::parse(&text)
                    .map_err(|e| Error::text(format!("error parsing template {text}, {e}")))?;
                Format::Template(template.allow_missing(missing_keys))
            }
            "custom-columns" | "custom-columns-file" if tables => {
                let headers = !call.is("no-headers");
                match (name, argument) {
                    (_, "") => {
                        return Err(Error::text(
                            "custom-columns format specified but no custom columns given",
                        ));
                    }
                    ("custom-columns", spec) => Format::Custom(custom::Columns::parse(spec, headers)?),
                    (_, path) => Format::Custom(custom::Columns::of_file(&file(path)?, headers)?),
                }
            }
            _ => return Err(unknown()),
        };
        let managed_fields = call.has_flag("show-managed-fields") && call.is("show-managed-fields");
        Ok(Some(Printer { format, printed: 0, managed_fields, typed: false, operation: String::new() }))
    }

    pub fn simple(format: Format) -> Printer {
        Printer { format, printed: 0, managed_fields: false, typed: false, operation: String::new() }
    }

    /// The next object is printed as the first one is.
    pub fn restart(&mut self) {
        self.printed = 0;
    }

    /// The text of one object (or list).
    pub fn text(&mut self, object: &Value) -> Result<String> {
        let mut shown;
        let object = if !self.managed_fields && has_managed(object) && !matches!(self.format, Format::Name) {
            shown = object.clone();
            strip_managed(&mut shown);
            &shown
        } else {
            object
        };
        self.printed += 1;
        Ok(match &mut self.format {
            Format::Json if self.typed => json::pretty_typed(object) + "\n",
            Format::Json => json::pretty(object) + "\n",
            Format::Yaml => {
                let text = codec::yaml::from_value(object);
                if self.printed > 1 { format!("---\n{text}") } else { text }
            }
            Format::Kyaml => kyaml::document(object, self.typed),
            Format::Name => names(object, &self.operation),
            Format::JsonPath { path, as_json } => {
                let said = |e: String| {
                    let text = json::compact(object);
                    Error::text(format!(
                        "error executing jsonpath {}: Error executing template: {e}. Printing more information for debugging the template:\n\ttemplate was:\n\t\t{}\n\tobject given to jsonpath engine was:\n\t\t{text}\n\n",
                        crate::text::quote(path.source()),
                        path.source()
                    ))
                };
                match as_json {
                    true => {
                        let found = path.find(object).map_err(said)?;
                        let flat: Vec<Value> = found.into_iter().flatten().collect();
                        json::pretty(&Value::Array(flat)) + "\n"
                    }
                    false => path.render(object).map_err(said)?,
                }
            }
            Format::Template(template) => template
                .execute(object)
                .map_err(|failed| template_failed(template.source(), failed, object, self.typed))?,
            Format::Custom(columns) => columns.text(object)?,
        })
    }
}

/// A template's failure. As stock, what it had printed and what it was given go to stdout, where people look for its output.
fn template_failed(source: &str, failed: Failed, object: &Value, typed: bool) -> Error {
    let (Failed { printed, why }, shown) = (failed, template::shown(object));
    let data = if typed { json::compact_typed(object) } else { json::compact(object) };
    let told = format!(
        "{printed}Error executing template: {why}. Printing more information for debugging the template:\n\ttemplate was:\n\t\t{source}\n\traw data was:\n\t\t{data}\n\tobject given to template engine was:\n\t\t{shown}\n\n"
    );
    // Who reads us may have gone; the error is told all the same.
    let _ = std::io::Write::write_all(&mut std::io::stdout(), told.as_bytes());
    Error::text(format!("error executing template {}: {why}", crate::text::quote(source)))
}

fn has_managed(object: &Value) -> bool {
    object["metadata"].get("managedFields").is_some()
        || object["items"].as_array().is_some_and(|items| items.iter().any(has_managed))
        || object["object"]["metadata"].get("managedFields").is_some()
}

pub fn strip_managed(object: &mut Value) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    for item in object.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten() {
        strip_managed(item);
    }
    if let Some(inner) = object.get_mut("object") {
        strip_managed(inner);
    }
}

/// `deployment.apps/web created`, a line for each item of a list.
fn names(object: &Value, operation: &str) -> String {
    let mut out = String::new();
    if let Some(items) =
        object["items"].as_array().filter(|_| object["kind"].as_str().is_some_and(|k| k.ends_with("List")))
    {
        return items.iter().map(|item| names(item, operation)).collect();
    }
    let name = object["metadata"]["name"].as_str().unwrap_or("<unknown>");
    let prefix = prefix(object);
    match operation {
        "" => drop(writeln!(out, "{prefix}/{name}")),
        operation => drop(writeln!(out, "{prefix}/{name} {operation}")),
    }
    out
}

/// `deployment.apps` of an object.
pub fn prefix(object: &Value) -> String {
    let kind = object["kind"].as_str().unwrap_or("<unknown>").to_lowercase();
    match object["apiVersion"].as_str().unwrap_or_default().split_once('/') {
        Some((group, _)) => format!("{kind}.{group}"),
        None => kind,
    }
}
