//! Users and groups, looked up in the container's own files.

use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;

use anyhow::{Result, bail};

use crate::spec::User;

/// Who the process runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub uid: u32,
    pub gid: u32,
    /// Sorted, without `gid` unless asked for.
    pub groups: Vec<u32>,
    pub home: String,
}

/// Files longer than this are not looked through to the end.
const MAX_FILE: u64 = 4 << 20;

/// Resolves `user` from the files of the current root.
pub fn resolve(user: &User) -> Result<Identity> {
    resolve_in(user, &read("/etc/passwd"), &read("/etc/group"))
}

/// The image owns the file: it may be missing, a pipe, or endless.
fn read(path: &str) -> String {
    let mut text = Vec::new();
    let opened = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    if let Ok(file) = opened
        && file.metadata().is_ok_and(|m| m.is_file())
    {
        drop(file.take(MAX_FILE).read_to_end(&mut text));
    }
    String::from_utf8_lossy(&text).into_owned()
}

struct Account<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

fn accounts(passwd: &str) -> impl Iterator<Item = Account<'_>> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        let (name, uid, gid) = (fields.next()?, fields.nth(1)?, fields.next()?);
        let home = fields.nth(1).unwrap_or("");
        Some(Account { name, uid: uid.parse().ok()?, gid: gid.parse().ok()?, home })
    })
}

/// Name, id and members of each group.
fn groups(group: &str) -> impl Iterator<Item = (&str, u32, std::str::Split<'_, char>)> {
    group.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        let (name, gid) = (fields.next()?, fields.nth(1)?);
        Some((name, gid.parse().ok()?, fields.next().unwrap_or("").split(',')))
    })
}

fn resolve_in(user: &User, passwd: &str, group: &str) -> Result<Identity> {
    let (wanted_user, wanted_group) = match (user.uid, user.name.split_once(':')) {
        (Some(uid), _) => (uid.to_string(), None),
        (None, Some((name, group))) => (name.to_string(), Some(group)),
        (None, None) => (user.name.clone(), None),
    };
    let wanted_user = if wanted_user.is_empty() { "0".to_string() } else { wanted_user };
    let number: Option<u32> = wanted_user.parse().ok();
    let account = accounts(passwd).find(|a| match number {
        Some(uid) => a.uid == uid,
        None => a.name == wanted_user,
    });
    let Some(uid) = account.as_ref().map(|a| a.uid).or(number) else {
        bail!("unable to find user {wanted_user}: no matching entries in passwd file");
    };
    let gid = match (user.gid, wanted_group.filter(|g| !g.is_empty())) {
        (Some(gid), _) => gid,
        (None, Some(wanted)) => match groups(group).find(|(name, ..)| *name == wanted) {
            Some((_, gid, _)) => gid,
            None => match wanted.parse() {
                Ok(gid) => gid,
                Err(_) => bail!("unable to find group {wanted}: no matching entries in group file"),
            },
        },
        (None, None) => account.as_ref().map_or(0, |a| a.gid),
    };
    let mut all = user.groups.clone();
    if let Some(account) = account.as_ref().filter(|_| !user.strict_groups) {
        let member = groups(group).filter(|(_, _, m)| m.clone().any(|m| m == account.name));
        all.extend(member.map(|(_, gid, _)| gid));
    }
    // The primary group is among the supplementary ones, as runtimes do since CVE-2022-2995.
    all.push(gid);
    all.sort_unstable();
    all.dedup();
    let home = account.map(|a| a.home).filter(|h| !h.is_empty()).unwrap_or("/").to_string();
    Ok(Identity { uid, gid, groups: all, home })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:web:/var/www:/bin/false\nbroken\n";
    const GROUP: &str = "root:x:0:\nwww:x:34:\nlog:x:4:web,other\nx:x:5:other\n";

    #[track_caller]
    fn check(user: User, expected: &str) {
        let shown = match resolve_in(&user, PASSWD, GROUP) {
            Ok(i) => format!("{}:{} {:?} {}", i.uid, i.gid, i.groups, i.home),
            Err(e) => e.to_string(),
        };
        assert_eq!(shown, expected);
    }

    fn named(name: &str) -> User {
        User { name: name.into(), ..User::default() }
    }

    #[test]
    fn users_are_found_by_name_and_number() {
        check(User::default(), "0:0 [0] /root");
        check(named("web"), "33:34 [4, 34] /var/www");
        check(named("33"), "33:34 [4, 34] /var/www");
        check(named("web:log"), "33:4 [4] /var/www");
        check(named("web:77"), "33:77 [4, 77] /var/www");
        check(named("1234"), "1234:0 [0] /");
        check(User { uid: Some(33), gid: Some(9), ..User::default() }, "33:9 [4, 9] /var/www");
        check(
            User { uid: Some(33), strict_groups: true, groups: vec![7], ..User::default() },
            "33:34 [7, 34] /var/www",
        );
    }

    #[test]
    fn unknown_names_are_errors() {
        check(named("nobody"), "unable to find user nobody: no matching entries in passwd file");
        check(named("web:none"), "unable to find group none: no matching entries in group file");
    }
}
