//! Seccomp filters: what a container's processes may ask of the kernel. Start at [`filters`].
//!
//! Two filters are stacked where clone3 is not allowed: the first says ENOSYS for it, since its flags lie in memory where
//! no filter sees them and C libraries then use clone; the second is the profile.

mod compile;
mod profile;
mod table;

use anyhow::{Context, Result};
use cri::SecurityProfile;

use self::compile::{Action, Compare, Condition, Filter, Rule, compile};
use self::table::{ALLOWED, ALLOWED_HERE, BY_CAPABILITY};
use crate::caps;
use crate::spec::Bpf;

/// The filters for `profile` and a container with these capabilities, in the order they are installed.
pub(crate) fn filters(profile: &SecurityProfile, capabilities: u64) -> Result<Vec<Bpf>> {
    match profile {
        SecurityProfile::Unconfined => Ok(Vec::new()),
        SecurityProfile::RuntimeDefault => default_filters(capabilities),
        SecurityProfile::Localhost(path) => {
            let read = || -> Result<Vec<Bpf>> {
                let text = std::fs::read(path)?;
                Ok(vec![compile(&profile::parse(&text, capabilities)?)?])
            };
            read().with_context(|| format!("cannot load seccomp profile {path:?}"))
        }
    }
}

/// RuntimeDefault's.
pub(crate) fn default_filters(capabilities: u64) -> Result<Vec<Bpf>> {
    let mut all = Vec::new();
    let clone3 = libc::SYS_clone3;
    if !caps::has(capabilities, "SYS_ADMIN") {
        let action = Action::errno(libc::ENOSYS as u32);
        let rules = vec![Rule { call: clone3, conditions: Vec::new(), action }];
        all.push(compile(&Filter { rules, default: Action::ALLOW, newest: None })?);
    }
    // What the first filter refuses the second must not refuse in other words.
    let rules = std::iter::once(allow(clone3)).chain(default_rules(capabilities)).collect();
    let default = Action::errno(libc::EPERM as u32);
    all.push(compile(&Filter { rules, default, newest: Some(table::newest()) })?);
    Ok(all)
}

fn allow(call: i64) -> Rule {
    Rule { call, conditions: Vec::new(), action: Action::ALLOW }
}

fn default_rules(capabilities: u64) -> Vec<Rule> {
    let when = |call, argument, compare, value| Rule {
        call,
        conditions: vec![Condition { argument, compare, value }],
        action: Action::ALLOW,
    };
    let mut rules: Vec<Rule> = ALLOWED.iter().chain(ALLOWED_HERE).map(|(_, call)| allow(*call)).collect();
    for (names, calls) in BY_CAPABILITY {
        if names.iter().any(|name| caps::has(capabilities, name)) {
            rules.extend(calls.iter().map(|(_, call)| allow(*call)));
        }
    }
    if !caps::has(capabilities, "SYS_ADMIN") {
        rules.push(when(libc::SYS_clone, 0, Compare::MaskedEqual(NEW_NAMESPACES), 0));
    }
    // Linux, 16-bit addresses and UNAME26 for old programs, and the question which one it is.
    for persona in [0, 0x8, 0x20000, 0x20008, 0xffff_ffff] {
        rules.push(when(libc::SYS_personality, 0, Compare::Equal, persona));
    }
    // Sockets to the hypervisor know no namespaces.
    rules.push(when(libc::SYS_socket, 0, Compare::NotEqual, libc::AF_VSOCK as u64));
    rules
}

/// CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
const NEW_NAMESPACES: u64 = 0x7e02_0000;

#[cfg(test)]
mod tests;
