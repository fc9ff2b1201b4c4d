//! Profiles of the user's own, in the JSON that Docker and the OCI know.

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::compile::{Action, Compare, Condition, Filter, Rule};
use super::table;
use crate::caps;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    default_action: String,
    default_errno_ret: Option<u32>,
    #[serde(default)]
    syscalls: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(default)]
    names: Vec<String>,
    /// The form before 2017.
    name: Option<String>,
    action: String,
    errno_ret: Option<u32>,
    args: Option<Vec<Argument>>,
    #[serde(default)]
    includes: Scope,
    #[serde(default)]
    excludes: Scope,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Argument {
    index: u8,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: String,
}

/// For which containers and machines an entry counts.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Scope {
    #[serde(default)]
    caps: Vec<String>,
    #[serde(default)]
    arches: Vec<String>,
    min_kernel: Option<String>,
}

/// Reads a profile for a container with these capabilities.
pub(super) fn parse(text: &[u8], capabilities: u64) -> Result<Filter> {
    let profile: Profile = serde_json::from_slice(text).context("not a valid seccomp profile")?;
    let default = action(&profile.default_action, profile.default_errno_ret)?;
    let mut rules = Vec::new();
    for entry in &profile.syscalls {
        if !applies(entry, capabilities) {
            continue;
        }
        let action = action(&entry.action, entry.errno_ret)?;
        let conditions: Vec<Condition> = entry.args.iter().flatten().map(condition).collect::<Result<_>>()?;
        // Names this architecture does not have are for others.
        let calls = entry.names.iter().chain(&entry.name).filter_map(|name| table::number(name));
        rules.extend(calls.map(|call| Rule { call, conditions: conditions.clone(), action }));
    }
    Ok(Filter { rules, default, newest: None })
}

fn applies(entry: &Entry, capabilities: u64) -> bool {
    let has = |scope: &Scope| scope.caps.iter().all(|cap| caps::has(capabilities, cap));
    let ours = |scope: &Scope| scope.arches.iter().any(|a| a == crate::image::config::architecture());
    let (includes, excludes) = (&entry.includes, &entry.excludes);
    let included = has(includes)
        && (includes.arches.is_empty() || ours(includes))
        && includes.min_kernel.as_deref().is_none_or(kernel_is_at_least);
    let excluded = (!excludes.caps.is_empty()
        && excludes.caps.iter().any(|cap| caps::has(capabilities, cap)))
        || ours(excludes)
        || excludes.min_kernel.as_deref().is_some_and(kernel_is_at_least);
    included && !excluded
}

fn kernel_is_at_least(version: &str) -> bool {
    let numbers = |text: &str| -> (u32, u32) {
        let mut parts = text.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
    };
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    numbers(&release) >= numbers(version)
}

fn action(name: &str, errno: Option<u32>) -> Result<Action> {
    Ok(match name {
        "SCMP_ACT_ALLOW" => Action::ALLOW,
        "SCMP_ACT_ERRNO" => Action::errno(errno.unwrap_or(libc::EPERM as u32)),
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Action::KILL_THREAD,
        "SCMP_ACT_KILL_PROCESS" => Action::KILL_PROCESS,
        "SCMP_ACT_TRAP" => Action::TRAP,
        "SCMP_ACT_TRACE" => Action(Action::TRACE.0 | errno.unwrap_or(libc::EPERM as u32) & 0xffff),
        "SCMP_ACT_LOG" => Action::LOG,
        other => bail!("seccomp action {other:?} is not supported"),
    })
}

fn condition(argument: &Argument) -> Result<Condition> {
    if argument.index > 5 {
        bail!("system calls have no argument {}", argument.index);
    }
    let (compare, value) = match argument.op.as_str() {
        "SCMP_CMP_EQ" => (Compare::Equal, argument.value),
        "SCMP_CMP_NE" => (Compare::NotEqual, argument.value),
        "SCMP_CMP_LT" => (Compare::Less, argument.value),
        "SCMP_CMP_LE" => (Compare::LessOrEqual, argument.value),
        "SCMP_CMP_GT" => (Compare::Greater, argument.value),
        "SCMP_CMP_GE" => (Compare::GreaterOrEqual, argument.value),
        "SCMP_CMP_MASKED_EQ" => (Compare::MaskedEqual(argument.value), argument.value_two),
        other => bail!("seccomp comparison {other:?} is not supported"),
    };
    Ok(Condition { argument: argument.index, compare, value })
}
