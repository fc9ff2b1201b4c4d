//! Finding places in JSON that our own encoder wrote, without decoding it.

use std::ops::Range;

/// Where the members after leading `apiVersion` and `kind` start (either order); 1 when these do not come first.
pub fn after_type_meta(json: &[u8]) -> usize {
    let member = |at: usize, name: &str| -> Option<usize> {
        let rest =
            json.get(at..)?.strip_prefix(b"\"")?.strip_prefix(name.as_bytes())?.strip_prefix(b"\":\"")?;
        let end = rest.iter().position(|b| matches!(b, b'"' | b'\\'))?;
        let rest = rest[end..].strip_prefix(b"\",")?;
        Some(json.len() - rest.len())
    };
    let both = |first, second| member(1, first).and_then(|at| member(at, second));
    both("apiVersion", "kind").or_else(|| both("kind", "apiVersion")).unwrap_or(1)
}

/// The span of `metadata.<name>`'s value, quotes included.
pub fn metadata_member(json: &[u8], name: &str) -> Option<Range<usize>> {
    let metadata = member(json, 0, "metadata")?;
    member(json, metadata.start, name)
}

/// The span of a member's value in the object that starts at `at`.
fn member(json: &[u8], at: usize, name: &str) -> Option<Range<usize>> {
    let mut at = skip_space(json, at);
    if *json.get(at)? != b'{' {
        return None;
    }
    at = skip_space(json, at + 1);
    while *json.get(at)? == b'"' {
        let key = at + 1..skip_string(json, at)? - 1;
        at = skip_space(json, key.end + 1);
        if *json.get(at)? != b':' {
            return None;
        }
        let start = skip_space(json, at + 1);
        let end = skip_value(json, start)?;
        if &json[key] == name.as_bytes() {
            return Some(start..end);
        }
        at = skip_space(json, end);
        if *json.get(at)? != b',' {
            return None;
        }
        at = skip_space(json, at + 1);
    }
    None
}

fn skip_space(json: &[u8], mut at: usize) -> usize {
    while json.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

/// The position after the string that starts at `at`.
fn skip_string(json: &[u8], mut at: usize) -> Option<usize> {
    at += 1;
    loop {
        match json.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The position after the value that starts at `at`.
fn skip_value(json: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0usize;
    loop {
        match json.get(at)? {
            b'"' => at = skip_string(json, at)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                at += 1;
            }
            _ if depth > 0 => {
                at += 1;
                continue;
            }
            // A number or a word: up to what ends it.
            _ => {
                while json.get(at).is_some_and(|b| !matches!(b, b',' | b'}' | b']')) {
                    at += 1;
                }
            }
        }
        if depth == 0 {
            return Some(at);
        }
    }
}
