//! Which lines are tried: one for every command and every flag (or group of flags) that stock's own help tells of, with words from
//! `commands.txt`.

use std::collections::{BTreeMap, BTreeSet};

/// One invocation.
#[derive(Debug, Clone, Default)]
pub struct Line {
    /// The command and the flags that are tried, as docs/kubectl.md names a line that differs.
    pub label: String,
    pub words: Vec<String>,
    /// The file that is its standard input.
    pub stdin: Option<String>,
    /// It ends only when it is ended.
    pub endless: bool,
    /// The order of its output is chance.
    pub unordered: bool,
    /// What it makes or changes.
    pub objects: Vec<String>,
}

/// A row of `commands.txt`.
#[derive(Debug)]
struct Row {
    group: Option<String>,
    words: String,
    objects: Option<String>,
    used: std::cell::Cell<bool>,
}

/// Rows by command and flag; the flag of a command's own row is empty.
type Rows = BTreeMap<(String, String), Row>;

/// What stock's help says: commands and their flags. `help` gives the text for a command's words; `options` those of every command.
pub fn commands(help: impl Fn(&[&str]) -> String + Sync) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::from([("options".to_owned(), flags(&help(&["options"])))]);
    let mut level: Vec<String> = vec![String::new()];
    while !level.is_empty() {
        // Two at a time: a hundred starts of a large program.
        let texts: Vec<(String, String)> = std::thread::scope(|scope| {
            let halves = level.chunks(level.len().div_ceil(2)).map(|half| {
                let help = &help;
                scope.spawn(move || {
                    let ask = |path: &String| {
                        let words: Vec<&str> = path.split_whitespace().chain(["--help"]).collect();
                        (path.clone(), help(&words))
                    };
                    half.iter().map(ask).collect::<Vec<_>>()
                })
            });
            let halves: Vec<_> = halves.collect();
            halves.into_iter().flat_map(|h| h.join().expect("help")).collect()
        });
        level.clear();
        for (path, text) in texts {
            level.extend(
                subcommands(&text).into_iter().map(|name| format!("{path} {name}").trim().to_owned()),
            );
            if !path.is_empty() {
                found.insert(path, flags(&text));
            }
        }
    }
    found
}

fn subcommands(help: &str) -> Vec<String> {
    let mut inside = false;
    let mut names = Vec::new();
    for line in help.lines() {
        if line.ends_with(':') && !line.starts_with(' ') {
            inside = line.contains("Commands");
        } else if let Some(rest) = line.strip_prefix("  ").filter(|r| inside && !r.starts_with(' ')) {
            names.extend(rest.split(' ').next().map(str::to_owned));
        }
    }
    names
}

fn flags(help: &str) -> Vec<String> {
    let mut inside = false;
    let mut names = Vec::new();
    for line in help.lines() {
        let heading = line.ends_with(':') && !line.starts_with(' ');
        if heading {
            inside = line == "Options:" || line.contains("options can be passed");
        } else if inside
            && line.starts_with("    ")
            && line.ends_with(':')
            && let Some((_, flag)) = line.split_once("--")
            && let Some((name, _)) = flag.split_once('=')
        {
            names.push(name.to_owned());
        }
    }
    names
}

fn rows(text: &str) -> Rows {
    let mut rows = Rows::new();
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let (head, rest) = line.split_once(':').expect("COMMAND: WORDS");
        let (words, objects) = match rest.rsplit_once(" | ") {
            Some((words, objects)) => (words, Some(objects.trim().to_owned())),
            None => (rest, None),
        };
        let mut command = Vec::new();
        let (mut flag, mut group) = (String::new(), None);
        for word in head.split_whitespace() {
            if let Some(name) = word.strip_prefix("--") {
                name.clone_into(&mut flag);
            } else if word.starts_with('@') {
                group = Some(word.to_owned());
            } else {
                command.push(word);
            }
        }
        let row = Row { group, words: words.trim().to_owned(), objects, used: false.into() };
        let twice = rows.insert((command.join(" "), flag), row);
        assert!(twice.is_none(), "commands.txt has two rows for {head}");
    }
    rows
}

/// All lines, in the order of commands. Fails when a flag has no row or a row no flag.
pub fn lines(commands: &BTreeMap<String, Vec<String>>, table: &str) -> Vec<Line> {
    let rows = rows(table);
    let mut lines = Vec::new();
    let mut missing = Vec::new();
    for (command, flags) in commands {
        let Some(base) = rows.get(&(command.clone(), String::new())) else {
            missing.push(command.clone());
            continue;
        };
        base.used.set(true);
        // A command of commands prints its help, which is in words of its own.
        if base.objects.as_deref() != Some("-") || !base.words.is_empty() {
            lines.push(line(command, command.clone(), base, &[], lines.len()));
        }
        let mut groups: Vec<(Option<String>, Vec<(&String, &Row)>)> = Vec::new();
        for flag in flags {
            let own = rows.get(&(command.clone(), flag.clone()));
            let Some(row) = own.or_else(|| rows.get(&("*".into(), flag.clone()))) else {
                missing.push(format!("{command} --{flag}"));
                continue;
            };
            row.used.set(true);
            let same = groups.iter_mut().find(|(group, _)| group.is_some() && *group == row.group);
            match same {
                Some((_, members)) => members.push((flag, row)),
                None => groups.push((row.group.clone(), vec![(flag, row)])),
            }
        }
        for (_, mut members) in groups {
            // What stands in the command's place comes first.
            members.sort_by_key(|(_, row)| !row.words.trim_start_matches(['~', '?', ' ']).starts_with('='));
            let flags: Vec<String> = members.iter().map(|(flag, _)| format!(" --{flag}")).collect();
            let members: Vec<&Row> = members.into_iter().map(|(_, row)| row).collect();
            lines.push(line(command, format!("{command}{}", flags.concat()), base, &members, lines.len()));
        }
    }
    assert!(missing.is_empty(), "commands.txt has no row for: {missing:#?}");
    let idle: Vec<_> = rows.iter().filter(|(_, row)| !row.used.get()).map(|(key, _)| key).collect();
    assert!(idle.is_empty(), "rows of commands.txt that stock has no flag for: {idle:?}");
    let labels: BTreeSet<&String> = lines.iter().map(|l| &l.label).collect();
    assert_eq!(labels.len(), lines.len());
    lines
}

/// The lines that have every command and every flag at least once, whichever command the flag is tried with.
pub fn subset(lines: Vec<Line>) -> Vec<Line> {
    let mut seen = BTreeSet::new();
    let mut fresh = |line: &Line| {
        let (flags, command): (Vec<&str>, Vec<&str>) =
            line.label.split(' ').partition(|w| w.starts_with("--"));
        let command = seen.insert(command.join(" "));
        flags.into_iter().fold(command, |fresh, flag| seen.insert(flag.to_owned()) || fresh)
    };
    lines.into_iter().filter(|line| fresh(line)).collect()
}

/// Every kind shown in each of these ways.
pub fn kinds(namespaced: &str, cluster: &str, ways: &[&str]) -> Vec<Line> {
    // Of these there is always something new.
    let moves = [
        "events",
        "events.events.k8s.io",
        "nodes.metrics.k8s.io",
        "pods.metrics.k8s.io",
        "componentstatuses",
    ];
    let all = namespaced.lines().map(|k| (k, "")).chain(cluster.lines().map(|k| (k, "-l pair={ns}")));
    let mut lines = Vec::new();
    for (kind, selected) in all.filter(|(kind, _)| !moves.contains(kind)) {
        for way in ways {
            let text = way.replace("KIND", kind);
            // The pods that really run have events of their own.
            let selected = if kind == "pods" { "-l app!=web" } else { selected };
            let words = words(&format!("{text} {selected}"));
            lines.push(Line { label: text, words, ..Line::default() });
        }
    }
    lines
}

fn line(command: &str, label: String, base: &Row, flags: &[&Row], number: usize) -> Line {
    let mut text = base.words.clone();
    let (mut endless, mut unordered) = (false, false);
    for row in flags {
        let mut words = row.words.as_str();
        marks(&mut words, &mut endless, &mut unordered);
        match words.strip_prefix('=') {
            Some(rest) => rest.trim_start().clone_into(&mut text),
            None => text = format!("{text} {words}"),
        }
    }
    let mut rest = text.as_str();
    marks(&mut rest, &mut endless, &mut unordered);
    let text = rest.to_owned();
    let objects = flags.iter().find_map(|row| row.objects.as_ref()).or(base.objects.as_ref());
    let number = |text: &str| text.replace("{i}", &number.to_string());
    let mut words = words(&number(&text));
    let mut stdin = None;
    words.retain(|word| match word.strip_prefix('<') {
        Some(file) => {
            stdin = Some(file.to_owned());
            false
        }
        None => true,
    });
    let command = if command == "options" { "" } else { command };
    Line {
        label,
        words: command.split_whitespace().map(str::to_owned).chain(words).collect(),
        stdin,
        endless,
        unordered,
        objects: objects
            .map(|o| o.split_whitespace().filter(|o| *o != "-").map(number).collect())
            .unwrap_or_default(),
    }
}

/// What stands before a row's words.
fn marks(words: &mut &str, endless: &mut bool, unordered: &mut bool) {
    while let Some(mark) = words.trim_start().chars().next().filter(|c| "~?".contains(*c)) {
        *endless |= mark == '~';
        *unordered |= mark == '?';
        *words = words.trim_start()[1..].trim_start();
    }
}

/// A line's words; single quotes keep spaces.
pub fn words(line: &str) -> Vec<String> {
    let (mut all, mut word, mut quoted, mut any) = (Vec::new(), String::new(), false, false);
    for c in line.chars() {
        match c {
            '\'' => (quoted, any) = (!quoted, true),
            ' ' if !quoted => {
                if any {
                    all.push(std::mem::take(&mut word));
                }
                any = false;
            }
            c => {
                word.push(c);
                any = true;
            }
        }
    }
    if any {
        all.push(word);
    }
    all
}
