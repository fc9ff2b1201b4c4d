//! KYAML: YAML in braces, with quotes and trailing commas. Start at [`document`].
//!
//! Contract: KEP-5295.

use serde_json::Value;

use super::json;
use super::typed::{Order, order_of};

/// One document with its `---`.
pub fn document(value: &Value, typed: bool) -> String {
    let mut out = "---\n".to_owned();
    write(&mut out, value, 0, typed.then(|| order_of(value)));
    out.push('\n');
    out
}

fn write(out: &mut String, value: &Value, depth: usize, order: Option<Order>) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Number(n) => out.push_str(&json::number(n)),
        Value::String(text) => string(out, text, depth),
        Value::Array(list) if list.is_empty() => out.push_str("[]"),
        Value::Array(list) => array(out, list, depth, order),
        Value::Object(map) if map.is_empty() => out.push_str("{}"),
        Value::Object(map) => {
            out.push_str("{\n");
            for (name, item) in json::entries(map, order) {
                indent(out, depth + 1);
                key(out, name);
                out.push_str(": ");
                write(out, item, depth + 1, order.map(|o| o.field(name)));
                out.push_str(",\n");
            }
            indent(out, depth);
            out.push('}');
        }
    }
}

/// Lists of objects cuddle their brackets.
fn array(out: &mut String, list: &[Value], depth: usize, order: Option<Order>) {
    let inner = order.map(Order::element);
    let nests = |v: &Value| matches!(v, Value::Object(_) | Value::Array(_));
    if list.iter().all(nests) {
        out.push('[');
        for (at, item) in list.iter().enumerate() {
            if at > 0 {
                out.push_str(", ");
            }
            write(out, item, depth, inner);
        }
        out.push(']');
        return;
    }
    out.push_str("[\n");
    for item in list {
        indent(out, depth + 1);
        write(out, item, depth + 1, inner);
        out.push_str(",\n");
    }
    indent(out, depth);
    out.push(']');
}

fn indent(out: &mut String, depth: usize) {
    out.extend(std::iter::repeat_n("  ", depth));
}

/// Keys go without quotes where no reader of YAML could take them for anything else.
fn key(out: &mut String, name: &str) {
    let safe = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(safe)
        && !name.ends_with(|c: char| "-./".contains(c))
        && !matches!(
            name.to_lowercase().as_str(),
            "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null" | "nan" | "inf" | "_"
        );
    match plain {
        true => out.push_str(name),
        false => quoted(out, name),
    }
}

/// Texts of several lines are folded into one quoted text with a line each.
fn string(out: &mut String, text: &str, depth: usize) {
    if !text.trim_end_matches('\n').contains('\n') {
        return quoted(out, text);
    }
    out.push_str("\"\\\n");
    for line in text.split_inclusive('\n') {
        indent(out, depth + 1);
        let (body, broken) = match line.strip_suffix('\n') {
            Some(body) => (body, true),
            None => (line, false),
        };
        // A space at a line's start would be folded away.
        out.push_str(if body.starts_with(' ') { "\\" } else { " " });
        escaped(out, body);
        out.push_str(if broken { "\\n\\\n" } else { "\\\n" });
    }
    indent(out, depth + 1);
    out.push('"');
}

fn quoted(out: &mut String, text: &str) {
    out.push('"');
    escaped(out, text);
    out.push('"');
}

fn escaped(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\x{:02X}", u32::from(c))),
            c => out.push(c),
        }
    }
}
