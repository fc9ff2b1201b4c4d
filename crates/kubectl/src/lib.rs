//! kubectl: the tool at the other end of the API. Start at [`main`], which finds the command; `verbs` has a file for each.
//!
//! - `command`: command lines, from one list of commands and flags; `kuberc`: what a user prefers of them; `complete`: what may
//!   follow. `session`: configuration and the way to the server.
//! - `discovery`, `targets`, `manifest`: from what people type to objects.
//! - `print`: objects as JSON, YAML, tables. `describe`: objects told at length. `jsonpath`, `template`, `kustomize`: rooms of their own.
//!
//! - `hints`: what only people at terminals are told.
//!
//! Objects are JSON values: what a server knows and this tool does not goes through unharmed. Never starts a thread before a request
//! is needed, never knows the server's insides.

mod change;
mod command;
mod complete;
mod config;
mod describe;
mod discovery;
mod error;
mod fetch;
mod hints;
mod jsonpath;
mod kuberc;
mod kustomize;
mod manifest;
mod pods;
mod print;
mod remote;
mod session;
mod strategic;
mod stream;
mod targets;
mod template;
mod text;
mod verbs;

use std::io::Write;

use error::Result;
use session::Session;

/// Runs kubectl with the words after the program's name; the exit code.
pub fn main(args: &[String]) -> u8 {
    if let Some(("__complete" | "__completeNoDesc", words)) = args.split_first().map(|(f, r)| (f.as_str(), r))
    {
        print!("{}", complete::answer(words, args[0] == "__complete"));
        return 0;
    }
    let mut hint = None;
    let parsed = kuberc::load(args).and_then(|p| command::parse_with(args, &p));
    let outcome = parsed.and_then(|call| run(call, &mut hint));
    // Who reads us may have gone.
    let _ = std::io::stdout().flush();
    match outcome {
        Ok(()) => 0,
        Err(error) => {
            let (text, code) = error.report();
            eprint!("{text}{}", hint.unwrap_or_default());
            u8::try_from(code).unwrap_or(1)
        }
    }
}

/// Runs a command; what else there is to say of its failure goes to `hint`.
fn run(call: command::Call, hint: &mut Option<String>) -> Result<()> {
    if call.help {
        print!("{}", command::help(&call.command));
        return Ok(());
    }
    let strict = call.is("warnings-as-errors");
    let session = Session::new(call);
    verbs::version::check(&session)?;
    verbs::run(&session).inspect_err(|e| *hint = hints::of_error(&session, e))?;
    let warnings = *session.warnings.borrow();
    match (strict, warnings) {
        (false, _) | (_, 0) => Ok(()),
        (true, 1) => Err(error::Error::text("1 warning received")),
        (true, n) => Err(error::Error::text(format!("{n} warnings received"))),
    }
}

/// What a kustomization makes.
fn kustomized(dir: &str) -> Result<Vec<manifest::Manifest>> {
    let made = kustomize::build(dir, kustomize::Restriction::RootOnly, &mut |line| eprintln!("{line}"))?;
    Ok(made.into_iter().map(|object| manifest::Manifest { source: dir.to_owned(), object }).collect())
}
