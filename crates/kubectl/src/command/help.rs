//! Help, made of the list of commands and of `help.txt`: a line for each command and flag, and (`@ command | what for | words`)
//! examples.

use std::fmt::Write;

use super::{Command, Flag, Kind, commands};

const WORDS: &str = include_str!("help.txt");

/// The line about a command (`create secret`), or about a flag (`--output`), which a command may have its own line for.
pub fn about(command: &str, flag: &str) -> &'static str {
    let find = |of: &str| WORDS.lines().find_map(|line| line.strip_prefix(of)?.strip_prefix(" = "));
    if flag.is_empty() {
        return find(command).unwrap_or_default();
    }
    let own = if command.is_empty() { None } else { find(&format!("{command} {flag}")) };
    own.or_else(|| find(flag)).unwrap_or_default()
}

/// Examples of a command: what for, and the words.
fn examples(path: &str) -> String {
    let mut out = String::new();
    for line in WORDS.lines().filter_map(|line| line.strip_prefix("@ ")) {
        let mut parts = line.splitn(3, " | ");
        let (Some(of), Some(what), Some(words)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        if of == path {
            let _ = write!(out, "{}  # {what}\n  kubectl {words}\n", if out.is_empty() { "" } else { "\n" });
        }
    }
    out
}

/// What `--help` says.
pub fn help(command: &Command) -> String {
    let mut out = String::new();
    let name = if command.path.is_empty() { "kubectl" } else { command.path };
    let about = about(name, "");
    if !about.is_empty() {
        let _ = writeln!(out, "{about}.\n");
    }
    if !command.aliases.is_empty() {
        let _ = writeln!(out, "Aliases:\n{}, {}\n", command.name(), command.aliases.join(", "));
    }
    let examples = examples(command.path);
    if !examples.is_empty() {
        let _ = writeln!(out, "Examples:\n{examples}");
    }
    let children: Vec<Command> =
        commands().filter(|c| !c.path.is_empty() && c.parent() == command.path).collect();
    if !children.is_empty() {
        out.push_str("Available Commands:\n");
        let width = children.iter().map(|c| c.name().len()).max().unwrap_or(0) + 3;
        for child in &children {
            let _ = writeln!(out, "  {:width$} {}", child.name(), self::about(child.path, ""));
        }
        out.push('\n');
    }
    if !command.path.is_empty() {
        flags(&mut out, command.path, &command.flags);
    }
    let shown = if command.path.is_empty() { String::new() } else { format!(" {}", command.path) };
    let synopsis = if command.synopsis.is_empty() { "[flags]" } else { command.synopsis };
    let _ = writeln!(out, "Usage:\n  kubectl{shown} {synopsis} [options]\n");
    if !children.is_empty() {
        let _ = writeln!(
            out,
            "Use \"kubectl{shown} <command> --help\" for more information about a given command."
        );
    }
    out.push_str(
        "Use \"kubectl options\" for a list of global command-line options (applies to all commands).\n",
    );
    out
}

/// The flags that every command has.
pub fn options() -> String {
    let mut out = "The following options can be passed to any command:\n\n".to_owned();
    if let Some(root) = commands().next() {
        list(&mut out, "", &root.flags);
    }
    out
}

fn flags(out: &mut String, path: &str, flags: &[Flag]) {
    if flags.is_empty() {
        return;
    }
    out.push_str("Options:\n");
    list(out, path, flags);
}

fn list(out: &mut String, path: &str, flags: &[Flag]) {
    for flag in flags {
        let short = flag.short.map(|s| format!("-{s}, ")).unwrap_or_default();
        let default = match flag.kind {
            Kind::Text => format!("'{}'", flag.default),
            Kind::List | Kind::Array => format!("[{}]", flag.default),
            _ => flag.default.to_owned(),
        };
        let _ = writeln!(
            out,
            "    {short}--{}={default}:\n\t{}\n",
            flag.name,
            about(path, &format!("--{}", flag.name))
        );
    }
}
