//! The order of versions: `v2`, `v1`, `v1beta2`, `v1beta1`, `v1alpha1`, then whatever else, by the alphabet.

use std::cmp::Ordering;

/// A version's name as Kubernetes forms it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version {
    /// Stable is the greatest.
    stability: u8,
    major: u64,
    minor: u64,
}

/// The more important first, as discovery lists versions.
pub fn compare(a: &str, b: &str) -> Ordering {
    match (parse(a), parse(b)) {
        (Some(a), Some(b)) => b.cmp(&a),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

fn parse(name: &str) -> Option<Version> {
    let rest = name.strip_prefix('v')?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (major, rest) = rest.split_at(digits);
    let major = number(major)?;
    let (stability, minor) = if rest.is_empty() {
        (2, 0)
    } else if let Some(minor) = rest.strip_prefix("beta") {
        (1, number(minor)?)
    } else {
        (0, number(rest.strip_prefix("alpha")?)?)
    };
    Some(Version { stability, major, minor })
}

/// A number without leading zeros.
fn number(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order() {
        let mut versions =
            ["foo10", "v1", "v3beta1", "v12alpha1", "v10", "v11alpha2", "foo1", "v2", "v10beta3", "v1beta01"];
        versions.sort_by(|a, b| compare(a, b));
        assert_eq!(
            versions,
            ["v10", "v2", "v1", "v10beta3", "v3beta1", "v12alpha1", "v11alpha2", "foo1", "foo10", "v1beta01"]
        );
    }
}
