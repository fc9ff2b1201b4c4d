//! What our binary is when the runtime re-executes it: [`early_main`], the first thing that `main` calls.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::{child, shim};

/// The first argument of a re-executed binary. No user command starts with it.
pub(crate) const MARK: &str = "__knarr-runtime";

/// One line per role.
const ROLES: &[(&str, fn(&[String]) -> ExitCode)] = &[
    ("shim", shim::main),
    ("init", child::init::main),
    ("exec", child::exec::main),
    ("pause", child::pause::main),
    ("unpack", child::unpack::main),
    ("userns", child::userns::main),
];

/// Runs the role that the command line names, or returns `None` for an ordinary start. Call it before any thread
/// exists and before the arguments are parsed: the roles fork, change root, namespaces and capabilities.
pub fn early_main(args: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut args = args.into_iter().skip(1);
    if args.next()? != MARK {
        return None;
    }
    let args: Vec<String> = args.map(|a| a.to_string_lossy().into_owned()).collect();
    let Some((role, rest)) = args.split_first() else { return Some(ExitCode::from(2)) };
    let known = ROLES.iter().find(|(name, _)| name == role);
    Some(known.map_or(ExitCode::from(2), |(_, run)| run(rest)))
}
