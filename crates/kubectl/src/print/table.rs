//! Tables for people: the server's rows, in columns. Start at [`Tables`].

use serde_json::Value;

use crate::command::Call;
use crate::text::columns::Columns;

/// What is shown of every table.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub wide: bool,
    pub headers: bool,
    pub labels: bool,
    pub label_columns: Vec<String>,
    pub namespace: bool,
    /// What stands before names: `pod/`.
    pub kind: String,
}

impl Options {
    pub fn of(call: &Call) -> Self {
        Options {
            wide: call.text("output") == "wide",
            headers: !call.is("no-headers"),
            labels: call.is("show-labels"),
            label_columns: call.list("label-columns"),
            ..Options::default()
        }
    }
}

/// Lines of tables, with headings where they are due.
#[derive(Default)]
pub struct Lines {
    pub text: String,
    /// The columns of the table whose headings were written last.
    columns: Option<Vec<(String, bool)>>,
    event: bool,
}

impl Lines {
    /// With a column that says what happened to an object.
    pub fn with_events() -> Self {
        Lines { event: true, ..Lines::default() }
    }

    /// Adds a table's rows. `event` is what happened, where that is shown.
    pub fn add(&mut self, table: &Value, options: &Options, event: &str) {
        let definitions = table["columnDefinitions"].as_array();
        if let Some(definitions) = definitions.filter(|d| !d.is_empty()) {
            let columns: Vec<(String, bool)> = definitions
                .iter()
                .map(|c| {
                    let name = c["name"].as_str().unwrap_or_default().to_uppercase();
                    (name, options.wide || c["priority"].as_i64().unwrap_or(0) == 0)
                })
                .collect();
            let changed = self.columns.as_ref() != Some(&columns);
            if changed && options.headers && rows(table).next().is_some() {
                self.heading(&columns, options);
            }
            self.columns = Some(columns);
        }
        let columns = self.columns.clone().unwrap_or_default();
        for row in rows(table) {
            self.row(row, &columns, options, event);
        }
    }

    fn heading(&mut self, columns: &[(String, bool)], options: &Options) {
        let mut cells: Vec<String> = Vec::new();
        if self.event {
            cells.push("EVENT".into());
        }
        if options.namespace {
            cells.push("NAMESPACE".into());
        }
        cells.extend(columns.iter().filter(|(_, shown)| *shown).map(|(name, _)| name.clone()));
        // A column for a label is named by what follows its last slash.
        cells.extend(options.label_columns.iter().map(|l| l.rsplit('/').next().unwrap_or(l).to_uppercase()));
        if options.labels {
            cells.push("LABELS".into());
        }
        self.text.push_str(&cells.join("\t"));
        self.text.push('\n');
    }

    fn row(&mut self, row: &Value, columns: &[(String, bool)], options: &Options, event: &str) {
        let mut line: Vec<String> = Vec::new();
        if self.event {
            line.push(event.to_owned());
        }
        let metadata = &row["object"]["metadata"];
        if options.namespace {
            line.push(metadata["namespace"].as_str().unwrap_or_default().to_owned());
        }
        let cells = row["cells"].as_array().map(Vec::as_slice).unwrap_or_default();
        for (at, (cell, (_, shown))) in cells.iter().zip(columns).enumerate() {
            if *shown {
                let text = shown_cell(cell);
                line.push(if at == 0 && !options.kind.is_empty() {
                    format!("{}/{text}", options.kind)
                } else {
                    text
                });
            }
        }
        for label in &options.label_columns {
            line.push(metadata["labels"][label].as_str().unwrap_or_default().to_owned());
        }
        if options.labels {
            line.push(labels(&metadata["labels"]));
        }
        self.text.push_str(&line.join("\t"));
        self.text.push('\n');
    }

    /// The lines in columns.
    pub fn aligned(&mut self) -> String {
        let mut columns = Columns::table();
        columns.push(&std::mem::take(&mut self.text));
        columns.finish()
    }
}

pub fn rows(table: &Value) -> impl Iterator<Item = &Value> {
    table["rows"].as_array().into_iter().flatten()
}

/// One line, without what would drive a terminal.
fn shown_cell(cell: &Value) -> String {
    let text = match cell {
        Value::String(text) => text.clone(),
        Value::Null => "<nil>".into(),
        Value::Number(n) => super::json::number(n),
        other => other.to_string(),
    };
    let line = match text.find(['\n', '\r', '\u{c}']) {
        Some(end) => format!("{}...", &text[..end]),
        None => text,
    };
    line.replace('\u{1b}', "^[")
}

/// `a=b,c=d`, or `<none>`.
pub fn labels(map: &Value) -> String {
    match map.as_object().filter(|m| !m.is_empty()) {
        None => "<none>".into(),
        Some(map) => {
            let mut all: Vec<String> =
                map.iter().map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())).collect();
            all.sort();
            all.join(",")
        }
    }
}
