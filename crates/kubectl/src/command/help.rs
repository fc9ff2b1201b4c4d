//! Help, made of the list of commands and a line for each command and flag.

use std::fmt::Write;

use super::{Command, Flag, Kind, commands};

const WORDS: &str = include_str!("help.txt");

/// The line about a command (`create secret`) or a flag (`--output`).
fn words(of: &str) -> &'static str {
    WORDS.lines().find_map(|line| line.strip_prefix(of)?.strip_prefix(" = ")).unwrap_or_default()
}

/// What `--help` says.
pub fn help(command: &Command) -> String {
    let mut out = String::new();
    let name = if command.path.is_empty() { "kubectl" } else { command.path };
    let about = words(name);
    if !about.is_empty() {
        let _ = writeln!(out, "{about}.\n");
    }
    if !command.aliases.is_empty() {
        let _ = writeln!(out, "Aliases:\n{}, {}\n", command.name(), command.aliases.join(", "));
    }
    let children: Vec<Command> =
        commands().filter(|c| !c.path.is_empty() && c.parent() == command.path).collect();
    if !children.is_empty() {
        out.push_str("Available Commands:\n");
        let width = children.iter().map(|c| c.name().len()).max().unwrap_or(0) + 3;
        for child in &children {
            let _ = writeln!(out, "  {:width$} {}", child.name(), words(child.path));
        }
        out.push('\n');
    }
    if !command.path.is_empty() {
        flags(&mut out, &command.flags);
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
        list(&mut out, &root.flags);
    }
    out
}

fn flags(out: &mut String, flags: &[Flag]) {
    if flags.is_empty() {
        return;
    }
    out.push_str("Options:\n");
    list(out, flags);
}

fn list(out: &mut String, flags: &[Flag]) {
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
            words(&format!("--{}", flag.name))
        );
    }
}
