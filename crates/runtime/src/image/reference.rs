//! Image references as users write them, and in full.

use std::fmt;

use anyhow::{Result, bail};

/// `registry/repository[:tag][@digest]`, with Docker's defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reference {
    pub registry: String,
    pub repository: String,
    pub tag: Option<String>,
    pub digest: Option<String>,
}

const DEFAULT_REGISTRY: &str = "docker.io";

impl Reference {
    /// `nginx` is `docker.io/library/nginx:latest`; a digest needs no tag.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = || anyhow::anyhow!("invalid reference format: {text:?}");
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) if is_digest(digest) => (rest, Some(digest.to_string())),
            Some(_) => return Err(invalid()),
            None => (text, None),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag.to_string())),
            _ => (rest, None),
        };
        let (registry, path) = match name.split_once('/') {
            Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path),
            _ => (DEFAULT_REGISTRY, name),
        };
        let registry = if registry == "index.docker.io" { DEFAULT_REGISTRY } else { registry };
        if path.chars().any(|c| c.is_ascii_uppercase()) {
            bail!("invalid reference format: repository name ({path}) must be lowercase");
        }
        if !is_path(path) || registry.is_empty() || tag.as_deref().is_some_and(|tag| !is_tag(tag)) {
            return Err(invalid());
        }
        let repository = if registry == DEFAULT_REGISTRY && !path.contains('/') {
            format!("library/{path}")
        } else {
            path.to_string()
        };
        let tag = tag.or_else(|| digest.is_none().then(|| "latest".to_string()));
        Ok(Reference { registry: registry.to_string(), repository, tag, digest })
    }

    /// `registry/repository`
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// As it is listed among an image's tags.
    pub fn tagged(&self) -> Option<String> {
        self.tag.as_ref().map(|tag| format!("{}:{tag}", self.name()))
    }

    /// As it is listed among an image's digests.
    pub fn with_digest(&self, digest: &str) -> String {
        format!("{}@{digest}", self.name())
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// `sha256:` and 64 hex digits.
pub(crate) fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= 128
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'))
}

fn is_path(path: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    path.len() <= 255
        && path.split('/').all(|part| {
            let bytes = part.as_bytes();
            matches!((bytes.first(), bytes.last()), (Some(a), Some(z)) if inner(*a) && inner(*z))
                && bytes.iter().all(|b| inner(*b) || matches!(b, b'.' | b'_' | b'-'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let shown = Reference::parse(text).map_or_else(|e| e.to_string(), |r| r.to_string());
        assert_eq!(shown, expected);
    }

    #[test]
    fn references_are_filled_in_as_docker_does() {
        let digest = format!("sha256:{}", "0".repeat(64));
        check("nginx", "docker.io/library/nginx:latest");
        check("nginx:1.27", "docker.io/library/nginx:1.27");
        check("user/app", "docker.io/user/app:latest");
        check("index.docker.io/library/a", "docker.io/library/a:latest");
        check("localhost/a", "localhost/a:latest");
        check("127.0.0.1:5000/a/b:v1", "127.0.0.1:5000/a/b:v1");
        check("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10");
        check(&format!("a@{digest}"), &format!("docker.io/library/a@{digest}"));
        check(&format!("a:t@{digest}"), &format!("docker.io/library/a:t@{digest}"));
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in ["", ":", "a b", "a@sha256:12", "a:-t", "/a", "a//b", "a/../b"] {
            check(bad, &format!("invalid reference format: {bad:?}"));
        }
        check("Nginx", "invalid reference format: repository name (Nginx) must be lowercase");
    }
}
