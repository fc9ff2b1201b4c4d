//! `Quantity`: a decimal number with a suffix, such as `500m` or `2Gi`, in upstream's canonical forms.
//!
//! Contract: <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

#[cfg(test)]
mod tests;

/// The family of suffixes a quantity is written with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// `m`, `k`, `M`, …
    #[default]
    DecimalSi,
    /// `Ki`, `Mi`, …
    BinarySi,
    /// `e3`, `e-6`, …
    DecimalExponent,
}

/// An exact decimal number, never finer than a nano, and the way it likes to be written.
/// Equality and order look at the number only.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quantity {
    // The number is mantissa × 10^scale. Normalised: the mantissa has no trailing zero; zero has scale 0.
    mantissa: i128,
    scale: i32,
    format: Format,
}

/// Why a text is no quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

const NANO: i32 = -9;
const MILLI: i32 = -3;

/// Suffixes that mean a power of ten, with that power.
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];

/// Suffixes that mean a power of 1024: the first is 1024^1.
const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

impl Quantity {
    pub const ZERO: Quantity = Quantity { mantissa: 0, scale: 0, format: Format::DecimalSi };

    /// `value` whole units.
    pub fn new(value: i64, format: Format) -> Self {
        Self::normal(i128::from(value), 0, format)
    }

    /// `value` thousandths.
    pub fn milli(value: i64, format: Format) -> Self {
        Self::normal(i128::from(value), MILLI, format)
    }

    /// Reads upstream's syntax. What is finer than a nano is rounded away from zero to one.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let parts = Parts::split(text)?;
        let (base, exponent, format) = suffix(parts.suffix).ok_or(ParseError::Suffix)?;
        let (mut magnitude, mut scale) = parts.magnitude();
        let mut format = format;
        match base {
            Base::Ten => scale = scale.saturating_add(exponent),
            Base::Two => {
                let max = i128::from(i64::MAX);
                // Upstream caps binary quantities (and only those) at the largest int64.
                magnitude = magnitude.checked_mul(1i128 << exponent).unwrap_or(i128::MAX);
                if compare((magnitude, scale), (max, 0)) == Ordering::Greater {
                    (magnitude, scale) = (max, 0);
                }
                if magnitude != 0 && compare((magnitude, scale), (1, 0)) == Ordering::Less {
                    format = Format::DecimalSi;
                }
            }
        }
        let sign = if parts.negative { -1 } else { 1 };
        let (mantissa, scale) = round_away(sign * magnitude, scale, NANO);
        Ok(Self::normal(mantissa, scale, format))
    }

    fn normal(mut mantissa: i128, mut scale: i32, format: Format) -> Self {
        if mantissa == 0 {
            return Quantity { mantissa, scale: 0, format };
        }
        while mantissa % 10 == 0 && scale < i32::MAX {
            mantissa /= 10;
            scale += 1;
        }
        Quantity { mantissa, scale, format }
    }

    pub fn format(&self) -> Format {
        self.format
    }

    /// Whole units, rounded away from zero; beyond i64 the nearest i64.
    pub fn value(&self) -> i64 {
        self.scaled(0)
    }

    /// Thousandths, rounded away from zero; beyond i64 the nearest i64.
    pub fn milli_value(&self) -> i64 {
        self.scaled(MILLI)
    }

    /// In units of 10^`scale`, rounded away from zero; beyond i64 the nearest i64.
    pub fn scaled(&self, scale: i32) -> i64 {
        let (mantissa, got) = round_away(self.mantissa, self.scale, scale);
        let shift = got.saturating_sub(scale).max(0).unsigned_abs();
        let exact = 10i128.checked_pow(shift).and_then(|p| mantissa.checked_mul(p));
        let limit = if mantissa < 0 { i64::MIN } else { i64::MAX };
        exact.map_or(limit, |v| i64::try_from(v).unwrap_or(limit))
    }

    /// The value as a whole number, when it is one and fits.
    pub fn exact_value(&self) -> Option<i64> {
        let (_, scale) = round_away(self.mantissa, self.scale, 0);
        (scale == self.scale)
            .then(|| 10i128.checked_pow(self.scale.unsigned_abs()))
            .flatten()
            .and_then(|p| self.mantissa.checked_mul(p))
            .and_then(|v| i64::try_from(v).ok())
    }

    /// As a float; may lose precision.
    pub fn approximate(&self) -> f64 {
        self.mantissa as f64 * 10f64.powi(self.scale)
    }

    /// The same, rounded away from zero to a multiple of 10^`scale`: -3 for thousandths.
    pub fn round_up(&self, scale: i32) -> Self {
        let (mantissa, scale) = round_away(self.mantissa, self.scale, scale);
        Self::normal(mantissa, scale, self.format)
    }

    pub fn is_zero(&self) -> bool {
        self.mantissa == 0
    }

    /// -1, 0 or 1.
    pub fn signum(&self) -> i32 {
        self.mantissa.signum() as i32
    }

    fn combine(self, other: Self) -> Self {
        // A zero takes the other's way of writing.
        let format = if self.is_zero() { other.format } else { self.format };
        let scale = self.scale.min(other.scale);
        let at = |q: &Quantity| {
            10i128.checked_pow(q.scale.abs_diff(scale)).and_then(|p| q.mantissa.checked_mul(p))
        };
        match at(&self).zip(at(&other)).and_then(|(a, b)| a.checked_add(b)) {
            Some(sum) => Self::normal(sum, scale, format),
            // More than 38 digits apart: the smaller one does not show.
            None if compare((self.mantissa.abs(), self.scale), (other.mantissa.abs(), other.scale))
                == Ordering::Less =>
            {
                Quantity { format, ..other }
            }
            None => Quantity { format, ..self },
        }
    }
}

impl std::ops::Add for Quantity {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.combine(other)
    }
}

impl std::ops::Sub for Quantity {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.combine(-other)
    }
}

impl std::ops::Neg for Quantity {
    type Output = Self;

    fn neg(self) -> Self {
        Quantity { mantissa: self.mantissa.saturating_neg(), ..self }
    }
}

impl std::ops::AddAssign for Quantity {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl std::ops::SubAssign for Quantity {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl std::iter::Sum for Quantity {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, |a, b| a + b)
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        (self.mantissa, self.scale) == (other.mantissa, other.scale)
    }
}

impl Eq for Quantity {}

impl std::hash::Hash for Quantity {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.mantissa, self.scale).hash(state);
    }
}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        compare((self.mantissa, self.scale), (other.mantissa, other.scale))
    }
}

impl fmt::Display for Quantity {
    /// The canonical form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.mantissa == 0 {
            return f.write_str("0");
        }
        if self.format == Format::BinarySi
            && let Some(text) = self.binary()
        {
            return f.write_str(&text);
        }
        // The exponent has to be a multiple of three.
        let down = self.scale.rem_euclid(3);
        let exponent = self.scale - down;
        // Two digits more may not fit; then the exponent is simply not a multiple of three.
        let (mantissa, exponent) = match self.mantissa.checked_mul(10i128.pow(down.unsigned_abs())) {
            Some(mantissa) => (mantissa, exponent),
            None => (self.mantissa, self.scale),
        };
        let named = DECIMAL.iter().find(|(_, e)| *e == exponent);
        match named {
            Some((suffix, _)) if self.format != Format::DecimalExponent => write!(f, "{mantissa}{suffix}"),
            _ if exponent == 0 => write!(f, "{mantissa}"),
            _ => write!(f, "{mantissa}e{exponent}"),
        }
    }
}

impl Quantity {
    /// In powers of 1024: only whole numbers from 1024 up, else the decimal form says more.
    fn binary(&self) -> Option<String> {
        let mut value = i128::from(self.exact_value()?);
        if value.abs() < 1024 {
            return None;
        }
        let mut power = 0;
        while value % 1024 == 0 && power < BINARY.len() {
            value /= 1024;
            power += 1;
        }
        let suffix = power.checked_sub(1).map_or("", |p| BINARY[p]);
        Some(format!("{value}{suffix}"))
    }
}

impl FromStr for Quantity {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    /// From a string, a number or null (zero).
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Quantity;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a quantity")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Quantity, E> {
                Quantity::parse(text.trim()).map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Quantity, E> {
                Ok(Quantity::new(value, Format::DecimalSi))
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Quantity, E> {
                Ok(Quantity::normal(i128::from(value), 0, Format::DecimalSi))
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Quantity, E> {
                self.visit_str(&value.to_string())
            }
            fn visit_unit<E: de::Error>(self) -> Result<Quantity, E> {
                Ok(Quantity::ZERO)
            }
        }
        deserializer.deserialize_any(Text)
    }
}

#[derive(Clone, Copy)]
enum Base {
    Two,
    Ten,
}

/// What a suffix multiplies by: base, exponent and the family it belongs to.
fn suffix(text: &str) -> Option<(Base, i32, Format)> {
    if let Some((_, exponent)) = DECIMAL.iter().find(|(s, _)| *s == text) {
        return Some((Base::Ten, *exponent, Format::DecimalSi));
    }
    if let Some(power) = BINARY.iter().position(|s| *s == text) {
        return Some((Base::Two, 10 * (power as i32 + 1), Format::BinarySi));
    }
    let exponent = text.strip_prefix(['e', 'E'])?.parse().ok()?;
    Some((Base::Ten, exponent, Format::DecimalExponent))
}

/// A quantity's text, taken apart.
struct Parts<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    suffix: &'a str,
}

impl<'a> Parts<'a> {
    fn split(text: &'a str) -> Result<Self, ParseError> {
        if text.is_empty() {
            return Err(ParseError::Format);
        }
        let negative = text.starts_with('-');
        let rest = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (whole, rest) = span(rest, |b| b.is_ascii_digit());
        let (fraction, suffix) = match rest.strip_prefix('.') {
            Some(rest) => span(rest, |b| b.is_ascii_digit()),
            None => ("", rest),
        };
        let (_, digits) = span(suffix, |b| b"eEinumkKMGTP".contains(&b));
        let digits = digits.strip_prefix(['-', '+']).unwrap_or(digits);
        match digits.bytes().all(|b| b.is_ascii_digit()) {
            true => Ok(Parts { negative, whole: whole.trim_start_matches('0'), fraction, suffix }),
            false => Err(ParseError::Format),
        }
    }

    /// Mantissa and scale. What 38 digits cannot hold is rounded up.
    fn magnitude(&self) -> (i128, i32) {
        const DIGITS: usize = 38;
        let mut mantissa = 0i128;
        let mut taken = 0;
        let mut inexact = false;
        let digits = self.whole.bytes().chain(self.fraction.bytes());
        for digit in digits.map(|b| i128::from(b - b'0')) {
            match mantissa {
                0..10_000_000_000_000_000_000_000_000_000_000_000_000 => {
                    mantissa = mantissa * 10 + digit;
                    taken += 1;
                }
                _ => inexact |= digit != 0,
            }
        }
        debug_assert!(mantissa < 10i128.pow(DIGITS as u32));
        let scale = self.whole.len() as i64 - taken;
        (mantissa + i128::from(inexact), i32::try_from(scale).unwrap_or(i32::MIN))
    }
}

/// The longest start of `text` whose bytes are all `ok`, and the rest.
fn span(text: &str, ok: impl Fn(u8) -> bool) -> (&str, &str) {
    let end = text.bytes().position(|b| !ok(b)).unwrap_or(text.len());
    text.split_at(end)
}

/// The number as a multiple of 10^`to`, rounded away from zero; unchanged when it already is one.
fn round_away(mantissa: i128, scale: i32, to: i32) -> (i128, i32) {
    if scale >= to {
        return (mantissa, scale);
    }
    match 10i128.checked_pow(scale.abs_diff(to)) {
        Some(unit) => {
            let up = if mantissa % unit == 0 { 0 } else { mantissa.signum() };
            (mantissa / unit + up, to)
        }
        None => (mantissa.signum(), to),
    }
}

/// Order of two numbers given as mantissa and scale.
fn compare(a: (i128, i32), b: (i128, i32)) -> Ordering {
    let signs = a.0.signum().cmp(&b.0.signum());
    if signs != Ordering::Equal || a.0 == 0 {
        return signs;
    }
    let low = a.1.min(b.1);
    let at = |(mantissa, scale): (i128, i32)| {
        10i128.checked_pow(scale.abs_diff(low)).and_then(|p| mantissa.checked_mul(p))
    };
    match (at(a), at(b)) {
        (Some(x), Some(y)) => x.cmp(&y),
        // The one that does not fit is the one farther from zero.
        (None, _) => a.0.signum().cmp(&0),
        (_, None) => 0.cmp(&b.0.signum()),
    }
}
