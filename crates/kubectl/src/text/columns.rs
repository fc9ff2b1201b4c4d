//! Columns of text, aligned as Go's tabwriter (and kubectl's fork of it) does.

/// Lines of cells, aligned when they are written out.
pub struct Columns {
    min: usize,
    padding: usize,
    text: String,
}

impl Columns {
    /// As tables of `get` have them: cells of at least six, three spaces between.
    pub fn table() -> Self {
        Columns { min: 6, padding: 3, text: String::new() }
    }

    /// As `describe` has them.
    pub fn describe() -> Self {
        Columns { min: 0, padding: 2, text: String::new() }
    }

    pub fn new(min: usize, padding: usize) -> Self {
        Columns { min, padding, text: String::new() }
    }

    /// Cells end with a tab, lines with a line break.
    pub fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// What was pushed, aligned.
    pub fn finish(self) -> String {
        let lines: Vec<Vec<&str>> = self.text.split('\n').map(|l| l.split('\t').collect()).collect();
        let mut widths: Vec<Vec<usize>> = lines.iter().map(|l| vec![0; l.len()]).collect();
        self.measure(&lines, &mut widths, 0, lines.len(), 0);
        let mut out = String::with_capacity(self.text.len() * 2);
        let last = lines.len().saturating_sub(1);
        for (at, cells) in lines.iter().enumerate() {
            for (column, cell) in cells.iter().enumerate() {
                out.push_str(cell);
                if column + 1 < cells.len() {
                    let pad = widths[at][column].saturating_sub(width(cell));
                    out.extend(std::iter::repeat_n(' ', pad));
                }
            }
            if at < last {
                out.push('\n');
            }
        }
        out
    }

    /// A column is a run of lines that all have a cell there which a tab ends.
    fn measure(&self, lines: &[Vec<&str>], widths: &mut [Vec<usize>], from: usize, to: usize, column: usize) {
        let mut at = from;
        while at < to {
            if lines[at].len() <= column + 1 {
                at += 1;
                continue;
            }
            let start = at;
            let mut wide = self.min;
            while at < to && lines[at].len() > column + 1 {
                let cell = width(lines[at][column]);
                wide = wide.max(cell + self.padding);
                at += 1;
            }
            for line in &mut widths[start..at] {
                line[column] = wide;
            }
            self.measure(lines, widths, start, at, column + 1);
        }
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}
