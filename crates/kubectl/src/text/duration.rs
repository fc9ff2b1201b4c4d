//! Durations as Go reads and writes them.

use std::time::Duration;

use super::quote;

/// `1h2m3.5s`; Go's complaint otherwise. Negative ones are read as zero length.
pub fn parse(text: &str) -> Result<Duration, String> {
    parse_nanoseconds(text).map(|n| Duration::from_nanos(u64::try_from(n).unwrap_or(0)))
}

/// The same, in nanoseconds with the sign.
pub fn parse_nanoseconds(text: &str) -> Result<i128, String> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let invalid = || format!("time: invalid duration {}", quote(text));
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().map_err(|_| invalid())?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let factor = match &rest[..unit] {
            "" => return Err(format!("time: missing unit in duration {}", quote(text))),
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            other => return Err(format!("time: unknown unit {} in duration {}", quote(other), quote(text))),
        };
        total += number * factor;
        rest = &rest[unit..];
    }
    Ok(sign * total as i128)
}
