//! Command lines as kubectl reads them: which command, which flags. Start at [`parse`].
//!
//! `commands.txt` is the one list of commands and flags (names, short names, types, defaults). A line `= path ~ aliases` begins a
//! command, `>` says how it is called; a flag's line has its short name, name, type (b, i, s, d, l: list with commas, a: list
//! without), `!value` for a flag that may stand without one, and its default. The rules of reading are pflag's.

use std::collections::HashMap;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::kuberc::{Plugins, Preferences};
use crate::text::{duration, quote};

mod help;
#[cfg(test)]
mod tests;

pub use help::{about, help, options};

const COMMANDS: &str = include_str!("command/commands.txt");

/// What a flag holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Bool,
    Int,
    Text,
    Duration,
    List,
    Array,
}

/// A flag of a command.
#[derive(Clone, Debug)]
pub struct Flag {
    pub short: Option<char>,
    pub name: &'static str,
    pub kind: Kind,
    /// What the flag means when it stands alone.
    pub alone: Option<&'static str>,
    pub default: &'static str,
}

/// A command, as declared.
#[derive(Clone, Debug, Default)]
pub struct Command {
    /// e.g. `create secret tls`; empty: kubectl itself.
    pub path: &'static str,
    pub aliases: Vec<&'static str>,
    pub synopsis: &'static str,
    pub flags: Vec<Flag>,
}

impl Command {
    pub fn name(&self) -> &'static str {
        self.path.rsplit(' ').next().unwrap_or_default()
    }

    pub fn parent(&self) -> &'static str {
        self.path.rsplit_once(' ').map_or("", |(parent, _)| parent)
    }
}

/// Every command, in the order in which help lists them; the first is kubectl itself, with the flags that all have.
pub fn commands() -> impl Iterator<Item = Command> {
    COMMANDS.split("\n= ").enumerate().map(|(at, block)| {
        let block = if at == 0 { block.trim_start_matches("= ") } else { block };
        let mut lines = block.lines();
        let head = lines.next().unwrap_or_default().trim();
        let (path, aliases) = head.split_once(" ~ ").unwrap_or((head, ""));
        let mut command =
            Command { path, aliases: aliases.split_whitespace().collect(), ..Command::default() };
        for line in lines {
            match line.strip_prefix("> ") {
                Some(synopsis) => command.synopsis = synopsis,
                None => command.flags.extend(flag(line)),
            }
        }
        command
    })
}

fn flag(line: &'static str) -> Option<Flag> {
    let mut parts = line.splitn(4, ' ');
    let short = parts.next()?.chars().next().filter(|c| *c != '-');
    let name = parts.next()?;
    let kind = match parts.next()? {
        "b" => Kind::Bool,
        "i" => Kind::Int,
        "d" => Kind::Duration,
        "l" => Kind::List,
        "a" => Kind::Array,
        _ => Kind::Text,
    };
    let rest = parts.next().unwrap_or_default();
    let (alone, default) = match rest.strip_prefix('!') {
        Some(rest) => match rest.split_once(' ') {
            Some((alone, default)) => (Some(alone), default),
            None => (Some(rest), ""),
        },
        None => (None, rest),
    };
    let alone = if kind == Kind::Bool { Some("true") } else { alone };
    Some(Flag { short, name, kind, alone, default })
}

/// A command line that was understood.
#[derive(Debug, Default)]
pub struct Call {
    pub command: Command,
    pub globals: Vec<Flag>,
    values: HashMap<&'static str, Vec<String>>,
    pub args: Vec<String>,
    /// How many arguments stand before `--`.
    pub dash: Option<usize>,
    pub help: bool,
    /// Nothing is said but what stock says, also at a terminal: `--plain`, which is no flag of stock's.
    pub plain: bool,
    /// `get all --really`: everything that is in a namespace.
    pub really: bool,
    /// Which programs may give credentials.
    pub plugins: Plugins,
}

impl Call {
    /// Flags that the user does not give are what the user prefers.
    fn prefer(&mut self, preferences: &Preferences) -> Result<()> {
        let path = self.path();
        for (name, value) in
            preferences.defaults_of(path).filter(|(name, _)| !self.changed(name)).cloned().collect::<Vec<_>>()
        {
            let said = |why: String| Error::Plain(format!("error occurred while applying preferences {why}"));
            let Some(flag) = self.flag(&name).cloned() else {
                return Err(said(format!("invalid flag {name} for command {path}")));
            };
            self.take(&flag, &name, value.clone()).map_err(|e| {
                let why = e.to_string();
                let why = why.lines().next().unwrap_or_default();
                said(format!(
                    "could not apply override value {value} to flag {name} in command {path} err: {why}"
                ))
            })?;
        }
        Ok(())
    }

    /// What the flag is taken to be when the user does not give it.
    pub fn assume(&mut self, name: &'static str, value: &str) {
        self.values.entry(name).or_insert_with(|| vec![value.to_owned()]);
    }

    pub fn path(&self) -> &'static str {
        self.command.path
    }

    pub fn flag(&self, name: &str) -> Option<&Flag> {
        self.command.flags.iter().chain(&self.globals).find(|f| f.name == name)
    }

    pub fn has_flag(&self, name: &str) -> bool {
        self.command.flags.iter().any(|f| f.name == name)
    }

    /// Whether the user gave the flag.
    pub fn changed(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    pub fn text(&self, name: &str) -> &str {
        match self.values.get(name).and_then(|v| v.last()) {
            Some(value) => value,
            None => self.flag(name).map_or("", |f| f.default),
        }
    }

    pub fn is(&self, name: &str) -> bool {
        matches!(self.text(name), "true" | "1" | "t" | "T" | "TRUE" | "True")
    }

    pub fn int(&self, name: &str) -> i64 {
        self.text(name).parse().unwrap_or_default()
    }

    pub fn duration(&self, name: &str) -> Duration {
        duration::parse(self.text(name)).unwrap_or_default()
    }

    pub fn list(&self, name: &str) -> Vec<String> {
        match (self.values.get(name), self.flag(name)) {
            (Some(values), Some(flag)) if flag.kind == Kind::List => {
                values.iter().flat_map(|v| csv(v)).collect()
            }
            (Some(values), _) => values.clone(),
            (None, Some(flag)) if !flag.default.is_empty() => csv(flag.default),
            _ => Vec::new(),
        }
    }

    /// Arguments before `--` and after.
    pub fn split_at_dash(&self) -> (&[String], &[String]) {
        self.args.split_at(self.dash.unwrap_or(self.args.len()).min(self.args.len()))
    }

    fn take(&mut self, flag: &Flag, spelled: &str, value: String) -> Result<()> {
        let bad = |why: String| {
            let name = match flag.short {
                Some(short) => format!("-{short}, --{}", flag.name),
                None => format!("--{}", flag.name),
            };
            let said = format!("invalid argument {} for {} flag: {why}", quote(&value), quote(&name));
            Err(self.misuse(&said))
        };
        let _ = spelled;
        match flag.kind {
            Kind::Bool if !is_bool(&value) => {
                return bad(format!("strconv.ParseBool: parsing {}: invalid syntax", quote(&value)));
            }
            Kind::Int if int(&value).is_none() => {
                return bad(format!("strconv.ParseInt: parsing {}: invalid syntax", quote(&value)));
            }
            Kind::Duration => {
                if let Err(why) = duration::parse(&value) {
                    return bad(why);
                }
            }
            _ => {}
        }
        let value = match flag.kind {
            Kind::Int => int(&value).unwrap_or_default().to_string(),
            _ => value,
        };
        self.values.entry(flag.name).or_default().push(value);
        Ok(())
    }

    fn misuse(&self, said: &str) -> Error {
        if self.path() == "diff" {
            // One means a difference there.
            return Error::Exit(2, format!("error: {said}\nSee 'kubectl diff -h' for help and examples"));
        }
        let path = if self.path().is_empty() { String::new() } else { format!(" {}", self.path()) };
        Error::Text(format!("{said}\nSee 'kubectl{path} --help' for usage."))
    }
}

fn is_bool(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True" | "0" | "f" | "F" | "false" | "FALSE" | "False")
}

/// A whole number as Go reads it: decimal, or with 0x, 0o, 0b before it.
fn int(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let value = match digits.get(..2) {
        Some("0x" | "0X") => i64::from_str_radix(&digits[2..], 16),
        Some("0o" | "0O") => i64::from_str_radix(&digits[2..], 8),
        Some("0b" | "0B") => i64::from_str_radix(&digits[2..], 2),
        _ => digits.parse(),
    };
    value.ok().filter(|_| !digits.starts_with(['+', '-'])).map(|v: i64| sign * v)
}

/// Values with commas between them; quotes keep commas in.
pub fn csv(text: &str) -> Vec<String> {
    if text.is_empty() {
        return Vec::new();
    }
    let (mut all, mut one, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                one.push('"');
            }
            '"' if quoted || one.is_empty() => quoted = !quoted,
            ',' if !quoted => all.push(std::mem::take(&mut one)),
            c => one.push(c),
        }
    }
    all.push(one);
    all
}

/// Reads a command line (without the program's name).
pub fn parse(args: &[String]) -> Result<Call> {
    parse_with(args, &Preferences::default())
}

/// As [`parse`], with a user's own names of commands and defaults of flags.
pub fn parse_with(args: &[String], preferences: &Preferences) -> Result<Call> {
    let all: Vec<Command> = commands().collect();
    let globals = all[0].flags.clone();
    let (mut command, mut rest) = find(&all, args)?;
    // What we know by that name goes before an alias.
    if command.path.is_empty()
        && let Some(at) = first_word(command, &globals, args)
        && let Some(words) = preferences.rewritten(args, at)
    {
        (command, rest) = find(&all, &words)?;
    }
    let mut command = command.clone();
    if command.path == "apply" && !crate::verbs::applysets() {
        command.flags.retain(|flag| flag.name != "applyset");
    }
    let mut call = Call { command, globals, plugins: preferences.plugins().clone(), ..Call::default() };
    if call.path().is_empty() {
        call.globals.clear();
    }
    let mut at = 0;
    while at < rest.len() {
        let arg = rest[at].as_str();
        at += 1;
        if arg == "--" {
            call.dash = Some(call.args.len());
            call.args.extend(rest[at..].iter().cloned());
            break;
        } else if let Some(long) = arg.strip_prefix("--") {
            at += read_long(&mut call, long, rest.get(at))?;
        } else if arg.starts_with('-') && arg.len() > 1 {
            at += read_short(&mut call, arg, rest.get(at))?;
        } else {
            call.args.push(arg.to_owned());
            // After a command's name, the words of `kubectl kustomize` and the like are read on: flags may stand anywhere.
        }
        if call.help {
            break;
        }
    }
    call.prefer(preferences)?;
    Ok(call)
}

/// How many further words the flag took.
fn read_long(call: &mut Call, long: &str, next: Option<&String>) -> Result<usize> {
    let (name, given) = match long.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (long, None),
    };
    // pflag's normalisation: underscores are hyphens.
    let name = name.replace('_', "-");
    if name == "help" {
        call.help = true;
        return Ok(0);
    }
    let Some(flag) = call.flag(&name).cloned() else {
        match name.as_str() {
            "plain" if given.is_none() => call.plain = true,
            "really" if given.is_none() && call.path() == "get" => call.really = true,
            _ => return Err(call.misuse(&format!("unknown flag: --{name}"))),
        }
        return Ok(0);
    };
    match (given, flag.alone, next) {
        (Some(value), _, _) => call.take(&flag, long, value.to_owned()).map(|()| 0),
        (None, Some(alone), _) => call.take(&flag, long, alone.to_owned()).map(|()| 0),
        (None, None, Some(next)) => call.take(&flag, long, next.clone()).map(|()| 1),
        (None, None, None) => Err(call.misuse(&format!("flag needs an argument: --{name}"))),
    }
}

fn read_short(call: &mut Call, arg: &str, next: Option<&String>) -> Result<usize> {
    let letters = &arg[1..];
    for (at, letter) in letters.char_indices() {
        let all = call.command.flags.iter().chain(&call.globals);
        let Some(flag) = all.clone().find(|f| f.short == Some(letter)).cloned() else {
            if letter == 'h' {
                call.help = true;
                return Ok(0);
            }
            return Err(call.misuse(&format!("unknown shorthand flag: '{letter}' in {arg}")));
        };
        let rest = &letters[at + letter.len_utf8()..];
        if let Some(value) = rest.strip_prefix('=') {
            return call.take(&flag, arg, value.to_owned()).map(|()| 0);
        }
        match flag.alone {
            Some(alone) => call.take(&flag, arg, alone.to_owned())?,
            None if !rest.is_empty() => return call.take(&flag, arg, rest.to_owned()).map(|()| 0),
            None => {
                return match next {
                    Some(next) => call.take(&flag, arg, next.clone()).map(|()| 1),
                    None => Err(call.misuse(&format!("flag needs an argument: '{letter}' in {arg}"))),
                };
            }
        }
    }
    Ok(0)
}

/// The command that the words name, and all words but those.
fn find<'c>(all: &'c [Command], args: &[String]) -> Result<(&'c Command, Vec<String>)> {
    let mut command = &all[0];
    let mut rest: Vec<String> = args.to_vec();
    loop {
        let children: Vec<&Command> =
            all.iter().filter(|c| c.parent() == command.path && !c.path.is_empty()).collect();
        if children.is_empty() {
            break;
        }
        let Some(at) = first_word(command, &all[0].flags, &rest) else { break };
        let word = rest[at].as_str();
        match children.iter().find(|c| c.name() == word || c.aliases.contains(&word)) {
            Some(child) => {
                command = child;
                rest.remove(at);
            }
            None => break,
        }
    }
    Ok((command, rest))
}

/// Where the first word stands that is neither a flag nor a flag's value.
fn first_word(command: &Command, globals: &[Flag], args: &[String]) -> Option<usize> {
    let mut at = 0;
    while at < args.len() {
        let arg = args[at].as_str();
        if arg == "--" {
            return None;
        }
        if !arg.starts_with('-') || arg.len() == 1 {
            return Some(at);
        }
        let mut flags = command.flags.iter().chain(globals);
        let alone = match arg.strip_prefix("--") {
            Some(long) => {
                long.contains('=') || long == "help" || flags.any(|f| f.name == long && f.alone.is_some())
            }
            None => {
                let letter = arg.chars().nth(1);
                arg.len() > 2 || letter == Some('h') || flags.any(|f| f.short == letter && f.alone.is_some())
            }
        };
        at += if alone { 1 } else { 2 };
    }
    None
}

/// The command that the words name, and the words besides; and the flags that all commands have.
pub fn locate(words: &[String]) -> Result<(Command, Vec<String>, Vec<Flag>)> {
    let all: Vec<Command> = commands().collect();
    let (command, rest) = find(&all, words)?;
    Ok((command.clone(), rest, all[0].flags.clone()))
}

/// Whether the words ask for help about the words after the first.
pub fn is_help(words: &[String]) -> bool {
    words.first().is_some_and(|w| w == "help")
}

/// Commands with nearly that name.
pub fn suggestions(parent: &str, word: &str) -> Vec<&'static str> {
    let typed = word.to_lowercase();
    commands()
        .filter(|c| !c.path.is_empty() && c.parent() == parent)
        .map(|c| c.name())
        .filter(|name| crate::text::distance(&typed, name) <= 2 || name.starts_with(&typed))
        .collect()
}
