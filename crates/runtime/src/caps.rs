//! Capabilities: names, numbers, the default set of containers.

use anyhow::{Result, anyhow};

use crate::spec::Capabilities;

/// In the kernel's numbering.
const NAMES: &[&str] = &[
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

pub(crate) const SETPCAP: u64 = 8;
pub(crate) const SYS_ADMIN: u64 = 21;

/// What a container has that asks for nothing.
const DEFAULT: &[&str] = &[
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

/// The highest number that this kernel has and we know.
pub(crate) fn last() -> u64 {
    let text = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").unwrap_or_default();
    text.trim().parse().unwrap_or(NAMES.len() as u64 - 1).min(63)
}

/// Whether the mask `set` has the capability `name` (without `CAP_`).
pub(crate) fn has(set: u64, name: &str) -> bool {
    number(name).is_ok_and(|n| set & (1 << n) != 0)
}

fn number(name: &str) -> Result<u64> {
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
    let found = NAMES.iter().position(|n| *n == bare);
    found.map(|n| n as u64).ok_or_else(|| anyhow!("unknown capability {name:?}"))
}

fn mask(names: &[&str]) -> Result<u64> {
    names.iter().try_fold(0, |set, name| Ok(set | 1 << number(name)?))
}

/// Every capability we ourselves may give: the calling process's bounding set.
fn held() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("CapBnd:"));
    line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(u64::MAX >> 23)
}

/// A container's sets, and which of the asked-for capabilities this machine does not have to give.
pub(crate) fn container(
    add: &[String],
    drop: &[String],
    privileged: bool,
) -> Result<(Capabilities, Vec<String>)> {
    let held = held();
    let all = |names: &[String]| names.iter().any(|n| n.eq_ignore_ascii_case("ALL"));
    let single = |names: &[String]| -> Result<u64> {
        let names: Vec<&str> =
            names.iter().map(String::as_str).filter(|n| !n.eq_ignore_ascii_case("ALL")).collect();
        mask(&names)
    };
    let (added, dropped) = (single(add)?, single(drop)?);
    let mut set = if privileged || all(add) { held } else { mask(DEFAULT)? };
    // `drop: ALL` with `add: X` gives X; `add: ALL` with `drop: X` all but X.
    if !privileged {
        if all(drop) {
            set = if all(add) { set } else { 0 };
        }
        set = (set & !dropped) | added;
    }
    let lacking = (set | added) & !held;
    let missing =
        (0..NAMES.len()).filter(|n| lacking & (1 << n) != 0).map(|n| NAMES[n].to_string()).collect();
    let set = set & held;
    Ok((Capabilities { bounding: set, effective: set, inheritable: 0, ambient: 0 }, missing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(add: &[&str], drop: &[&str], expected: &[&str]) {
        let own = |names: &[&str]| names.iter().map(|n| n.to_string()).collect::<Vec<_>>();
        let (sets, _) = container(&own(add), &own(drop), false).unwrap();
        let names: Vec<&str> = NAMES.iter().copied().filter(|n| has(sets.effective, n)).collect();
        let mut expected = expected.to_vec();
        expected.sort_by_key(|n| number(n).unwrap());
        assert_eq!(names, expected);
    }

    #[test]
    fn sets_follow_add_and_drop() {
        check(&[], &[], DEFAULT);
        check(&[], &["ALL"], &[]);
        check(&["NET_BIND_SERVICE"], &["all"], &["NET_BIND_SERVICE"]);
        check(&["CAP_KILL"], &["ALL", "KILL"], &["KILL"]);
    }

    #[test]
    fn the_default_set_is_the_documented_number() {
        assert_eq!(mask(DEFAULT).unwrap(), 0xa80425fb);
    }

    #[test]
    fn unknown_names_are_errors() {
        let error = container(&["FLY".into()], &[], false).unwrap_err();
        assert_eq!(error.to_string(), "unknown capability \"FLY\"");
    }
}
