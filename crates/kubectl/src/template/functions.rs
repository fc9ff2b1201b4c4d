//! The functions templates know: Go's, and kubectl's `exists` and `base64decode`. Start at [`call`].

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value as Json;

use super::format::{self, sprint};
use super::value::Value;

/// All of them; `and` and `or` need not all their arguments, so the engine itself answers them.
pub const NAMES: [&str; 21] = [
    "and",
    "base64decode",
    "call",
    "eq",
    "exists",
    "ge",
    "gt",
    "html",
    "index",
    "js",
    "le",
    "len",
    "lt",
    "ne",
    "not",
    "or",
    "print",
    "printf",
    "println",
    "slice",
    "urlquery",
];

static NULL: Json = Json::Null;

/// The arguments of a function.
pub struct Takes {
    pub least: usize,
    /// Any number above `least` too.
    pub more: bool,
    /// The first must be a string.
    pub text: bool,
}

pub fn takes(name: &str) -> Takes {
    let (least, more) = match name {
        "print" | "println" | "html" | "js" | "urlquery" => (0, true),
        "len" | "not" | "base64decode" => (1, false),
        "ge" | "gt" | "le" | "lt" | "ne" => (2, false),
        _ => (1, true),
    };
    Takes { least, more, text: matches!(name, "printf" | "base64decode") }
}

/// What a function makes of its arguments, whose number [`takes`] allows; only `len` gets boxed ones,
/// as it tells a null from nothing.
/// `first`: how the template wrote the first one.
pub fn call<'a>(name: &str, values: Vec<Value<'a>>, first: Option<&str>) -> Result<Value<'a>, String> {
    let Some((one, more)) = values.split_first() else {
        return Ok(match name {
            "println" => Value::owned("\n"),
            _ => Value::owned(""),
        });
    };
    let other = more.first().unwrap_or(&Value::Nothing);
    let bool = |is| Ok(Value::Bool(is));
    match name {
        "not" => bool(!one.is_true()),
        "eq" => bool(equal(one, more)?),
        "ne" => bool(!equal(one, more)?),
        "lt" => bool(less(one, other)?),
        "le" => bool(less(one, other)? || equal(one, more)?),
        "gt" => bool(!less(one, other)? && !equal(one, more)?),
        "ge" => bool(!less(one, other)?),
        "len" => length(one).map(int),
        "index" => index(one, more),
        "slice" => slice(one, more),
        "exists" => bool(exists(one, more)),
        "base64decode" => base64(&bytes(one))
            .map(Value::owned)
            .map_err(|at| format!("base64 decode failed: illegal base64 data at input byte {at}")),
        "print" => Ok(Value::owned(sprint(&values))),
        "println" => Ok(Value::owned(format::sprintln(&values))),
        "printf" => Ok(Value::owned(format::sprintf(&String::from_utf8_lossy(&bytes(one)), more))),
        "html" => Ok(Value::owned(html(&told(&values)))),
        "js" => Ok(Value::owned(js(&told(&values)))),
        "urlquery" => Ok(Value::owned(query(&told(&values)))),
        "call" => Err(uncallable(one, first)),
        _ => Err(format!("{} is not a defined function", crate::text::quote(name))),
    }
}

fn int<'a>(n: usize) -> Value<'a> {
    Value::Int(i64::try_from(n).unwrap_or(i64::MAX))
}

fn bytes<'v>(value: &'v Value<'_>) -> Cow<'v, [u8]> {
    match value {
        Value::Text(text) => Cow::Borrowed(text),
        _ => Cow::Borrowed(&[]),
    }
}

fn uncallable(value: &Value<'_>, first: Option<&str>) -> String {
    let name = match (first, value) {
        (_, Value::Nothing) => return "call of nil".into(),
        (Some(written), _) => written.to_owned(),
        (None, Value::Text(text)) => String::from_utf8_lossy(text).into_owned(),
        (None, other) => format!("<{} Value>", other.type_name()),
    };
    format!("non-function {name} of type {}", value.type_name())
}

/// Which values can be compared with each other.
fn basic(value: &Value<'_>) -> Option<u8> {
    Some(match value {
        Value::Bool(_) => 0,
        Value::Int(_) | Value::Int64(_) | Value::Byte(_) => 1,
        Value::Float(_) => 2,
        Value::Text(_) => 3,
        _ => return None,
    })
}

fn incompatible(a: &Value<'_>, b: &Value<'_>) -> String {
    format!("incompatible types for comparison: {} and {}", a.type_name(), b.type_name())
}

/// Whether a value is that of any of the others.
fn equal(one: &Value<'_>, others: &[Value<'_>]) -> Result<bool, String> {
    if others.is_empty() {
        return Err("missing argument for comparison".into());
    }
    let said = |value: &Value<'_>| format::sprintf("%s", std::slice::from_ref(value));
    for other in others {
        let same = match (one, other) {
            (Value::Nothing, Value::Nothing) => true,
            (Value::Nothing, _) | (_, Value::Nothing) => false,
            _ if basic(one) != basic(other) => return Err(incompatible(one, other)),
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Float(a), Value::Float(b)) => a == b,
            (Value::Text(a), Value::Text(b)) => a == b,
            _ if basic(one).is_some() => one.whole() == other.whole(),
            _ if one.type_name() == other.type_name() => {
                let said = String::from_utf8_lossy(&said(other)).into_owned();
                return Err(format!("non-comparable type {said}: {}", other.type_name()));
            }
            _ => {
                return Err(format!(
                    "non-comparable types {}: {}, {}: {}",
                    String::from_utf8_lossy(&said(one)),
                    one.type_name(),
                    other.type_name(),
                    format::text(other)
                ));
            }
        };
        if same {
            return Ok(true);
        }
    }
    Ok(false)
}

fn less(a: &Value<'_>, b: &Value<'_>) -> Result<bool, String> {
    let order = match (a, b) {
        _ if basic(a).is_none() || basic(b).is_none() => {
            return Err("invalid type for comparison".into());
        }
        _ if basic(a) != basic(b) => return Err(incompatible(a, b)),
        (Value::Bool(_), _) => return Err("invalid type for comparison".into()),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        _ => Some(a.whole().cmp(&b.whole())),
    };
    Ok(order == Some(Ordering::Less))
}

fn length(value: &Value<'_>) -> Result<usize, String> {
    match value {
        Value::Text(text) => Ok(text.len()),
        Value::List(list) => Ok(list.len()),
        Value::Map(map) => Ok(map.len()),
        Value::Nothing => Err("reflect: call of reflect.Value.Type on zero Value".into()),
        Value::Boxed(Json::Null) => Err("len of nil pointer".into()),
        Value::Boxed(json) => length(&Value::of(json)),
        other => Err(format!("len of type {}", other.type_name())),
    }
}

/// An index of a list or string of `length`.
fn place(index: &Value<'_>, length: usize) -> Result<usize, String> {
    let at = match (index, index.whole()) {
        (_, Some(at)) => at,
        (Value::Nothing, _) => return Err("cannot index slice/array with nil".into()),
        (other, _) => return Err(format!("cannot index slice/array with type {}", other.type_name())),
    };
    usize::try_from(at).ok().filter(|at| *at <= length).ok_or(format!("index out of range: {at}"))
}

fn index<'a>(of: &Value<'a>, indexes: &[Value<'a>]) -> Result<Value<'a>, String> {
    if matches!(of, Value::Nothing) {
        return Err("index of untyped nil".into());
    }
    let mut item = of.clone();
    for index in indexes {
        item = match item.open() {
            Value::Nothing => return Err("index of nil pointer".into()),
            Value::List(list) => {
                let at = place(index, list.len())?;
                Value::Boxed(list.get(at).ok_or("reflect: slice index out of range")?)
            }
            Value::Text(text) => {
                let at = place(index, text.len())?;
                Value::Byte(*text.get(at).ok_or("reflect: string index out of range")?)
            }
            Value::Map(map) => match index {
                Value::Text(key) => {
                    let key = std::str::from_utf8(key).ok();
                    Value::Boxed(key.and_then(|key| map.get(key)).unwrap_or(&NULL))
                }
                Value::Nothing => return Err("value is nil; should be of type string".into()),
                other => return Err(format!("value has type {}; should be string", other.type_name())),
            },
            other => return Err(format!("can't index item of type {}", other.type_name())),
        };
    }
    Ok(item)
}

/// Whether [`index`] would find something. As stock, what is asked of no value at all is told to be there.
fn exists<'a>(of: &Value<'a>, indexes: &[Value<'a>]) -> bool {
    indexes.is_empty() || index(of, indexes).is_ok_and(|found| !matches!(found.open(), Value::Nothing))
}

fn slice<'a>(of: &Value<'a>, indexes: &[Value<'a>]) -> Result<Value<'a>, String> {
    if matches!(of, Value::Nothing) {
        return Err("slice of untyped nil".into());
    }
    if indexes.len() > 3 {
        return Err(format!("too many slice indexes: {}", indexes.len()));
    }
    let length = match of {
        Value::Text(_) if indexes.len() == 3 => return Err("cannot 3-index slice a string".into()),
        Value::Text(text) => text.len(),
        Value::List(list) => list.len(),
        other => return Err(format!("can't slice item of type {}", other.type_name())),
    };
    let mut bounds = [0, length, length];
    for (bound, index) in bounds.iter_mut().zip(indexes) {
        *bound = place(index, length)?;
    }
    for (a, b) in [(bounds[0], bounds[1]), (bounds[1], bounds[2])] {
        if a > b {
            return Err(format!("invalid slice index: {a} > {b}"));
        }
    }
    Ok(match of {
        Value::List(list) => Value::List(&list[bounds[0]..bounds[1]]),
        other => Value::owned(&bytes(other)[bounds[0]..bounds[1]]),
    })
}

/// The bytes that base64 stands for (line breaks in it are skipped), or the place of the first wrong one.
fn base64(text: &[u8]) -> Result<Vec<u8>, usize> {
    let (mut out, mut at) = (Vec::new(), 0);
    let breaks = |mut at: usize| {
        while matches!(text.get(at), Some(b'\n' | b'\r')) {
            at += 1;
        }
        at
    };
    loop {
        let (mut bits, mut read) = (0u32, 0);
        while read < 4 {
            at = breaks(at);
            let Some(&byte) = text.get(at) else {
                return if read == 0 { Ok(out) } else { Err(at - read) };
            };
            at += 1;
            let value = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                b'=' if read >= 2 => break,
                _ => return Err(at - 1),
            };
            bits |= u32::from(value) << (18 - 6 * read);
            read += 1;
        }
        out.extend_from_slice(&bits.to_be_bytes()[1..read]);
        if read == 4 {
            continue;
        }
        if read == 2 {
            at = breaks(at);
            match text.get(at) {
                None => return Err(text.len()),
                Some(b'=') => at += 1,
                Some(_) => return Err(at - 1),
            }
        }
        at = breaks(at);
        return if at < text.len() { Err(at) } else { Ok(out) };
    }
}

/// The arguments of the escaping functions as one text.
fn told<'v>(values: &[Value<'v>]) -> Vec<u8> {
    match values {
        [Value::Text(text)] => text.to_vec(),
        values => {
            let shown = |value: &Value<'v>| match value {
                Value::Nothing => Value::text(format::NO_VALUE),
                other => other.clone(),
            };
            let all: Vec<Value<'_>> = values.iter().map(shown).collect();
            sprint(&all)
        }
    }
}

fn html(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b'"' => out.extend_from_slice(b"&#34;"),
            b'\'' => out.extend_from_slice(b"&#39;"),
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            0 => out.extend_from_slice("\u{fffd}".as_bytes()),
            other => out.push(*other),
        }
    }
    out
}

fn js(text: &[u8]) -> Vec<u8> {
    let mut out = String::with_capacity(text.len());
    for c in String::from_utf8_lossy(text).chars() {
        match c {
            '\\' | '\'' | '"' => out.extend(['\\', c]),
            '<' | '>' | '&' | '=' | '\0'..'\u{20}' => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            '\u{80}'.. if !format::is_printed(c) => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.into_bytes()
}

fn query(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b' ' => out.push(b'+'),
            b'-' | b'_' | b'.' | b'~' => out.push(*byte),
            byte if byte.is_ascii_alphanumeric() => out.push(*byte),
            byte => out.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
    out
}
