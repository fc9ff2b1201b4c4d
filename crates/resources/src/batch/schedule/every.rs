//! Durations as Go writes them: `1h30m`, `1.5h`, `90s`.

use jiff::SignedDuration;

/// The error is Go's text.
pub(super) fn duration(text: &str) -> Result<SignedDuration, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(SignedDuration::ZERO);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut nanos: i128 = 0;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
            return Err(invalid());
        }
        let unit_nanos: i128 = match unit {
            "" => return Err(format!("time: missing unit in duration {text:?}")),
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            other => return Err(format!("time: unknown unit {other:?} in duration {text:?}")),
        };
        let parse = |digits: &str| if digits.is_empty() { Ok(0) } else { digits.parse::<i128>() };
        // More digits than a nanosecond of an hour has are not worth reading.
        let fraction = &fraction[..fraction.len().min(18)];
        let whole = parse(whole).ok().and_then(|n| n.checked_mul(unit_nanos)).ok_or_else(invalid)?;
        let scale = 10i128.pow(fraction.len() as u32);
        let part = parse(fraction).map_err(|_| invalid())? * unit_nanos / scale;
        nanos = nanos.checked_add(whole + part).filter(|n| *n <= i64::MAX.into()).ok_or_else(invalid)?;
        rest = tail;
    }
    let nanos = i64::try_from(nanos).map_err(|_| invalid())?;
    Ok(SignedDuration::from_nanos(if negative { -nanos } else { nanos }))
}
