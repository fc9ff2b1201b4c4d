//! Upstream's components as programs of their own: `knarr kube-scheduler …`, or by a link of that name. Start at [`named`].
//!
//! Flags are upstream's of today, and those of 1.2: with underscores for dashes, one dash for two, booleans bare or with a value.
//! What cannot be honoured is refused; what no longer means anything is named in a warning that says what stands in its place.

mod controller_manager;
mod document;
mod kube_apiserver;
mod kube_proxy;
mod kube_scheduler;
mod kubelet;
pub mod nearest;
mod options;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};

/// A component by its name.
pub struct Component {
    pub name: &'static str,
    run: fn(Vec<String>) -> Result<()>,
    /// Its flags, and those that have no effect.
    command: fn() -> clap::Command,
    gone: &'static [Gone],
}

impl Component {
    fn has_flag(&self, name: &str) -> bool {
        let named = |arg: &clap::Arg| {
            arg.get_long() == Some(name) || arg.get_all_aliases().is_some_and(|all| all.contains(&name))
        };
        self.gone.iter().any(|g| g.name == name) || (self.command)().get_arguments().any(named)
    }
}

/// All of them.
pub const COMPONENTS: &[Component] = &[
    Component {
        name: "kube-apiserver",
        run: kube_apiserver::run,
        command: kube_apiserver::command,
        gone: kube_apiserver::GONE,
    },
    Component {
        name: "kube-controller-manager",
        run: controller_manager::run,
        command: controller_manager::command,
        gone: controller_manager::GONE,
    },
    Component {
        name: "kube-scheduler",
        run: kube_scheduler::run,
        command: kube_scheduler::command,
        gone: kube_scheduler::GONE,
    },
    Component { name: "kubelet", run: kubelet::run, command: kubelet::command, gone: kubelet::GONE },
    Component {
        name: "kube-proxy",
        run: kube_proxy::run,
        command: kube_proxy::command,
        gone: kube_proxy::GONE,
    },
];

/// Runs the component that the program's name, or the first argument, names. `None`: neither does.
pub fn named(mut args: Vec<OsString>) -> Option<ExitCode> {
    let called = Path::new(args.first()?).file_name()?.to_str()?.to_owned();
    let find = |name: &str| COMPONENTS.iter().find(|c| c.name == name);
    let component = find(&called).or_else(|| {
        let found = find(args.get(1)?.to_str()?)?;
        args.remove(0);
        Some(found)
    })?;
    let words = args.into_iter().map(|a| a.to_string_lossy().into_owned()).collect();
    Some(match (component.run)(words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error:#}", component.name);
            ExitCode::FAILURE
        }
    })
}

/// A flag that is accepted and does nothing, or is refused with a reason.
pub struct Gone {
    pub name: &'static str,
    /// Whether the next word belongs to it when no `=` follows.
    pub takes_value: bool,
    /// What stands in its place.
    pub instead: &'static str,
    /// Doing without it would not be what was asked for.
    pub refused: bool,
}

/// Why nothing limits requests to the API server.
pub const FLOW: &str = "requests are not held back here; the API server's flow control does it";
/// Why content types are nobody's to choose.
pub const JSON: &str = "JSON is spoken";

/// For tables: a flag with a value.
pub const fn gone(name: &'static str, instead: &'static str) -> Gone {
    Gone { name, takes_value: true, instead, refused: false }
}

/// For tables: a boolean flag.
pub const fn gone_switch(name: &'static str, instead: &'static str) -> Gone {
    Gone { name, takes_value: false, instead, refused: false }
}

/// For tables: a flag with a value that is not supported.
pub const fn refused(name: &'static str, why: &'static str) -> Gone {
    Gone { name, takes_value: true, instead: why, refused: true }
}

/// Of every component: where logs went.
const LOGGING: &[Gone] = &[
    gone_switch("logtostderr", "logs always go to standard error"),
    gone_switch("alsologtostderr", "logs always go to standard error"),
    gone("log-dir", "logs always go to standard error, which the service manager keeps"),
    gone("log-file", "logs always go to standard error, which the service manager keeps"),
    gone("stderrthreshold", "--v chooses what is logged"),
    gone("vmodule", "KNARR_LOG chooses what is logged of which part, such as kubelet=debug"),
    gone("log-flush-frequency", "logs are not kept back"),
    gone_switch("profiling", "there is no profiling port"),
    gone_switch("contention-profiling", "there is no profiling port"),
    gone("cloud-provider", "cloud providers are programs of their own"),
    gone("cloud-config", "cloud providers are programs of their own"),
];

/// Arguments as clap takes them, and the warnings to print. The first word is the program's name.
pub fn normalise(words: Vec<String>, tables: &[&[Gone]]) -> Result<(Vec<String>, Vec<String>)> {
    let mut out = Vec::new();
    let mut warnings = Vec::new();
    let mut words = words.into_iter();
    out.extend(words.next());
    while let Some(word) = words.next() {
        check_word(&word)?;
        let bare = word.trim_start_matches('-');
        let dashes = word.len() - bare.len();
        // A single letter after one dash is what it is everywhere: -h, -v.
        if dashes == 0 || dashes > 2 || bare.is_empty() || (dashes == 1 && bare.len() == 1) {
            out.push(word);
            continue;
        }
        let (name, value) = match bare.split_once('=') {
            Some((name, value)) => (name.replace('_', "-"), Some(value.to_owned())),
            None => (bare.replace('_', "-"), None),
        };
        let Some(gone) = tables.iter().flat_map(|t| t.iter()).find(|g| g.name == name) else {
            out.push(match value {
                Some(value) => format!("--{name}={value}"),
                None => format!("--{name}"),
            });
            continue;
        };
        let value = match (value, gone.takes_value) {
            (None, true) => Some(words.next().with_context(|| format!("flag needs an argument: --{name}"))?),
            (value, _) => value,
        };
        if let (false, Some(value)) = (gone.takes_value, &value)
            && value.parse::<bool>().is_err()
        {
            bail!("invalid argument {value:?} for \"--{name}\" flag: it is true or false");
        }
        match (gone.refused, value.as_deref()) {
            // As in files whose variable is empty.
            (true, Some("")) => {}
            (true, _) => bail!("--{name} is not supported: {}", gone.instead),
            (false, _) => warnings.push(format!("Flag --{name} has no effect: {}", gone.instead)),
        }
    }
    Ok((out, warnings))
}

/// What an environment file with slips makes of a flag, which would otherwise be told as something else.
fn check_word(word: &str) -> Result<()> {
    if word.contains('\r') {
        bail!(
            "the argument {word:?} holds a carriage return: the file that it is from has Windows line ends; `sed -i 's/\\r$//' FILE` mends it"
        );
    }
    if word.starts_with(['"', '\'']) {
        bail!(
            "the argument {word:?} begins with a quote: in an environment file quotes stand around the whole value, KUBELET_ARGS=\"--v=2 --port=10250\""
        );
    }
    let name = word.split('=').next().unwrap_or(word);
    if word.starts_with('-') && name.contains(char::is_whitespace) {
        bail!(
            "{word:?} came as one word: in a unit, write $VARIABLE instead of ${{VARIABLE}}, so that it is split; elsewhere, leave the quotes out"
        );
    }
    Ok(())
}

/// Parses what is left after [`normalise`]; starts the log with the verbosity of `--v`.
pub fn parse<A: clap::Parser + options::HasCommon>(words: Vec<String>, own: &[Gone]) -> Result<A> {
    let (words, warnings) = normalise(words, &[own, LOGGING])?;
    // As upstream's flags: what is said again, by a unit's second file, counts.
    let matches = A::command().args_override_self(true).try_get_matches_from(words);
    let args = matches.and_then(|matches| A::from_arg_matches(&matches)).or_else(|error| {
        match unknown(&error) {
            Some(flag) => Err(about_unknown(&flag, &A::command(), own)),
            // Help, version, and values that are none: clap says it well.
            None => error.exit(),
        }
    })?;
    options::start_log(args.common())?;
    for warning in warnings {
        eprintln!("{warning}");
    }
    Ok(args)
}

/// The flag that nobody knows, if that is what is wrong.
fn unknown(error: &clap::Error) -> Option<String> {
    if error.kind() != clap::error::ErrorKind::UnknownArgument {
        return None;
    }
    let flag = error.get(clap::error::ContextKind::InvalidArg)?.to_string();
    flag.strip_prefix("--").map(|name| name.split('=').next().unwrap_or(name).to_owned())
}

fn about_unknown(flag: &str, command: &clap::Command, own: &[Gone]) -> anyhow::Error {
    let program = command.get_name();
    let elsewhere: Vec<&str> = COMPONENTS.iter().filter(|c| c.has_flag(flag)).map(|c| c.name).collect();
    if !elsewhere.is_empty() {
        return anyhow!(
            "unknown flag: --{flag}; it is one of {}, see `{program} --help`",
            elsewhere.join(", ")
        );
    }
    let longs = command.get_arguments().filter_map(|a| a.get_long());
    let suggestion = nearest::suggestion(flag, longs.chain(own.iter().map(|g| g.name)));
    anyhow!("unknown flag: --{flag}{}; see `{program} --help`", suggestion.replace("mean ", "mean --"))
}

#[cfg(test)]
mod tests;
