//! Which requests the proxy lets through. Start at [`Filter::accepts`].

use regex::Regex;

use crate::command::Call;
use crate::error::{Error, Result};

/// Regular expressions on what a request asks for, and by which name of ours it came.
pub struct Filter {
    accept_hosts: Vec<Regex>,
    accept_paths: Vec<Regex>,
    reject_paths: Vec<Regex>,
    reject_methods: Vec<Regex>,
}

impl Filter {
    pub fn of(call: &Call) -> Result<Self> {
        let list = |flag: &str| call.text(flag).split(',').map(compile).collect::<Result<Vec<Regex>>>();
        Ok(Filter {
            accept_hosts: list("accept-hosts")?,
            accept_paths: list("accept-paths")?,
            reject_paths: list("reject-paths")?,
            reject_methods: list("reject-methods")?,
        })
    }

    /// `host` as the header says it. A page from elsewhere, open in a browser, can send requests here, but not with our host's name.
    pub fn accepts(&self, method: &str, path: &str, host: &str) -> bool {
        let any = |all: &[Regex], text: &str| all.iter().any(|r| r.is_match(text));
        if any(&self.reject_paths, path) || any(&self.reject_methods, method) {
            return false;
        }
        any(&self.accept_paths, path) && any(&self.accept_hosts, without_port(host))
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.is_empty() => {
            if name.contains(':') && !name.ends_with(']') { host } else { name }
        }
        _ => host,
    }
}

fn compile(pattern: &str) -> Result<Regex> {
    Regex::new(pattern).map_err(|e| {
        let why = e.to_string();
        let last = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        Error::Exit(255, format!("Error compiling re: error parsing regexp: {last}: `{pattern}`"))
    })
}
