//! Every verb, a file each. Start at [`TABLE`].

mod apply;
mod create;
mod delete;
mod edit;
mod exec;
mod expose;
mod forward;
mod get;
mod logs;
mod metadata;
mod patch;
mod replace;
mod run;
mod scale;
mod version;
mod wait;
mod watch;

use crate::command::{help, suggestions};
use crate::error::{Error, Result};
use crate::session::Session;

type Run = fn(&Session) -> Result<()>;

/// What each command does.
const TABLE: &[(&str, Run)] = &[
    ("annotate", metadata::annotate),
    ("apply", apply::run),
    ("apply edit-last-applied", apply::edit),
    ("apply set-last-applied", apply::set),
    ("apply view-last-applied", apply::view),
    ("attach", exec::attach),
    ("create", create::run),
    ("create token", create::token::run),
    ("delete", delete::run),
    ("edit", edit::run),
    ("exec", exec::exec),
    ("expose", expose::run),
    ("get", get::run),
    ("label", metadata::label),
    ("logs", logs::run),
    ("patch", patch::run),
    ("port-forward", forward::run),
    ("replace", replace::run),
    ("run", run::run),
    ("scale", scale::run),
    ("wait", wait::run),
    ("version", version::run),
    ("options", |s| s.print(&crate::command::options())),
    ("alpha", |s| s.println("No alpha commands are available in this version of kubectl")),
];

/// Runs the command that was called.
pub fn run(session: &Session) -> Result<()> {
    let call = &session.call;
    let path = call.path();
    if let Some((_, run)) = TABLE.iter().find(|(name, _)| *name == path) {
        return run(session);
    }
    if create::generates(path) {
        return create::generate(session);
    }
    let word = call.args.first().map(String::as_str);
    match (path, word) {
        ("", Some("options")) => session.print(&crate::command::options()),
        ("", Some("help")) => {
            let mut words = call.args[1..].to_vec();
            words.push("--help".into());
            let call = crate::command::parse(&words)?;
            session.print(&help(&call.command))
        }
        ("", Some("alpha")) => session.println("No alpha commands are available in this version of kubectl"),
        ("", Some(word)) => Err(unknown(word)),
        (path, Some(word)) if crate::command::commands().any(|c| c.path.starts_with(&format!("{path} "))) => {
            Err(Error::usage(path, format!("unknown command \"{word}\"")))
        }
        (path, None)
            if crate::command::commands()
                .any(|c| path.is_empty() || c.path.starts_with(&format!("{path} "))) =>
        {
            session.print(&help(&call.command))?;
            if path.is_empty() || path == "certificate" { Ok(()) } else { Err(Error::Silent(1)) }
        }
        (path, _) => Err(Error::text(format!("{path} is not there yet"))),
    }
}

fn unknown(word: &str) -> Error {
    let near = suggestions("", word);
    let mut text = format!("unknown command \"{word}\" for \"kubectl\"");
    if !near.is_empty() {
        text.push_str("\n\nDid you mean this?\n");
        near.iter().for_each(|name| text.push_str(&format!("\t{name}\n")));
    }
    Error::Text(text)
}
