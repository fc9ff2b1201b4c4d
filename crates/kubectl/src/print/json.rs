//! JSON as Go's encoder writes it: four spaces, `<`, `>` and `&` escaped, keys sorted (or in the order of Go's types).

use serde_json::{Map, Number, Value};

use super::typed::{self, Order};

/// With line breaks, keys sorted.
pub fn pretty(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value, 0, true, None);
    out
}

/// With line breaks, fields in the order of the object's Go type.
pub fn pretty_typed(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value, 0, true, Some(typed::order_of(value)));
    out
}

/// On one line, keys sorted.
pub fn compact(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value, 0, false, None);
    out
}

/// On one line, fields in the order of the object's Go type.
pub fn compact_typed(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value, 0, false, Some(typed::order_of(value)));
    out
}

fn write(out: &mut String, value: &Value, depth: usize, pretty: bool, order: Option<Order>) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Number(n) => out.push_str(&number(n)),
        Value::String(s) => string(out, s),
        Value::Array(list) => {
            out.push('[');
            for (at, item) in list.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                line(out, depth + 1, pretty);
                write(out, item, depth + 1, pretty, order.map(Order::element));
            }
            if !list.is_empty() {
                line(out, depth, pretty);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (at, (key, item)) in entries(map, order).into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                line(out, depth + 1, pretty);
                string(out, key);
                out.push_str(if pretty { ": " } else { ":" });
                write(out, item, depth + 1, pretty, order.map(|o| o.field(key)));
            }
            if !map.is_empty() {
                line(out, depth, pretty);
            }
            out.push('}');
        }
    }
}

/// The fields in order.
pub fn entries(map: &Map<String, Value>, order: Option<Order>) -> Vec<(&String, &Value)> {
    let mut all: Vec<(&String, &Value)> = map.iter().collect();
    match order {
        Some(order) => all.sort_by_cached_key(|(key, _)| (order.place(key), (*key).clone())),
        None => all.sort_by(|a, b| a.0.cmp(b.0)),
    }
    all
}

fn line(out: &mut String, depth: usize, pretty: bool) {
    if pretty {
        out.push('\n');
        out.extend(std::iter::repeat_n("    ", depth));
    }
}

/// A number as Go prints a float64 or an int64.
pub fn number(n: &Number) -> String {
    let Some(f) = n.as_f64().filter(|_| n.is_f64()) else { return n.to_string() };
    let size = f.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{f:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = match exponent.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => ("+", exponent),
        };
        return format!("{mantissa}e{sign}{digits:0>2}");
    }
    format!("{f}")
}

/// With quotes and Go's escapes.
pub fn string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}
