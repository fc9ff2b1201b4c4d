//! The name that may have been meant.

/// `; did you mean NAME?`, or nothing where no name is near.
pub fn suggestion<'a>(given: &str, names: impl Iterator<Item = &'a str>) -> String {
    match names.map(|name| (distance(name, given), name)).min() {
        Some((far, name)) if far <= 3 && far < name.len() => format!("; did you mean {name}?"),
        _ => String::new(),
    }
}

/// How many letters differ (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let up = row[j + 1];
            row[j + 1] = (diagonal + usize::from(x != *y)).min(up + 1).min(row[j] + 1);
            diagonal = up;
        }
    }
    row[b.len()]
}
