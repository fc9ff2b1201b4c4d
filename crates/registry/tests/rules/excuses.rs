//! Where upstream has nothing, and why: `excuses.txt`.

use std::path::Path;

/// Lines of the file, by section.
pub struct Excuses {
    nothing: Vec<[String; 3]>,
    may_be_empty: Vec<[String; 2]>,
    unreadable: Vec<[String; 2]>,
}

impl Excuses {
    pub fn read(file: &Path) -> Excuses {
        let text = std::fs::read_to_string(file).unwrap();
        let section = |name: &str| -> Vec<Vec<String>> {
            let lines = text.lines().skip_while(|line| !line.starts_with(&format!("[{name}"))).skip(1);
            let lines = lines.take_while(|line| !line.starts_with('[')).filter(|line| !line.is_empty());
            lines.map(|line| line.split(" | ").map(str::to_owned).collect()).collect()
        };
        fn parts<const N: usize>(lines: Vec<Vec<String>>) -> Vec<[String; N]> {
            lines.into_iter().map(|l| l.try_into().unwrap_or_else(|l| panic!("{l:?}"))).collect()
        }
        Excuses {
            nothing: parts(section("nothing")),
            may_be_empty: parts(section("may be empty")),
            unreadable: parts(section("cannot be read")),
        }
    }

    /// Why a kind has nothing in a column.
    pub fn of(&self, kind: &str, column: &str) -> Option<&str> {
        let found = self.nothing.iter().find(|[k, c, _]| k == kind && c == column)?;
        Some(&found[2])
    }

    /// Whether a field that Go always writes may nevertheless be empty.
    pub fn may_be_empty(&self, kind: &str, field: &str) -> bool {
        has(&self.may_be_empty, kind, field)
    }

    /// Whether a spoilt field makes a body that cannot be read, where Go takes a zero value and judges that.
    pub fn unreadable(&self, kind: &str, field: &str) -> bool {
        has(&self.unreadable, kind, field)
    }
}

fn has(lines: &[[String; 2]], kind: &str, field: &str) -> bool {
    let bare = bare(field);
    lines.iter().any(|[k, f]| k == kind && *f == bare)
}

/// Without the places in lists and the keys of maps.
pub fn bare(field: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in field.chars() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            c if !inside => out.push(c),
            _ => {}
        }
    }
    out
}
