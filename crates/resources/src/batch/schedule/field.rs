//! One field of a schedule: a list of ranges with steps.

/// What a field may contain.
pub(super) struct Bounds {
    min: u8,
    max: u8,
    /// Names of the values from `min` on.
    names: &'static [&'static str],
}

impl Bounds {
    pub const MINUTE: Bounds = Bounds { min: 0, max: 59, names: &[] };
    pub const HOUR: Bounds = Bounds { min: 0, max: 23, names: &[] };
    pub const DAY: Bounds = Bounds { min: 1, max: 31, names: &[] };
    pub const MONTH: Bounds = Bounds {
        min: 1,
        max: 12,
        names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    };
    pub const WEEKDAY: Bounds =
        Bounds { min: 0, max: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

    fn number(&self, text: &str) -> Result<u64, String> {
        let name = text.to_ascii_lowercase();
        match self.names.iter().position(|n| *n == name) {
            Some(at) => Ok(u64::from(self.min) + at as u64),
            None => number(text),
        }
    }
}

/// The values that a field allows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    values: u64,
    /// Written as `*` or `?`, without a step.
    pub open: bool,
}

impl Field {
    pub fn parse(text: &str, bounds: &Bounds) -> Result<Self, String> {
        let mut field = Field { values: 0, open: false };
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (values, open) = range(part, bounds)?;
            field.values |= values;
            field.open |= open;
        }
        Ok(field)
    }

    pub fn has(&self, value: i8) -> bool {
        u32::try_from(value).is_ok_and(|v| self.values >> v & 1 == 1)
    }
}

/// `N`, `*`, `N-M`, each with `/STEP` or without.
fn range(text: &str, bounds: &Bounds) -> Result<(u64, bool), String> {
    let parts: Vec<_> = text.split('/').collect();
    let ends: Vec<_> = parts[0].split('-').collect();
    let single = ends.len() == 1;
    let (min, max) = (u64::from(bounds.min), u64::from(bounds.max));
    let mut open = false;
    let (start, mut end) = match ends[..] {
        ["*" | "?", ..] => {
            open = true;
            (min, max)
        }
        [only] => bounds.number(only).map(|n| (n, n))?,
        [first, last] => (bounds.number(first)?, bounds.number(last)?),
        _ => return Err(format!("too many hyphens: {text}")),
    };
    let step = match parts[..] {
        [_] => 1,
        [_, step] => {
            let step = number(step)?;
            // A start alone goes on to the end.
            if single {
                end = max;
            }
            open &= step <= 1;
            step
        }
        _ => return Err(format!("too many slashes: {text}")),
    };
    if start < min {
        return Err(format!("beginning of range ({start}) below minimum ({min}): {text}"));
    }
    if end > max {
        return Err(format!("end of range ({end}) above maximum ({max}): {text}"));
    }
    if start > end {
        return Err(format!("beginning of range ({start}) beyond end of range ({end}): {text}"));
    }
    if step == 0 {
        return Err(format!("step of range should be a positive number: {text}"));
    }
    let step = usize::try_from(step).unwrap_or(usize::MAX);
    Ok(((start..=end).step_by(step).fold(0, |values, v| values | 1 << v), open))
}

fn number(text: &str) -> Result<u64, String> {
    match text.parse::<i64>() {
        Ok(number) if number < 0 => Err(format!("negative number ({number}) not allowed: {text}")),
        Ok(number) => Ok(number.unsigned_abs()),
        Err(error) => {
            use std::num::IntErrorKind::{NegOverflow, PosOverflow};
            let why = match error.kind() {
                PosOverflow | NegOverflow => "value out of range",
                _ => "invalid syntax",
            };
            Err(format!("failed to parse int from {text}: strconv.Atoi: parsing {text:?}: {why}"))
        }
    }
}
