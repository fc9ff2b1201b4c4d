//! Our keys and etcd's: the same path below another root.

use bytes::Bytes;

use crate::engine::Key;

/// Last below the prefix, where no resource is: see `Shared::write_marker`.
const MARKER: &str = "/~knarr/marker";

/// How keys are named on both sides.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    root: String,
    prefix: String,
}

impl Keys {
    /// Keys below `root` are kept below `prefix`; a slash at the end counts for nothing, one at the start is implied.
    pub fn new(root: &str, prefix: &str) -> Self {
        let plain = |path: &str| match path.trim_matches('/') {
            "" => String::new(),
            path => format!("/{path}"),
        };
        Keys { root: plain(root), prefix: plain(prefix) }
    }

    /// What etcd calls a key of ours.
    pub fn outer(&self, key: &str) -> Bytes {
        let below = key.strip_prefix(&*self.root).unwrap_or(key);
        format!("{}{below}", self.prefix).into()
    }

    /// What we call a key of etcd's; none for what is not ours.
    pub fn inner(&self, key: &[u8]) -> Option<Key> {
        let below = std::str::from_utf8(key).ok()?.strip_prefix(&*self.prefix)?;
        (below.starts_with('/') && below != MARKER).then(|| format!("{}{below}", self.root).into())
    }

    /// The first key with a prefix, and the first behind all of them.
    pub fn range(&self, prefix: &str) -> (Bytes, Bytes) {
        let first = match prefix.strip_prefix(&*self.root).unwrap_or(prefix) {
            // Not what only begins alike: /registry2.
            "" => format!("{}/", self.prefix),
            below => format!("{}{below}", self.prefix),
        };
        let mut end = first.clone().into_bytes();
        // Our keys are text, whose bytes are never 255.
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        (first.into(), end.into())
    }

    pub fn marker(&self) -> Bytes {
        format!("{}{MARKER}", self.prefix).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(root: &str, prefix: &str, ours: &str, theirs: &str, range: (&str, &str)) {
        let keys = Keys::new(root, prefix);
        assert_eq!(&keys.outer(ours)[..], theirs.as_bytes());
        assert_eq!(keys.inner(theirs.as_bytes()).as_deref(), Some(ours));
        let (first, end) = keys.range("");
        assert_eq!((&first[..], &end[..]), (range.0.as_bytes(), range.1.as_bytes()));
        assert_eq!(keys.inner(&keys.marker()), None);
    }

    #[test]
    fn the_same_path_below_another_root() {
        let pod = "/registry/pods/default/web";
        check("/registry", "/registry", pod, pod, ("/registry/", "/registry0"));
        check("/registry", "staging/", pod, "/staging/pods/default/web", ("/staging/", "/staging0"));
        check("", "/t1", "/a", "/t1/a", ("/t1/", "/t10"));
        assert_eq!(Keys::new("/registry", "/registry").inner(b"/registry2/pods/a"), None);
    }
}
