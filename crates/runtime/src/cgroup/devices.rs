//! Which devices the processes of a group may use.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::spec::Node;

/// Something allowed. `None`: any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub block: bool,
    pub major: Option<u64>,
    pub minor: Option<u64>,
    /// [`MAKE`], [`READ`], [`WRITE`], as the kernel numbers them.
    pub access: u8,
}

pub(super) const MAKE: u8 = 1;
pub(super) const READ: u8 = 2;
pub(super) const WRITE: u8 = 4;
const ALL: u8 = MAKE | READ | WRITE;

/// Making nodes is allowed (using them is what counts), terminals and the usual harmless ones may be used.
pub(super) fn rules(extra: &[Node]) -> Vec<Rule> {
    let any = |block| Rule { block, major: None, minor: None, access: MAKE };
    let mut rules = vec![any(false), any(true)];
    let usable = |major, minor| Rule { block: false, major: Some(major), minor, access: ALL };
    rules.extend(
        [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2)]
            .map(|(major, minor)| usable(major, Some(minor))),
    );
    rules.push(usable(136, None));
    rules.extend(extra.iter().map(|node| Rule {
        block: node.block,
        major: Some(node.major),
        minor: Some(node.minor),
        access: access(&node.access),
    }));
    rules
}

/// Allows the default devices and `extra`, nothing else; or everything, for a privileged container.
pub(crate) fn allow_devices(directories: &[PathBuf], extra: &[Node], privileged: bool) -> Result<()> {
    let version_1 = directories.iter().find(|d| d.join("devices.deny").exists());
    match version_1 {
        Some(directory) => {
            let write = |file: &str, text: &str| {
                fs::write(directory.join(file), text).with_context(|| format!("write {text:?} to {file}"))
            };
            if privileged {
                return write("devices.allow", "a");
            }
            write("devices.deny", "a")?;
            rules(extra).iter().try_for_each(|rule| write("devices.allow", &line(rule)))
        }
        None if privileged => Ok(()),
        None => super::bpf::attach(directories, &rules(extra)),
    }
}

fn access(letters: &str) -> u8 {
    let bit = |letter| match letter {
        'r' => READ,
        'w' => WRITE,
        'm' => MAKE,
        _ => 0,
    };
    if letters.is_empty() { ALL } else { letters.chars().map(bit).fold(0, |all, bit| all | bit) }
}

pub(super) fn line(rule: &Rule) -> String {
    let number = |n: Option<u64>| n.map_or("*".to_string(), |n| n.to_string());
    let kind = if rule.block { 'b' } else { 'c' };
    let letters = [(READ, 'r'), (WRITE, 'w'), (MAKE, 'm')];
    let access: String = letters.iter().filter(|(bit, _)| rule.access & bit != 0).map(|(_, l)| l).collect();
    format!("{kind} {}:{} {access}", number(rule.major), number(rule.minor))
}
