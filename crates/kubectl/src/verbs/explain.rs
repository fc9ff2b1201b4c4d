//! `explain`: what kinds and fields are, by the server's OpenAPI.

use serde_json::Value;

use crate::error::{Error, Result};
use crate::session::Session;

pub fn run(session: &Session) -> Result<()> {
    let call = &session.call;
    let word = match &call.args[..] {
        [] => {
            return Err(Error::text(
                "You must specify the type of resource to explain. Use \"kubectl api-resources\" for a complete list of supported resources.",
            ));
        }
        [word] => word,
        _ => return Err(Error::text("We accept only this format: explain RESOURCE")),
    };
    if !matches!(call.text("output"), "plaintext" | "") {
        return Err(Error::text(format!(
            "Invalid output format {}. Supported formats are plaintext: the old OpenAPI v2 form is not there",
            call.text("output")
        )));
    }
    let (kind, fields) = word.split_once('.').map_or((word.as_str(), ""), |(k, f)| (k, f));
    let discovery = session.discovery()?;
    // `deployments.apps.spec` names a group, too.
    let (resource, fields) = match discovery.find(session, word) {
        Ok(found) => (found, ""),
        Err(_) => (discovery.find(session, kind).map_err(|e| Error::Plain(e.to_string()))?, fields),
    };
    let (group, version) = match call.text("api-version") {
        "" => (resource.group.clone(), resource.version.clone()),
        given => {
            let (group, version) = given.split_once('/').unwrap_or(("", given));
            (group.to_owned(), version.to_owned())
        }
    };
    let path = if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
    let root = session.get("/openapi/v3")?;
    let Some(link) = root["paths"][&path]["serverRelativeURL"].as_str() else {
        return Err(Error::text(format!(
            "couldn't find resource for \"{group}/{version}, Resource={}\"",
            resource.name
        )));
    };
    let document = session.get(link)?;
    let schemas = &document["components"]["schemas"];
    let is_kind = |s: &Value| {
        let all = s["x-kubernetes-group-version-kind"].as_array().into_iter().flatten();
        all.into_iter()
            .any(|g| g["group"] == *group && g["version"] == *version && g["kind"] == *resource.kind)
    };
    let Some(schema) = schemas.as_object().and_then(|m| m.values().find(|s| is_kind(s))) else {
        return Err(Error::text(format!("the server's OpenAPI does not describe {}", resource.kind)));
    };
    let mut out = String::new();
    if !group.is_empty() {
        out.push_str(&format!("GROUP:      {group}\n"));
    }
    out.push_str(&format!("KIND:       {}\nVERSION:    {version}\n\n", resource.kind));
    let (mut at, mut field) = (schema, None);
    for name in fields.split('.').filter(|f| !f.is_empty()) {
        match properties(at, schemas).and_then(|p| p.get(name)) {
            Some(next) => (at, field) = (next, Some((name, next))),
            None => {
                session.print(&out)?;
                return Err(Error::text(format!("field \"{name}\" does not exist")));
            }
        }
    }
    if let Some((name, schema)) = field {
        out.push_str(&format!("FIELD: {name} <{}>\n", type_of(schema, schemas)));
        enums(&mut out, schema, "");
        out.push_str("\n\n");
    }
    out.push_str("DESCRIPTION:\n");
    describe(&mut out, at, schemas);
    if let Some(found) = properties(at, schemas).filter(|p| !p.is_empty()) {
        out.push_str("FIELDS:\n");
        let depth = call.int("max-depth");
        list(&mut out, found, inner(at, schemas), schemas, (1, call.is("recursive")), depth, &mut Vec::new());
    }
    session.print(&(out + "\n"))
}

/// Follows references, and lists and maps to what they hold.
fn inner<'v>(schema: &'v Value, schemas: &'v Value) -> &'v Value {
    if let Some(name) = reference(schema) {
        return inner(&schemas[name], schemas);
    }
    if schema["type"] == "array" {
        return inner(&schema["items"], schemas);
    }
    if schema["additionalProperties"].is_object() {
        return inner(&schema["additionalProperties"], schemas);
    }
    schema
}

fn reference(schema: &Value) -> Option<&str> {
    let link = schema["$ref"].as_str().or_else(|| schema["allOf"][0]["$ref"].as_str())?;
    link.strip_prefix("#/components/schemas/")
}

fn properties<'v>(schema: &'v Value, schemas: &'v Value) -> Option<&'v serde_json::Map<String, Value>> {
    inner(schema, schemas)["properties"].as_object()
}

fn type_of(schema: &Value, schemas: &Value) -> String {
    if let Some(name) = reference(schema) {
        let found = &schemas[name];
        let short = name.rsplit('.').next().unwrap_or(name);
        return match found["type"].as_str() {
            Some("object") | None => short.to_owned(),
            // Named scalars: quantities, times.
            Some(kind) if short == "Time" || short == "MicroTime" => kind.to_owned(),
            Some(_) => short.to_owned(),
        };
    }
    match schema["type"].as_str() {
        Some("array") => format!("[]{}", type_of(&schema["items"], schemas)),
        Some("object") if schema["additionalProperties"].is_object() => {
            format!("map[string]{}", type_of(&schema["additionalProperties"], schemas))
        }
        Some("object") => "Object".into(),
        Some(kind) => kind.to_owned(),
        None => "Object".into(),
    }
}

fn enums(out: &mut String, schema: &Value, indent: &str) {
    if let Some(all) = schema["enum"].as_array() {
        let words: Vec<String> = all.iter().map(crate::jsonpath::shown).collect();
        out.push_str(&format!("{indent}ENUM:\n"));
        words.iter().for_each(|w| out.push_str(&format!("{indent}    {w}\n")));
    }
}

/// A field's own words, then those of its type.
fn describe(out: &mut String, schema: &Value, schemas: &Value) {
    let mut texts: Vec<&str> = Vec::new();
    texts.extend(schema["description"].as_str());
    if schema["type"] == "array" || schema["additionalProperties"].is_object() || reference(schema).is_some()
    {
        texts.extend(inner(schema, schemas)["description"].as_str());
    }
    if texts.is_empty() {
        texts.push("<empty>");
    }
    for text in texts {
        wrap(out, text, 4);
    }
    out.push_str("    \n");
}

const WIDTH: usize = 80;

/// Words in lines of eighty; lines that are empty or indented stay apart.
fn wrap(out: &mut String, text: &str, indent: usize) {
    let pad = " ".repeat(indent);
    for paragraph in text.split("\n\n") {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            if !line.is_empty() && line.len() + 1 + word.len() > WIDTH - indent {
                out.push_str(&format!("{pad}{line}\n"));
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        out.push_str(&format!("{pad}{line}\n"));
        if !text.ends_with(paragraph) {
            out.push_str(&format!("{pad}\n"));
        }
    }
}

fn list(
    out: &mut String,
    found: &serde_json::Map<String, Value>,
    of: &Value,
    schemas: &Value,
    (level, recursive): (usize, bool),
    depth: i64,
    path: &mut Vec<String>,
) {
    let pad = "  ".repeat(level);
    for (name, schema) in found {
        let required = of["required"].as_array().is_some_and(|r| r.contains(&Value::String(name.clone())));
        out.push_str(&format!(
            "{pad}{name}\t<{}>{}\n",
            type_of(schema, schemas),
            if required { " -required-" } else { "" }
        ));
        if let Some(all) = schema["enum"].as_array() {
            let words: Vec<String> = all.iter().map(crate::jsonpath::shown).collect();
            out.push_str(&format!("{pad}enum: {}\n", words.join(", ")));
        }
        if !recursive {
            let text =
                schema["description"].as_str().or_else(|| inner(schema, schemas)["description"].as_str());
            wrap(out, text.unwrap_or("<no description>"), level * 2 + 2);
            out.push('\n');
            continue;
        }
        let known =
            reference(if schema["type"] == "array" { &schema["items"] } else { schema }).map(str::to_owned);
        if known.as_ref().is_some_and(|k| path.contains(k)) || (depth > 0 && level as i64 >= depth) {
            continue;
        }
        if let Some(deeper) = properties(schema, schemas) {
            path.extend(known.clone());
            list(out, deeper, inner(schema, schemas), schemas, (level + 1, true), depth, path);
            if known.is_some() {
                path.pop();
            }
        }
    }
}
