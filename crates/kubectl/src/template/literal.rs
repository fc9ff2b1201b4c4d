//! Numbers, characters and strings as Go writes them.

use super::tree::Number;

const SYNTAX: &str = "invalid syntax";

/// What `"…"` or `` `…` `` holds.
pub fn text(quoted: &str) -> Result<Vec<u8>, String> {
    let inner = quoted.get(1..quoted.len() - 1).ok_or(SYNTAX)?;
    if quoted.starts_with('`') {
        return Ok(inner.replace('\r', "").into_bytes());
    }
    let (mut out, mut rest) = (Vec::new(), inner);
    while !rest.is_empty() {
        let (part, after) = unit(rest, '"')?;
        match part {
            Unit::Char(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Unit::Byte(byte) => out.push(byte),
        }
        rest = after;
    }
    Ok(out)
}

/// The number of `'c'`.
pub fn char(quoted: &str) -> Result<Number, String> {
    let (part, rest) = unit(&quoted[1..], '\'')?;
    if rest != "'" {
        return Err(format!("malformed character constant: {quoted}"));
    }
    Ok(Number::Int(match part {
        Unit::Char(c) => i64::from(u32::from(c)),
        Unit::Byte(byte) => i64::from(byte),
    }))
}

enum Unit {
    Char(char),
    Byte(u8),
}

/// The first character, with its escape read, and what follows.
fn unit(text: &str, quote: char) -> Result<(Unit, &str), String> {
    let mut chars = text.chars();
    let c = chars.next().ok_or(SYNTAX)?;
    if c == quote {
        return Err(SYNTAX.into());
    }
    if c != '\\' {
        return Ok((Unit::Char(c), chars.as_str()));
    }
    let escape = chars.next().ok_or(SYNTAX)?;
    let rest = chars.as_str();
    let plain = |c: char| Ok((Unit::Char(c), rest));
    let coded = |text: &'_ str, digits: usize, base: u32| -> Result<u32, String> {
        let digits = text.get(..digits).filter(|d| d.chars().all(|c| c.is_digit(base))).ok_or(SYNTAX)?;
        u32::from_str_radix(digits, base).map_err(|_| SYNTAX.into())
    };
    match escape {
        'a' => plain('\u{7}'),
        'b' => plain('\u{8}'),
        'f' => plain('\u{c}'),
        'n' => plain('\n'),
        'r' => plain('\r'),
        't' => plain('\t'),
        'v' => plain('\u{b}'),
        '\\' => plain('\\'),
        c if c == quote => plain(c),
        'x' => {
            let byte = u8::try_from(coded(rest, 2, 16)?).map_err(|_| SYNTAX)?;
            Ok((Unit::Byte(byte), &rest[2..]))
        }
        '0'..='7' => {
            let start = &text[1..];
            let byte = u8::try_from(coded(start, 3, 8)?).map_err(|_| SYNTAX)?;
            Ok((Unit::Byte(byte), &start[3..]))
        }
        'u' | 'U' => {
            let digits = if escape == 'u' { 4 } else { 8 };
            let c = char::from_u32(coded(rest, digits, 16)?).ok_or(SYNTAX)?;
            Ok((Unit::Char(c), &rest[digits..]))
        }
        _ => Err(SYNTAX.into()),
    }
}

/// A number; those with an imaginary part and hexadecimal fractions are not known here.
pub fn number(text: &str) -> Result<Number, String> {
    let illegal = || format!("illegal number syntax: {}", crate::text::quote(text));
    let (negative, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, bare) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..]),
        Some("0o") => (8, &lower[2..]),
        Some("0b") => (2, &lower[2..]),
        Some(_) if lower.starts_with('0') && lower.chars().all(|c| c.is_digit(8) || c == '_') => {
            (8, &lower[1..])
        }
        _ => (10, lower.as_str()),
    };
    // Between digits (or after what tells the base) `_` may stand.
    let placed = !bare.ends_with('_') && !bare.contains("__") && (base != 10 || !bare.starts_with('_'));
    let whole = bare.replace('_', "");
    if placed && !whole.is_empty() && whole.chars().all(|c| c.is_digit(base)) {
        if base == 10 && whole.len() > 1 && whole.starts_with('0') {
            return Err(format!("integer overflow: {}", crate::text::quote(text)));
        }
        let value = i128::from_str_radix(&whole, base).ok().map(|n| if negative { -n } else { n });
        return match value {
            Some(n) if i64::try_from(n).is_ok() => Ok(Number::Int(i64::try_from(n).unwrap_or_default())),
            Some(n) if !negative && u64::try_from(n).is_ok() => Ok(Number::TooLarge),
            _ => Err(format!("integer overflow: {}", crate::text::quote(text))),
        };
    }
    if base == 16 || !lower.contains(['.', 'e']) {
        return Err(illegal());
    }
    let between = |(at, _): (usize, char)| {
        let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        digit(lower[..at].chars().next_back()) && digit(lower[at + 1..].chars().next())
    };
    if !lower.char_indices().filter(|(_, c)| *c == '_').all(between) {
        return Err(illegal());
    }
    let value: f64 = text.replace('_', "").parse().map_err(|_| illegal())?;
    match value.is_finite() {
        true => Ok(Number::Float(value)),
        false => Err(illegal()),
    }
}
