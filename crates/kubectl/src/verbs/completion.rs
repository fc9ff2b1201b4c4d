//! `completion`: what a shell needs to complete command lines. The scripts only ask `kubectl __complete`; [`crate::complete`] knows.

use crate::error::{Error, Result};
use crate::session::Session;

const SHELLS: &[(&str, &str)] = &[
    ("bash", include_str!("completion/kubectl.bash")),
    ("fish", include_str!("completion/kubectl.fish")),
    ("zsh", include_str!("completion/kubectl.zsh")),
];

pub fn run(session: &Session) -> Result<()> {
    let shell = match &session.call.args[..] {
        [] => return Err(Error::usage("completion", "Shell not specified.")),
        [shell] => shell,
        _ => {
            return Err(Error::usage("completion", "Too many arguments. Expected only the shell type."));
        }
    };
    match SHELLS.iter().find(|(name, _)| name == shell) {
        Some((_, script)) => session.print(script),
        None => {
            Err(Error::usage("completion", format!("Unsupported shell type {}.", crate::text::quote(shell))))
        }
    }
}
