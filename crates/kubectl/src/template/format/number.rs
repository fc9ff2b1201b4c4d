//! Numbers by the verbs of Go's `fmt`.

use super::{Spec, pad};

/// Where `%v` and `%g` turn to exponents when the digits are the shortest ones.
const LIMIT: i64 = 6;

/// More decimals than any `f64` has.
const MOST: usize = 1100;

/// A whole number; false if the verb is not for such.
pub fn whole(out: &mut Vec<u8>, n: i64, verb: char, spec: Spec) -> bool {
    let magnitude = n.unsigned_abs();
    let digits = match verb {
        'd' | 'v' => magnitude.to_string(),
        'b' => format!("{magnitude:b}"),
        'o' | 'O' => format!("{magnitude:o}"),
        'x' => format!("{magnitude:x}"),
        'X' => format!("{magnitude:X}"),
        'c' | 'q' | 'U' => {
            character(out, n, verb, spec);
            return true;
        }
        _ => return false,
    };
    let signed = n < 0 || spec.plus || spec.space;
    let least = match (spec.precision, spec.width) {
        (Some(0), _) if n == 0 => {
            pad(out, b"", Spec { zero: false, ..spec });
            return true;
        }
        (Some(least), _) => least,
        (None, Some(width)) if spec.zero && !spec.minus => width.saturating_sub(usize::from(signed)),
        _ => 0,
    };
    let digits = "0".repeat(least.saturating_sub(digits.len())) + &digits;
    let prefix = match verb {
        'O' => "0o",
        'b' if spec.sharp => "0b",
        'o' if spec.sharp && !digits.starts_with('0') => "0",
        'x' if spec.sharp => "0x",
        'X' if spec.sharp => "0X",
        _ => "",
    };
    let sign = match (n < 0, spec.plus, spec.space) {
        (true, ..) => "-",
        (_, true, _) => "+",
        (_, _, true) => " ",
        _ => "",
    };
    pad(out, format!("{sign}{prefix}{digits}").as_bytes(), Spec { zero: false, ..spec });
    true
}

fn character(out: &mut Vec<u8>, n: i64, verb: char, spec: Spec) {
    let c = u32::try_from(n).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
    let text = match verb {
        'c' => c.to_string(),
        'U' if spec.sharp => format!("U+{n:04X} '{c}'"),
        'U' => format!("U+{n:04X}"),
        _ => match c {
            '\'' => "'\\''".into(),
            '"' => "'\"'".into(),
            c => {
                let quoted = super::quoted(c.encode_utf8(&mut [0; 4]).as_bytes());
                format!("'{}'", &quoted[1..quoted.len() - 1])
            }
        },
    };
    pad(out, text.as_bytes(), spec);
}

/// A number with a fraction; false if the verb is not for such (`%x` and `%b` are not known here).
pub fn float(out: &mut Vec<u8>, n: f64, verb: char, spec: Spec) -> bool {
    let size = n.abs();
    let text = match verb {
        _ if !n.is_finite() && matches!(verb, 'v' | 'g' | 'G' | 'f' | 'F' | 'e' | 'E') => {
            if n.is_nan() {
                "NaN".into()
            } else {
                "Inf".into()
            }
        }
        'v' | 'g' => general(size, spec.precision),
        'G' => general(size, spec.precision).to_uppercase(),
        'f' | 'F' => {
            let (known, zeros) = decimals(spec.precision);
            format!("{size:.known$}{zeros}")
        }
        'e' | 'E' => {
            let (known, zeros) = decimals(spec.precision);
            let text = format!("{size:.known$e}").replace('e', &format!("{zeros}e"));
            if verb == 'e' { scientific(&text) } else { scientific(&text).to_uppercase() }
        }
        _ => return false,
    };
    let sign = match (n.is_sign_negative() && !n.is_nan(), spec.plus, spec.space) {
        (true, ..) => "-",
        (_, true, _) => "+",
        (_, _, true) => " ",
        _ => "",
    };
    let zeros = match spec.width {
        Some(width) if spec.zero && !spec.minus && n.is_finite() => {
            width.saturating_sub(sign.len() + text.len())
        }
        _ => 0,
    };
    pad(out, format!("{sign}{}{text}", "0".repeat(zeros)).as_bytes(), Spec { zero: false, ..spec });
    true
}

/// How many decimals to ask for, and zeros for the rest: no number has more of its own, and Rust counts to 65535.
fn decimals(precision: Option<usize>) -> (usize, String) {
    let wanted = precision.unwrap_or(6);
    let known = wanted.min(MOST);
    (known, "0".repeat(wanted - known))
}

/// `1.5e3` with Go's exponent: a sign, and two digits at least.
fn scientific(text: &str) -> String {
    let (digits, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}

/// `%g`: the shortest digits that tell the number (or as many as asked for), large and small ones with an exponent.
fn general(size: f64, precision: Option<usize>) -> String {
    let text = match precision {
        Some(digits) => format!("{size:.*e}", digits.clamp(1, MOST) - 1),
        None => format!("{size:e}"),
    };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i64 = exponent.parse().unwrap_or(0);
    let digits = mantissa.replace('.', "");
    let digits = match digits.trim_end_matches('0') {
        "" => "0",
        digits => digits,
    };
    let count = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    // From which exponent on the number is written with one.
    let limit = match precision.map(|p| i64::try_from(p.max(1)).unwrap_or(i64::MAX)) {
        None => LIMIT,
        Some(most) if most > count && count > exponent => count,
        Some(most) => most,
    };
    if exponent < -4 || exponent >= limit {
        let fraction = if digits.len() > 1 { format!(".{}", &digits[1..]) } else { String::new() };
        return scientific(&format!("{}{fraction}e{exponent}", &digits[..1]));
    }
    let decimals = usize::try_from((count - 1 - exponent).max(0)).unwrap_or(0);
    match precision {
        None => format!("{size:.decimals$}"),
        // The digits are already rounded.
        Some(_) => format!("{:.decimals$}", text.parse::<f64>().unwrap_or(size)),
    }
}
