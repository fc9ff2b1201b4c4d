//! Upstream's components as programs of their own: `knarr kube-scheduler …`, or by a link of that name. Start at [`named`].
//!
//! Flags are upstream's of today, and those of 1.2: with underscores for dashes, one dash for two, booleans bare or with a value.
//! What cannot be honoured is refused; what no longer means anything is named in a warning that says what stands in its place.

mod controller_manager;
mod kube_apiserver;
mod kube_proxy;
mod kube_scheduler;
mod kubelet;
mod options;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

/// A component by its name.
pub struct Component {
    pub name: &'static str,
    run: fn(Vec<String>) -> Result<()>,
}

/// All of them.
pub const COMPONENTS: &[Component] = &[
    Component { name: "kube-apiserver", run: kube_apiserver::run },
    Component { name: "kube-controller-manager", run: controller_manager::run },
    Component { name: "kube-scheduler", run: kube_scheduler::run },
    Component { name: "kubelet", run: kubelet::run },
    Component { name: "kube-proxy", run: kube_proxy::run },
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

/// A flag that is accepted and does nothing.
pub struct Gone {
    pub name: &'static str,
    /// Whether the next word belongs to it when no `=` follows.
    pub takes_value: bool,
    /// What stands in its place.
    pub instead: &'static str,
}

/// For tables: a flag with a value.
pub const fn gone(name: &'static str, instead: &'static str) -> Gone {
    Gone { name, takes_value: true, instead }
}

/// For tables: a boolean flag.
pub const fn gone_switch(name: &'static str, instead: &'static str) -> Gone {
    Gone { name, takes_value: false, instead }
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
        warnings.push(format!("Flag --{name} has no effect: {}", gone.instead));
    }
    Ok((out, warnings))
}

/// Parses what is left after [`normalise`]; starts the log with the verbosity of `--v`.
pub fn parse<A: clap::Parser + options::HasCommon>(words: Vec<String>, own: &[Gone]) -> Result<A> {
    let (words, warnings) = normalise(words, &[own, LOGGING])?;
    let args = A::parse_from(words);
    options::start_log(args.common())?;
    for warning in warnings {
        eprintln!("{warning}");
    }
    Ok(args)
}

#[cfg(test)]
mod tests;
