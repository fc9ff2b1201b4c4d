//! Sets of completion indexes as a Job's status writes them: `1,3-5,7`.

use std::fmt;

/// Ordered, disjoint, non-adjacent ranges, both ends included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Indexes(Vec<(u32, u32)>);

impl Indexes {
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads leniently: parts that are none are skipped, and so is what is not below `completions`.
    pub fn parse(text: &str, completions: u32) -> Self {
        let parts = text.split(',').filter_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
            (first <= last && first < completions).then(|| (first, last.min(completions - 1)))
        });
        Self::of_ranges(parts.collect())
    }

    fn of_ranges(mut ranges: Vec<(u32, u32)>) -> Self {
        ranges.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        Indexes(merged)
    }

    /// Both together.
    pub fn union(&self, other: &Self) -> Self {
        Self::of_ranges(self.0.iter().chain(&other.0).copied().collect())
    }

    /// How many indexes.
    pub fn total(&self) -> u32 {
        self.0.iter().map(|(first, last)| last - first + 1).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn has(&self, index: u32) -> bool {
        let after = self.0.partition_point(|(_, last)| *last < index);
        self.0.get(after).is_some_and(|(first, _)| *first <= index)
    }

    /// How many indexes are in both.
    pub fn common(&self, other: &Self) -> u32 {
        let (mut a, mut b, mut count) = (0, 0, 0);
        while let (Some(x), Some(y)) = (self.0.get(a), other.0.get(b)) {
            let (first, last) = (x.0.max(y.0), x.1.min(y.1));
            if first <= last {
                count += last - first + 1;
            }
            if x.1 < y.1 { a += 1 } else { b += 1 }
        }
        count
    }

    /// The first `count` indexes below `completions` that are not in the set.
    pub fn first_missing(&self, count: usize, completions: u32) -> Vec<u32> {
        let mut found = Vec::new();
        let mut candidate = 0;
        for (first, last) in self.0.iter().copied().chain([(completions, completions)]) {
            let gap = candidate..first.min(completions);
            found.extend(gap.take(count - found.len()));
            if found.len() == count {
                break;
            }
            candidate = candidate.max(last.saturating_add(1));
        }
        found
    }
}

impl FromIterator<u32> for Indexes {
    fn from_iter<I: IntoIterator<Item = u32>>(indexes: I) -> Self {
        Self::of_ranges(indexes.into_iter().map(|i| (i, i)).collect())
    }
}

impl fmt::Display for Indexes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (first, last)) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            match last - first {
                0 => write!(f, "{comma}{first}")?,
                1 => write!(f, "{comma}{first},{last}")?,
                _ => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

/// Reads strictly, for validation: how many indexes the text names. The error is upstream's text.
pub(crate) fn count(text: &str, completions: i32) -> Result<i32, String> {
    let mut total = 0i32;
    let mut previous = None;
    for part in text.split(',').filter(|_| !text.is_empty()) {
        let (first, last) = interval(part, completions)?;
        if let Some(previous) = previous.filter(|p| *p >= first) {
            return Err(format!("non-increasing order, previous: {previous}, current: {first}"));
        }
        total = total.saturating_add(last - first + 1);
        previous = Some(last);
    }
    Ok(total)
}

/// An index that both texts name. Parts that are none are left to [`count`].
pub(crate) fn overlap(one: &str, other: &str, completions: i32) -> Option<u32> {
    let parse = |text: &str| {
        let parts = text.split(',').filter_map(|part| interval(part, completions).ok());
        let range = |(first, last): (i32, i32)| Some((u32::try_from(first).ok()?, u32::try_from(last).ok()?));
        Indexes::of_ranges(parts.filter_map(range).collect())
    };
    let (one, other) = (parse(one), parse(other));
    let meets = |(first, last): (u32, u32)| {
        let at = other.0.partition_point(|(_, end)| *end < first);
        other.0.get(at).filter(|(start, _)| *start <= last).map(|(start, _)| first.max(*start))
    };
    one.0.iter().copied().find_map(meets)
}

fn interval(part: &str, completions: i32) -> Result<(i32, i32), String> {
    let limits: Vec<_> = part.split('-').collect();
    let number = |text: &str| {
        let number: i64 =
            text.parse().map_err(|_| format!("cannot convert string to integer for index: {text:?}"))?;
        match i32::try_from(number) {
            Ok(number) if number < completions => Ok(number),
            _ => Err(format!("too large index: {text:?}")),
        }
    };
    match limits[..] {
        [only] => number(only).map(|n| (n, n)),
        [first, last] => match (number(first)?, number(last)?) {
            (first, last) if first >= last => {
                Err(format!("non-increasing order, previous: {first}, current: {last}"))
            }
            range => Ok(range),
        },
        _ => Err(format!(
            "the fragment {part:?} violates the requirement that an index interval can have at most two parts \
             separated by '-'"
        )),
    }
}

#[cfg(test)]
mod tests;
