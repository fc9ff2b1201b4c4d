//! What YAML 1.1 takes a plain scalar for.

/// Whether the text, written plain, is read as a string: not as a number, boolean, null or timestamp.
pub(super) fn is_string(text: &str) -> bool {
    !(is_word(text) || is_number(text) || is_sexagesimal(text) || is_timestamp(text))
}

fn is_word(text: &str) -> bool {
    const WORDS: &[&str] = &["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    // As written in lower case, capitalised, or in capitals.
    let cased = |word: &str| {
        let capitals = word.to_ascii_uppercase();
        text == word || text == capitals || text == format!("{}{}", &capitals[..1], &word[1..])
    };
    matches!(text, "" | "~" | "<<") || WORDS.iter().any(|word| cased(word))
}

fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return false;
    }
    let digits = unsigned.replace('_', "");
    let all = |rest: &str, radix| !rest.is_empty() && rest.chars().all(|c| c.is_digit(radix));
    match digits.get(..2) {
        Some("0x" | "0X") => all(&digits[2..], 16),
        Some("0o" | "0O") => all(&digits[2..], 8),
        Some("0b" | "0B") => all(&digits[2..], 2),
        _ => is_float(&digits),
    }
}

/// `1`, `1.`, `.5`, `1.5e-3`
fn is_float(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.strip_prefix(['+', '-']).unwrap_or(exponent)),
        None => (text, "0"),
    };
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    digits(whole)
        && digits(fraction)
        && digits(exponent)
        && !exponent.is_empty()
        && !(whole.is_empty() && fraction.is_empty())
}

/// `12:30:45`, which YAML 1.1 counts in base sixty.
fn is_sexagesimal(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut parts = unsigned.split(':');
    let first = parts.next().unwrap_or_default();
    let head = first.starts_with(|c: char| c.is_ascii_digit())
        && first.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let rest: Vec<&str> = parts.collect();
    let minute = |p: &str| match p.as_bytes() {
        [d] => d.is_ascii_digit(),
        [t, d] => (b'0'..=b'5').contains(t) && d.is_ascii_digit(),
        _ => false,
    };
    let last = |p: &str| {
        let (whole, fraction) = p.split_once('.').unwrap_or((p, ""));
        minute(whole) && fraction.bytes().all(|b| b.is_ascii_digit() || b == b'_')
    };
    match rest.split_last() {
        Some((end, middle)) => head && middle.iter().all(|p| minute(p)) && last(end),
        None => false,
    }
}

/// `2006-1-2`, alone or with a time after it.
fn is_timestamp(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let number = |s: &str, max: usize| (1..=max).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit());
    let (Some(year), Some(month), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let day = rest.split(['T', 't', ' ']).next().unwrap_or_default();
    if !(year.len() == 4 && number(year, 4) && number(month, 2) && number(day, 2)) {
        return false;
    }
    let time = &rest[day.len()..];
    time.is_empty() || {
        let clock = time[1..].trim_start();
        let mut fields = clock.splitn(3, ':');
        number(fields.next().unwrap_or_default(), 2)
            && number(fields.next().unwrap_or_default(), 2)
            && fields.next().is_some_and(|s| s.starts_with(|c: char| c.is_ascii_digit()))
    }
}
