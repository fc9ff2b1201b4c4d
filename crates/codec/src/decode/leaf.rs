//! What may stand in a field that holds no object and no list, in Go's words.

use apimachinery::Quantity;
use facts::Value;

use super::lexer::Scalar;

/// A wrong scalar.
pub(super) enum Wrong {
    /// `cannot unmarshal {0} into Go struct field … of type …`
    Type(String),
    /// The whole message.
    Message(String),
}

/// Checks a scalar against the kind of value that belongs there. `raw` is its JSON text.
pub(super) fn check(value: &Value, scalar: &Scalar<'_>, raw: &str) -> Result<(), Wrong> {
    match (value, scalar) {
        (Value::Any | Value::Raw, _) => Ok(()),
        (Value::Quantity, _) => quantity(scalar, raw),
        (Value::IntOrString, Scalar::String(_)) => Ok(()),
        (_, Scalar::Null) => Ok(()),
        (Value::IntOrString, scalar) => match integer(scalar, i64::from(i32::MIN), i64::from(i32::MAX)) {
            Ok(()) => Ok(()),
            Err(what) => Err(message(format!("json: cannot unmarshal {what} into Go value of type int32"))),
        },
        (Value::Time, Scalar::String(text)) => time(text, "2006-01-02T15:04:05Z07:00").map_err(message),
        (Value::MicroTime, Scalar::String(text)) => {
            time(text, "2006-01-02T15:04:05.000000Z07:00").map_err(message)
        }
        (Value::Time | Value::MicroTime, scalar) => {
            let what = named(scalar);
            Err(message(format!("json: cannot unmarshal {what} into Go value of type string")))
        }
        (Value::Bool, Scalar::Bool) | (Value::String, Scalar::String(_)) => Ok(()),
        (Value::Double, Scalar::Number(_)) => Ok(()),
        (Value::Int32, scalar) => {
            integer(scalar, i64::from(i32::MIN), i64::from(i32::MAX)).map_err(Wrong::Type)
        }
        (Value::Int64, scalar) => integer(scalar, i64::MIN, i64::MAX).map_err(Wrong::Type),
        (Value::Bytes, Scalar::String(text)) => base64(text).map_err(message),
        (_, scalar) => Err(Wrong::Type(named(scalar).into())),
    }
}

/// Whether a value's own decoder takes whatever comes, and what it says to an object or a list.
pub(super) fn own_decoder(value: &Value, container: &str) -> Option<String> {
    match value {
        Value::Quantity => Some(apimachinery::quantity::ParseError::Format.to_string()),
        Value::IntOrString => Some(format!("json: cannot unmarshal {container} into Go value of type int32")),
        Value::Time | Value::MicroTime => {
            Some(format!("json: cannot unmarshal {container} into Go value of type string"))
        }
        _ => None,
    }
}

fn message(text: String) -> Wrong {
    Wrong::Message(text)
}

fn named(scalar: &Scalar<'_>) -> &'static str {
    match scalar {
        Scalar::Null => "null",
        Scalar::Bool => "bool",
        Scalar::Number(_) => "number",
        Scalar::String(_) => "string",
    }
}

fn integer(scalar: &Scalar<'_>, min: i64, max: i64) -> Result<(), String> {
    match scalar {
        Scalar::Number(text) => match text.parse::<i64>() {
            Ok(n) if (min..=max).contains(&n) => Ok(()),
            _ => Err(format!("number {text}")),
        },
        other => Err(named(other).into()),
    }
}

fn quantity(scalar: &Scalar<'_>, raw: &str) -> Result<(), Wrong> {
    let text = match scalar {
        Scalar::Null => return Ok(()),
        Scalar::String(text) => text.trim(),
        _ => raw,
    };
    Quantity::parse(text).map(drop).map_err(|e| message(e.to_string()))
}

/// Standard base64; line breaks do not count.
fn base64(text: &str) -> Result<(), String> {
    let bad = |at: usize| Err(format!("illegal base64 data at input byte {at}"));
    let mut count = 0;
    let mut padding = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'\r' | b'\n' => continue,
            b'=' if count % 4 >= 2 && padding < 2 => padding += 1,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' if padding == 0 => {}
            _ => return bad(at),
        }
        count += 1;
    }
    if count % 4 == 0 { Ok(()) } else { bad(text.len()) }
}

/// RFC 3339 as Go's `time.Parse` reads it.
fn time(text: &str, layout: &str) -> Result<(), String> {
    let fail = |rest: &str, element: &str| {
        Err(format!("parsing time {text:?} as {layout:?}: cannot parse {rest:?} as {element:?}"))
    };
    let range = |what: &str| Err(format!("parsing time {text:?}: {what} out of range"));
    let mut rest = text;
    let mut parts = [0u32; 6];
    let elements =
        [("2006", 4, "-"), ("01", 2, "-"), ("02", 2, "T"), ("15", 2, ":"), ("04", 2, ":"), ("05", 2, "")];
    for (part, (element, width, after)) in parts.iter_mut().zip(elements) {
        match rest.get(..width).filter(|d| d.bytes().all(|b| b.is_ascii_digit())) {
            Some(digits) => *part = digits.parse().unwrap_or_default(),
            None => return fail(rest, element),
        }
        rest = &rest[width..];
        match rest.strip_prefix(after) {
            Some(further) => rest = further,
            None => return fail(rest, after),
        }
    }
    let fraction = rest.strip_prefix(['.', ',']).unwrap_or_default();
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    match (layout.contains(".000000"), digits) {
        (true, 0..6) => return fail(rest, ".000000"),
        (true, _) => rest = &fraction[6..],
        (false, 0) => {}
        (false, _) => rest = &fraction[digits..],
    }
    let [year, month, day, hour, minute, second] = parts;
    match () {
        _ if !(1..=12).contains(&month) => return range("month"),
        _ if hour > 23 => return range("hour"),
        _ if minute > 59 => return range("minute"),
        _ if second > 59 => return range("second"),
        _ if !(1..=days_in(year, month)).contains(&day) => return range("day"),
        _ => {}
    }
    zone(rest).or_else(|()| fail(rest, "Z07:00"))
}

fn zone(text: &str) -> Result<(), ()> {
    let below = |digits: Option<&str>, limit: u32| {
        let digits = digits.filter(|d| d.bytes().all(|b| b.is_ascii_digit()));
        digits.and_then(|d| d.parse::<u32>().ok()).is_some_and(|n| n < limit)
    };
    let offset = text.strip_prefix(['+', '-']).filter(|t| t.len() == 5 && t.as_bytes()[2] == b':');
    match offset {
        Some(t) if below(t.get(..2), 25) && below(t.get(3..), 60) => Ok(()),
        _ if text == "Z" => Ok(()),
        _ => Err(()),
    }
}

fn days_in(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}
