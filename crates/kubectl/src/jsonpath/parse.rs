//! From text to steps.

use serde_json::Value;

use super::{Node, Operand, Step};

/// A whole template.
pub(super) fn template(text: &str) -> Result<Vec<Node>, String> {
    let mut parser = Parser { rest: text };
    let (nodes, ended) = parser.nodes(false)?;
    match ended {
        true => Err("not in range, nothing to end".into()),
        false => Ok(nodes),
    }
}

struct Parser<'t> {
    rest: &'t str,
}

impl Parser<'_> {
    /// Up to the end of the text, or to `{end}`: then with true.
    fn nodes(&mut self, in_range: bool) -> Result<(Vec<Node>, bool), String> {
        let mut nodes = Vec::new();
        loop {
            let Some(open) = self.rest.find('{') else {
                if !self.rest.is_empty() {
                    nodes.push(Node::Text(self.rest.to_owned()));
                }
                self.rest = "";
                return match in_range {
                    true => Err("unclosed range".into()),
                    false => Ok((nodes, false)),
                };
            };
            if open > 0 {
                nodes.push(Node::Text(self.rest[..open].to_owned()));
            }
            self.rest = &self.rest[open + 1..];
            let action = self.action()?;
            let trimmed = action.trim();
            if trimmed == "end" {
                return Ok((nodes, true));
            }
            if let Some(path) =
                trimmed.strip_prefix("range ").or(if trimmed == "range" { Some("") } else { None })
            {
                let path = steps(path.trim())?;
                let (inner, _) = self.nodes(true)?;
                nodes.push(Node::Range(path, inner));
                continue;
            }
            for path in actions(trimmed)? {
                nodes.push(Node::Path(path));
            }
        }
    }

    /// The text up to the closing brace, quotes respected.
    fn action(&mut self) -> Result<String, String> {
        let mut quote = None;
        let mut escaped = false;
        for (at, c) in self.rest.char_indices() {
            match (quote, c) {
                _ if escaped => escaped = false,
                (Some(_), '\\') => escaped = true,
                (Some(q), c) if q == c => quote = None,
                (Some(_), _) => {}
                (None, '"' | '\'') => quote = Some(c),
                (None, '}') => {
                    let action = self.rest[..at].to_owned();
                    self.rest = &self.rest[at + 1..];
                    return Ok(action);
                }
                _ => {}
            }
        }
        Err("unclosed action".into())
    }
}

/// An action may hold several paths and texts, one after the other.
fn actions(text: &str) -> Result<Vec<Vec<Step>>, String> {
    let mut found = Vec::new();
    let mut rest = text;
    while !rest.trim_start().is_empty() {
        let (path, after) = path(rest.trim_start())?;
        found.push(path);
        rest = after;
    }
    Ok(found)
}

/// One path and nothing else.
pub(super) fn steps(text: &str) -> Result<Vec<Step>, String> {
    let (found, rest) = path(text)?;
    match rest.trim().is_empty() {
        true => Ok(found),
        false => Err(format!("unexpected {}", crate::text::quote(rest))),
    }
}

fn word_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if escaped {
            escaped = false;
            continue;
        }
        match c {
            '\\' => escaped = true,
            '.' | '[' | ']' | '$' | '@' | '{' | '}' | ' ' | '\t' | '\n' | '\r' | ',' | '(' | ')' => {
                return at;
            }
            _ => {}
        }
    }
    text.len()
}

fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}

/// A path from the text's beginning, and what stands after it.
fn path(text: &str) -> Result<(Vec<Step>, &str), String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        match c {
            ' ' | '\t' | '\n' | '\r' => return Ok((found, rest)),
            '$' | '@' => {
                found.push(Step::Root);
                rest = &rest[1..];
            }
            '.' if rest.starts_with("..") => {
                found.push(Step::Recursive);
                rest = &rest[2..];
                // `..name` and `..*` need no further dot.
                if rest.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '*') {
                    rest = field(rest, &mut found);
                }
            }
            '.' => rest = field(&rest[1..], &mut found),
            '[' => rest = brackets(rest, &mut found)?,
            '"' | '\'' => {
                let (value, after) = quoted(rest)?;
                found.push(Step::Literal(Value::String(value)));
                return Ok((found, after));
            }
            c if c.is_ascii_digit() || c == '-' || c == '+' => {
                let end =
                    rest[1..].find(|c: char| !c.is_ascii_digit() && c != '.').map_or(rest.len(), |e| e + 1);
                let number = rest[..end].trim_start_matches('+');
                let value =
                    serde_json::from_str(number).map_err(|_| format!("cannot parse number {number}"))?;
                found.push(Step::Literal(value));
                return Ok((found, &rest[end..]));
            }
            c if c.is_alphanumeric() || c == '_' => {
                let end = word_end(rest);
                let word = &rest[..end];
                match word {
                    "true" | "false" => found.push(Step::Literal(Value::Bool(word == "true"))),
                    _ => return Err(format!("unrecognized identifier {word}")),
                }
                return Ok((found, &rest[end..]));
            }
            c => return Err(format!("unrecognized character in action: U+{:04X} '{c}'", u32::from(c))),
        }
    }
    Ok((found, rest))
}

fn field<'t>(text: &'t str, found: &mut Vec<Step>) -> &'t str {
    let end = word_end(text);
    match &text[..end] {
        "" => {}
        "*" => found.push(Step::Wildcard),
        word => found.push(Step::Field(unescaped(word))),
    }
    &text[end..]
}

/// A quoted text from the beginning, with Go's escapes, and what stands after it.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let quote = text.chars().next().unwrap_or('"');
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Ok((out, &text[at + c.len_utf8()..])),
            '\\' => match chars.next().map(|(_, c)| c) {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('r') => out.push('\r'),
                Some('a') => out.push('\u{7}'),
                Some('b') => out.push('\u{8}'),
                Some('f') => out.push('\u{c}'),
                Some('v') => out.push('\u{b}'),
                Some('u') => {
                    let code: String = chars.by_ref().take(4).map(|(_, c)| c).collect();
                    out.extend(u32::from_str_radix(&code, 16).ok().and_then(char::from_u32));
                }
                Some('x') => {
                    let code: String = chars.by_ref().take(2).map(|(_, c)| c).collect();
                    out.extend(u32::from_str_radix(&code, 16).ok().and_then(char::from_u32));
                }
                Some(c) => out.push(c),
                None => break,
            },
            c => out.push(c),
        }
    }
    Err("unterminated quoted string".into())
}

/// `[0]`, `[1:3]`, `[*]`, `['name']`, `['a','b']`, `[?(@.x == 1)]`
fn brackets<'t>(text: &'t str, found: &mut Vec<Step>) -> Result<&'t str, String> {
    let (mut depth, mut quote, mut escaped) = (0, None, false);
    let mut close = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (_, '\\') => escaped = true,
            (Some(q), c) if q == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '[') => depth += 1,
            (None, ']') => {
                depth -= 1;
                if depth == 0 {
                    close = Some(at);
                    break;
                }
            }
            _ => {}
        }
    }
    let Some(close) = close else { return Err("unterminated array".into()) };
    found.push(subscript(&text[1..close])?);
    Ok(&text[close + 1..])
}

fn subscript(inner: &str) -> Result<Step, String> {
    let inner = inner.trim();
    if let Some(filter) = inner.strip_prefix("?(") {
        let filter = filter.strip_suffix(')').ok_or("unterminated filter")?;
        return comparison(filter);
    }
    let parts = split_commas(inner);
    if parts.len() > 1 {
        let each = parts.iter().map(|p| {
            let step = match p.trim() {
                p if p.starts_with(['\'', '"'])
                    || p.starts_with(|c: char| c.is_ascii_digit() || "-*:".contains(c)) =>
                {
                    subscript(p)?
                }
                p => return steps(p),
            };
            Ok(vec![step])
        });
        return Ok(Step::Union(each.collect::<Result<_, String>>()?));
    }
    match inner {
        "*" => Ok(Step::Wildcard),
        name if name.starts_with(['\'', '"']) => quoted(name).map(|(name, _)| Step::Field(name)),
        index => slice(index),
    }
}

fn split_commas(text: &str) -> Vec<&str> {
    let (mut found, mut start, mut quote) = (Vec::new(), 0, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(q), c) if q == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, ',') => {
                found.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(&text[start..]);
    found
}

fn slice(text: &str) -> Result<Step, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let invalid = || format!("invalid array index {text}");
    if parts.len() > 3 || text.is_empty() {
        return Err(invalid());
    }
    let number = |at: usize| match parts.get(at).map_or("", |p| p.trim()) {
        "" => Ok(None),
        n => n.parse::<i64>().map(Some).map_err(|_| invalid()),
    };
    let (from, to, step) = (number(0)?, number(1)?, number(2)?);
    if parts.len() == 1 {
        return Ok(Step::Slice { from, to: None, step: None, single: true });
    }
    Ok(Step::Slice { from, to, step, single: false })
}

const OPERATORS: [&str; 6] = ["==", "!=", "<=", ">=", "<", ">"];

fn comparison(text: &str) -> Result<Step, String> {
    let (mut quote, mut place) = (None, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(q), c) if q == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '=' | '!' | '<' | '>') => {
                place = Some(at);
                break;
            }
            _ => {}
        }
    }
    let Some(at) = place else {
        return Ok(Step::Filter(operand(text)?, "exists".into(), Operand::None));
    };
    let operator = OPERATORS
        .iter()
        .find(|o| text[at..].starts_with(**o))
        .ok_or_else(|| format!("unrecognized filter operator {}", &text[at..at + 1]))?;
    let (left, right) = (operand(&text[..at])?, operand(&text[at + operator.len()..])?);
    Ok(Step::Filter(left, (*operator).to_owned(), right))
}

fn operand(text: &str) -> Result<Operand, String> {
    let found = steps(text.trim())?;
    match &found[..] {
        [Step::Literal(value)] => Ok(Operand::Value(value.clone())),
        _ => Ok(Operand::Path(found)),
    }
}
