//! What may follow on a command line: commands, flags, their values, and names from the cluster. Start at [`answer`].
//!
//! The scripts of `completion` ask by `kubectl __complete WORDS…`, the last word being the one that is typed (perhaps empty). The
//! answer is a candidate a line, its description after a tab, and at the end `:N`, whose bits say what the shell should do; they
//! are those that cobra's scripts know, so that these work, too.

use crate::command::{self, Call, Command, Flag};
use crate::kuberc::Preferences;
use crate::session::Session;

mod cluster;
#[cfg(test)]
mod tests;

/// No space after the word.
const NO_SPACE: u8 = 2;
/// No names of files.
const NO_FILES: u8 = 4;

/// Candidates (with descriptions) and what the shell should do besides.
#[derive(Debug, Default)]
struct Answer {
    candidates: Vec<(String, String)>,
    directive: u8,
}

impl Answer {
    fn files() -> Self {
        Answer::default()
    }

    fn of<T: Into<String>>(words: impl IntoIterator<Item = T>) -> Self {
        let candidates = words.into_iter().map(|w| (w.into(), String::new())).collect();
        Answer { candidates, directive: NO_FILES }
    }

    fn nothing() -> Self {
        Answer { directive: NO_FILES, ..Answer::default() }
    }

    /// Only what begins with the word; each once.
    fn beginning(mut self, word: &str) -> Self {
        self.candidates.retain(|(c, _)| c.starts_with(word));
        let mut seen = std::collections::BTreeSet::new();
        self.candidates.retain(|(c, _)| seen.insert(c.clone()));
        self
    }

    /// With a text before each candidate.
    fn after(mut self, before: &str) -> Self {
        self.candidates.iter_mut().for_each(|(c, _)| c.insert_str(0, before));
        self
    }
}

/// The answer as text. What cannot be found out, for want of a server or a configuration, is left out in silence: somebody is typing.
pub fn answer(words: &[String], described: bool) -> String {
    offered(words, described, &crate::kuberc::load(words).unwrap_or_default())
}

fn offered(words: &[String], described: bool, preferences: &Preferences) -> String {
    let (typed, before) = match words.split_last() {
        Some((typed, before)) => (typed.as_str(), before),
        None => ("", words),
    };
    let answer = find(before, typed, preferences).unwrap_or_else(Answer::nothing);
    let mut out = String::new();
    for (candidate, description) in &answer.candidates {
        out.push_str(candidate);
        if described && !description.is_empty() {
            out.push_str(&format!("\t{description}"));
        }
        out.push('\n');
    }
    out + &format!(":{}\n", answer.directive)
}

fn find(before: &[String], typed: &str, preferences: &Preferences) -> Option<Answer> {
    let (mut command, rest, globals) = command::locate(before).ok()?;
    if command.path.is_empty() && !rest.is_empty() && command::is_help(&rest) {
        command = command::locate(&rest[1..]).ok()?.0;
        return Some(children(&command).beginning(typed));
    }
    let flags: Vec<&Flag> = command.flags.iter().chain(&globals).collect();
    // After `--` come the words of somebody else's command.
    if before.iter().any(|w| w == "--") {
        return Some(Answer::files());
    }
    if let Some((name, value)) = typed.strip_prefix("--").and_then(|long| long.split_once('=')) {
        let flag = flags.iter().find(|f| f.name == name)?;
        let call = understood(before, preferences);
        return Some(value_of(call, flag, value).beginning(value).after(&format!("--{name}=")));
    }
    if let Some(flag) = before.last().and_then(|last| waiting(last, &flags)) {
        let call = understood(&before[..before.len() - 1], preferences);
        return Some(value_of(call, flag, typed).beginning(typed));
    }
    if typed.starts_with('-') {
        return Some(of_flags(&flags, before).beginning(typed));
    }
    let mut answer = children(&command);
    let call = understood(before, preferences);
    if !answer.candidates.is_empty() && call.args.is_empty() {
        if command.path.is_empty() {
            answer
                .candidates
                .extend(preferences.aliases().map(|a| (a.name.clone(), format!("Alias of {}", a.command))));
        }
        let mut answer = answer.beginning(typed);
        // `rollout`, `set` and the like are nothing without a command of theirs; `create` and `apply` are something.
        answer.directive = NO_FILES;
        return Some(answer);
    }
    Some(cluster::positional(&Session::new(call), typed))
}

/// The commands of a command.
fn children(command: &Command) -> Answer {
    let all = command::commands().filter(|c| !c.path.is_empty() && c.parent() == command.path);
    let candidates = all.map(|c| (c.name().to_owned(), command::about(c.path, "").to_owned())).collect();
    Answer { candidates, directive: NO_FILES }
}

/// Flags that were not given yet; those that may be given several times always.
fn of_flags(flags: &[&Flag], before: &[String]) -> Answer {
    let given = |f: &Flag| {
        let long = format!("--{}", f.name);
        let again = matches!(f.kind, command::Kind::List | command::Kind::Array);
        !again
            && before.iter().any(|w| *w == long || w.strip_prefix(&long).is_some_and(|r| r.starts_with('=')))
    };
    let mut candidates = Vec::new();
    for flag in flags.iter().filter(|f| !given(f)) {
        let about = command::about("", &format!("--{}", flag.name)).to_owned();
        candidates.push((format!("--{}", flag.name), about.clone()));
        if let Some(short) = flag.short {
            candidates.push((format!("-{short}"), about));
        }
    }
    candidates.push(("--help".to_owned(), "Tell about the command".to_owned()));
    Answer { candidates, directive: NO_FILES }
}

/// The flag whose value comes next.
fn waiting<'f>(last: &str, flags: &[&'f Flag]) -> Option<&'f Flag> {
    if let Some(long) = last.strip_prefix("--") {
        return flags.iter().find(|f| f.name == long && f.alone.is_none()).copied();
    }
    let letter = last.strip_prefix('-')?.chars().next_back()?;
    flags.iter().find(|f| f.short == Some(letter) && f.alone.is_none()).copied()
}

/// What is typed already, as far as it can be understood.
fn understood(before: &[String], preferences: &Preferences) -> Call {
    let mut call = command::parse_with(before, preferences).unwrap_or_default();
    // Who types does not wait long.
    call.assume("request-timeout", "3s");
    call
}

fn value_of(call: Call, flag: &Flag, typed: &str) -> Answer {
    let path = call.path();
    let known: &[&str] = match (path, flag.name) {
        ("version", "output") => &["json", "yaml"],
        ("config get-contexts", "output") => &["name"],
        ("api-resources", "output") => &["wide", "name", "json", "yaml", "kyaml"],
        ("explain", "output") => &["plaintext"],
        ("delete", "output") => &["name"],
        ("get", "output") => &[
            "json",
            "yaml",
            "kyaml",
            "name",
            "wide",
            "custom-columns",
            "custom-columns-file",
            "go-template",
            "go-template-file",
            "jsonpath",
            "jsonpath-as-json",
            "jsonpath-file",
        ],
        (_, "output") => &[
            "json",
            "yaml",
            "kyaml",
            "name",
            "go-template",
            "go-template-file",
            "jsonpath",
            "jsonpath-as-json",
            "jsonpath-file",
        ],
        (_, "dry-run") => &["none", "client", "server"],
        (_, "cascade") => &["background", "foreground", "orphan"],
        (_, "validate") => &["strict", "warn", "ignore"],
        ("patch", "type") => &["strategic", "merge", "json"],
        ("expose", "type") => &["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"],
        (_, "protocol") => &["TCP", "UDP", "SCTP"],
        (_, "image-pull-policy") => &["IfNotPresent", "Always", "Never"],
        ("run", "restart") => &["Always", "OnFailure", "Never"],
        ("create cronjob", "restart") => &["OnFailure", "Never"],
        ("top node" | "top pod", "sort-by") => &["cpu", "memory"],
        ("api-resources", "sort-by") => &["name", "kind"],
        ("events", "types") => &["Normal", "Warning"],
        ("wait", "for") => &["create", "delete", "condition=", "jsonpath="],
        ("kuberc set", "section") => &["defaults", "aliases", "credentialplugin"],
        ("kuberc set", "policy") => &["AllowAll", "DenyAll", "Allowlist"],
        ("config set-credentials", "exec-interactive-mode") => &["Never", "IfAvailable", "Always"],
        (_, "session-affinity") => &["None", "ClientIP"],
        (_, "override-type") => &["merge", "json", "strategic"],
        (_, "preemption-policy") => &["PreemptLowerPriority", "Never"],
        (_, name) => return cluster::value(&Session::new(call), name, typed),
    };
    Answer::of(known.iter().copied())
}
