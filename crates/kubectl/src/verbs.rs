//! Every verb, a file each. Start at [`TABLE`].

mod apis;
mod apply;
mod auth;
mod autoscale;
mod certificate;
mod completion;
mod config;
mod cp;
mod create;
mod debug;
mod delete;
mod describe;
mod diff;
mod dump;
mod edit;
mod events;
mod exec;
mod explain;
mod expose;
mod forward;
mod get;
mod kuberc;
mod kustomize;
mod logs;
mod metadata;
mod nodes;
mod patch;
mod plugin;
mod proxy;
mod replace;
mod rollout;
mod run;
mod scale;
mod set;
mod top;
pub mod version;
mod wait;
mod watch;

use crate::command::{help, suggestions};
use crate::error::{Error, Result};
use crate::session::Session;

pub use apply::applyset::is_on as applysets;
pub use create::hash as hash_of;

type Run = fn(&Session) -> Result<()>;

/// What each command does.
const TABLE: &[(&str, Run)] = &[
    ("annotate", metadata::annotate),
    ("api-resources", apis::resources),
    ("api-versions", apis::versions),
    ("auth can-i", auth::can_i),
    ("auth reconcile", auth::reconcile),
    ("auth whoami", auth::whoami),
    ("autoscale", autoscale::run),
    ("certificate approve", certificate::approve),
    ("certificate deny", certificate::deny),
    ("cluster-info", apis::cluster_info),
    ("cluster-info dump", dump::run),
    ("completion", completion::run),
    ("kuberc set", kuberc::set),
    ("kuberc view", kuberc::view),
    ("kustomize", kustomize::run),
    ("proxy", proxy::run),
    ("rollout history", rollout::history),
    ("rollout pause", rollout::pause),
    ("rollout restart", rollout::restart),
    ("rollout resume", rollout::resume),
    ("rollout status", rollout::status),
    ("rollout undo", rollout::undo),
    ("set env", set::env),
    ("set image", set::image),
    ("set resources", set::resources),
    ("set selector", set::selector),
    ("set serviceaccount", set::service_account),
    ("set subject", set::subject),
    ("config current-context", config::current_context),
    ("config delete-cluster", config::delete_cluster),
    ("config delete-context", config::delete_context),
    ("config delete-user", config::delete_user),
    ("config get-clusters", config::get_clusters),
    ("config get-contexts", config::get_contexts),
    ("config get-users", config::get_users),
    ("config rename-context", config::rename_context),
    ("config set", config::set),
    ("config set-cluster", config::set_cluster),
    ("config set-context", config::set_context),
    ("config set-credentials", config::set_credentials),
    ("config unset", config::unset),
    ("config use-context", config::use_context),
    ("config view", config::view),
    ("cordon", nodes::cordon),
    ("drain", nodes::drain),
    ("events", events::run),
    ("taint", nodes::taint),
    ("uncordon", nodes::uncordon),
    ("apply", apply::run),
    ("apply edit-last-applied", apply::edit),
    ("apply set-last-applied", apply::set),
    ("apply view-last-applied", apply::view),
    ("attach", exec::attach),
    ("create", create::run),
    ("create token", create::token::run),
    ("debug", debug::run),
    ("delete", delete::run),
    ("describe", describe::run),
    ("cp", cp::run),
    ("diff", diff::run),
    ("edit", edit::run),
    ("explain", explain::run),
    ("plugin list", plugin::list),
    ("top node", top::node),
    ("top pod", top::pod),
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
            if call.path().is_empty()
                && let [word, ..] = &call.args[..]
            {
                eprint!("Unknown help topic [`{word}`]\n\n{}", help(&call.command));
                return Ok(());
            }
            session.print(&help(&call.command))
        }
        ("", Some("alpha")) => session.println("No alpha commands are available in this version of kubectl"),
        ("", Some(word)) => Err(plugin::run(&call.args).unwrap_or_else(|| unknown(word))),
        (path, Some(word)) if crate::command::commands().any(|c| c.path.starts_with(&format!("{path} "))) => {
            Err(Error::usage(path, format!("unknown command \"{word}\"")))
        }
        (path, None)
            if crate::command::commands()
                .any(|c| path.is_empty() || c.path.starts_with(&format!("{path} "))) =>
        {
            // Whoever names half a command is told what there is; mostly as of a mistake.
            match path {
                "" | "certificate" => session.print(&help(&call.command)),
                "rollout" => session.print(&help(&call.command)).and(Err(Error::Silent(1))),
                _ => Err(Error::Exit(1, help(&call.command))),
            }
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
