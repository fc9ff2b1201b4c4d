//! Which user ids of this machine stand for those inside pods with a user namespace of their own (`hostUsers: false`): 65,536
//! for each pod, none of them shared. Start at [`UserNamespaces::of`].
//! <https://kubernetes.io/docs/concepts/workloads/pods/user-namespaces/>

use std::collections::HashMap;
use std::fs;
use std::io;
use std::sync::{Mutex, PoisonError};

use cri::{IdMapping, UserNamespace};

use crate::paths::Paths;

/// As many as a pod gets; the first ones are the machine's own.
const LENGTH: u32 = 65_536;

/// Of all pods. What a pod has is in its directory, too: containers keep it over a restart of the kubelet.
pub struct UserNamespaces {
    paths: Paths,
    /// Pod uid → which range.
    taken: Mutex<HashMap<String, u32>>,
}

impl UserNamespaces {
    /// Reads what pods have already.
    pub fn new(paths: Paths) -> Self {
        let dirs = fs::read_dir(paths.pods()).into_iter().flatten().flatten();
        let known = dirs.filter_map(|dir| {
            let uid = dir.file_name().to_string_lossy().into_owned();
            let range = fs::read_to_string(paths.userns(&uid)).ok()?.trim().parse().ok()?;
            Some((uid, range))
        });
        UserNamespaces { taken: Mutex::new(known.collect()), paths }
    }

    /// The pod's range, given now if it has none. Its directory must be there.
    pub fn of(&self, uid: &str) -> io::Result<UserNamespace> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let range = match taken.get(uid) {
            Some(range) => *range,
            None => {
                let free = (1..u32::MAX / LENGTH).find(|n| !taken.values().any(|t| t == n));
                let range = free.ok_or_else(|| io::Error::other("no user ids are left for another pod"))?;
                fs::write(self.paths.userns(uid), range.to_string())?;
                taken.insert(uid.to_owned(), range);
                range
            }
        };
        let mapping = IdMapping { host_id: range * LENGTH, container_id: 0, length: LENGTH };
        Ok(UserNamespace { uids: vec![mapping], gids: vec![mapping] })
    }

    /// The pod has ended and its files are gone.
    pub fn release(&self, uid: &str) {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_not_shared_and_survive() {
        let dir = tempfile::tempdir().expect("a directory");
        let paths = Paths { root: dir.path().to_owned(), logs: dir.path().join("logs") };
        for uid in ["a", "b", "c"] {
            fs::create_dir_all(paths.pod(uid)).expect("create");
        }
        let first = |all: &UserNamespaces, uid: &str| all.of(uid).expect("a range").uids[0].host_id;
        let all = UserNamespaces::new(paths.clone());
        assert_eq!((first(&all, "a"), first(&all, "b"), first(&all, "a")), (65_536, 131_072, 65_536));
        let again = UserNamespaces::new(paths);
        assert_eq!((first(&again, "b"), first(&again, "c")), (131_072, 196_608));
        again.release("b");
        fs::remove_dir_all(dir.path().join("pods/b")).expect("remove");
        fs::create_dir_all(dir.path().join("pods/d")).expect("create");
        assert_eq!(first(&again, "d"), 131_072);
    }
}
