//! JSON as the YAML that sigs.k8s.io/yaml writes: keys in natural order, lists not indented, quotes only where needed.

use std::cmp::Ordering;

use serde_json::Value;

use super::resolve;

/// A document, with the line break at its end.
pub(super) fn document(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => object(&mut out, map, 0, true),
        Value::Array(list) if !list.is_empty() => array(&mut out, list, 0, true),
        scalar_or_empty => {
            scalar(&mut out, scalar_or_empty, 0);
            out.push('\n');
        }
    }
    out
}

/// `fresh` is false right after a list's dash, where the first key goes on the same line.
fn object(out: &mut String, map: &serde_json::Map<String, Value>, indent: usize, mut fresh: bool) {
    let mut entries: Vec<(&String, &Value)> = map.iter().collect();
    entries.sort_by(|a, b| natural(a.0, b.0));
    for (key, value) in entries {
        if fresh {
            spaces(out, indent);
        }
        fresh = true;
        string(out, key, indent, true);
        out.push(':');
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                out.push('\n');
                object(out, inner, indent + 2, true);
            }
            Value::Array(inner) if !inner.is_empty() => {
                out.push('\n');
                array(out, inner, indent, true);
            }
            value => {
                out.push(' ');
                scalar(out, value, indent + 2);
                out.push('\n');
            }
        }
    }
}

fn array(out: &mut String, list: &[Value], indent: usize, mut fresh: bool) {
    for value in list {
        if fresh {
            spaces(out, indent);
        }
        fresh = true;
        out.push_str("- ");
        match value {
            Value::Object(inner) if !inner.is_empty() => object(out, inner, indent + 2, false),
            Value::Array(inner) if !inner.is_empty() => array(out, inner, indent + 2, false),
            value => {
                scalar(out, value, indent + 2);
                out.push('\n');
            }
        }
    }
}

fn scalar(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Number(n) => out.push_str(&n.to_string()),
        Value::String(s) => string(out, s, indent, false),
        Value::Array(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
    }
}

fn string(out: &mut String, text: &str, indent: usize, key: bool) {
    let traits = Traits::of(text);
    if text.contains('\n') && !key && traits.block {
        return literal(out, text, indent);
    }
    let resolves = !resolve::is_string(text);
    match (resolves || text.contains('\n'), traits.plain, traits.single) {
        (false, true, _) => folded(out, text, (!key).then_some(indent), false),
        (false, false, true) => {
            out.push('\'');
            folded(out, &text.replace('\'', "''"), (!key).then_some(indent), true);
            out.push('\'');
        }
        _ => double_quoted(out, text, (!key).then_some(indent)),
    }
}

/// Lines longer than this are broken at the next single space.
const WIDTH: usize = 80;

/// How many characters stand on the last line.
fn column(out: &str) -> usize {
    out[out.rfind('\n').map_or(0, |at| at + 1)..].chars().count()
}

/// A text whose lines may be broken, unless it is a key (no indent). Quotes keep a space at either end.
fn folded(out: &mut String, text: &str, indent: Option<usize>, quoted: bool) {
    let mut at = column(out);
    let Some(indent) = indent.filter(|_| at + text.len() > WIDTH) else { return out.push_str(text) };
    let (mut after_space, mut first) = (false, true);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let inside = !quoted || !(first || chars.peek().is_none());
        if c == ' ' && inside && !after_space && at > WIDTH && chars.peek() != Some(&' ') {
            out.push('\n');
            spaces(out, indent);
            at = indent;
        } else {
            out.push(c);
            at += 1;
        }
        after_space = c == ' ';
        first = false;
    }
}

/// `|` and the lines; the indicator after it says what happens to line breaks at the end.
fn literal(out: &mut String, text: &str, indent: usize) {
    out.push('|');
    if text.starts_with([' ', '\n']) {
        out.push('2');
    }
    let body = text.strip_suffix('\n');
    match body {
        None => out.push('-'),
        Some(body) if body.is_empty() || body.ends_with('\n') => out.push('+'),
        Some(_) => {}
    }
    for line in body.unwrap_or(text).split('\n') {
        out.push('\n');
        if !line.is_empty() {
            // At the top level there is nothing to be deeper than.
            spaces(out, indent.max(2));
            out.push_str(line);
        }
    }
}

fn double_quoted(out: &mut String, text: &str, indent: Option<usize>) {
    out.push('"');
    let (mut at, mut measured) = (column(out), out.len());
    let mut after_space = false;
    let mut chars = text.chars().enumerate().peekable();
    while let Some((index, c)) = chars.next() {
        at += out[measured..].chars().count();
        measured = out.len();
        let breaks = c == ' ' && !after_space && at > WIDTH && index > 0 && chars.peek().is_some();
        after_space = c == ' ';
        if let Some(indent) = indent.filter(|_| breaks) {
            out.push('\n');
            spaces(out, indent);
            (at, measured) = (indent, out.len());
            if chars.peek().is_some_and(|(_, next)| *next == ' ') {
                out.push('\\');
            }
            continue;
        }
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\0' => out.push_str("\\0"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\u{1b}' => out.push_str("\\e"),
            '\u{85}' => out.push_str("\\N"),
            '\u{a0}' => out.push_str("\\_"),
            '\u{2028}' => out.push_str("\\L"),
            '\u{2029}' => out.push_str("\\P"),
            c if printable(c) => out.push(c),
            c => match u32::from(c) {
                code @ ..0x100 => out.push_str(&format!("\\x{code:02X}")),
                code @ ..0x10000 => out.push_str(&format!("\\u{code:04X}")),
                code => out.push_str(&format!("\\U{code:08X}")),
            },
        }
    }
    out.push('"');
}

fn spaces(out: &mut String, count: usize) {
    out.extend(std::iter::repeat_n(' ', count));
}

fn printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}') && c != '\u{feff}'
        || c >= '\u{10000}'
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// How a string may be written.
struct Traits {
    plain: bool,
    single: bool,
    block: bool,
}

impl Traits {
    fn of(text: &str) -> Self {
        let mut indicator = text.starts_with("---") || text.starts_with("...");
        let (mut special, mut breaks, mut space_break, mut break_space) = (false, false, false, false);
        let mut previous = None;
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let before_space = chars.peek().is_none_or(|n| matches!(n, ' ' | '\t') || is_break(*n));
            indicator |= match (previous, c) {
                (None, '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>') => true,
                (None, '\'' | '"' | '%' | '@' | '`') => true,
                (None, '?' | '-') | (_, ':') => before_space,
                (Some(p), '#') => matches!(p, ' ' | '\t') || is_break(p),
                _ => false,
            };
            special |= !printable(c);
            breaks |= is_break(c);
            space_break |= previous == Some(' ') && is_break(c);
            break_space |= c == ' ' && previous.is_some_and(is_break);
            previous = Some(c);
        }
        let edge = |c: char| c == ' ' || is_break(c);
        let padded = text.starts_with(edge) || text.ends_with(edge);
        Traits {
            plain: !(text.is_empty() || indicator || special || breaks || padded),
            single: !(special || space_break || break_space),
            block: !(special || space_break || text.ends_with(' ')),
        }
    }
}

/// Letters after other characters, numbers by their value.
fn natural(a: &str, b: &str) -> Ordering {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let Some(at) = a.iter().zip(&b).position(|(x, y)| x != y) else {
        return a.len().cmp(&b.len());
    };
    let (x, y) = (a[at], b[at]);
    let after_digit = at > 0 && a[at - 1].is_numeric();
    match (x.is_alphabetic(), y.is_alphabetic()) {
        (true, true) => x.cmp(&y),
        (true, false) if after_digit => Ordering::Less,
        (true, false) => Ordering::Greater,
        (false, true) if after_digit => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => {
            let number = |s: &[char]| -> (u128, usize) {
                let digits = s[at..].iter().take_while(|c| c.is_ascii_digit());
                // A zero counts when other digits stand before it.
                let lead = (x == '0' || y == '0')
                    && s[..at].iter().rev().take_while(|c| c.is_ascii_digit()).any(|c| *c != '0');
                digits.fold((u128::from(lead), 0), |(n, len), c| {
                    let digit = u128::from(c.to_digit(10).unwrap_or_default());
                    (n.saturating_mul(10).saturating_add(digit), len + 1)
                })
            };
            number(&a).cmp(&number(&b)).then(x.cmp(&y))
        }
    }
}
