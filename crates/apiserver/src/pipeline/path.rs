//! From a URL path to what it asks for, by the rules of upstream's RequestInfo.

/// What a path addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Path {
    /// Under `/api/VERSION` or `/apis/GROUP/VERSION`, with something after it.
    Resource(ResourcePath),
    /// Everything else: discovery, health, metrics, …
    Other(String),
}

/// The parts of a resource path. Empty parts were absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourcePath {
    pub group: String,
    pub version: String,
    pub namespace: String,
    pub resource: String,
    pub name: String,
    pub subresource: String,
    /// What follows the subresource, for proxies: begins with `/` when present.
    pub rest: String,
    /// The legacy `/api/v1/watch/…` form.
    pub watch: bool,
}

/// The subresources of a namespace itself; any other third part is a resource within it.
const NAMESPACE_SUBRESOURCES: [&str; 2] = ["status", "finalize"];

impl Path {
    /// Parses a path whose percent escapes are still in place; parts are decoded one by one, so that an escaped
    /// slash stays within its part.
    pub fn parse(path: &str) -> Path {
        Self::resource(path).map_or_else(|| Path::Other(path.to_owned()), Path::Resource)
    }

    fn resource(path: &str) -> Option<ResourcePath> {
        let mut parts = path.strip_prefix('/')?.split('/').peekable();
        let mut found = ResourcePath::default();
        match parts.next()? {
            "api" => {}
            "apis" => found.group = filled(parts.next())?,
            _ => return None,
        }
        found.version = filled(parts.next())?;
        if parts.peek() == Some(&"watch") {
            parts.next();
            found.watch = true;
        }
        let first = filled(parts.next())?;
        let mut parts: Vec<String> = std::iter::once(first).chain(parts.map(decode)).collect();
        if parts.last().is_some_and(String::is_empty) && parts.len() <= 3 {
            parts.pop();
        }
        if parts[0] == "namespaces" && parts.len() > 1 {
            found.namespace = parts[1].clone();
            if parts.len() > 2 && !NAMESPACE_SUBRESOURCES.contains(&&*parts[2]) {
                parts.drain(..2);
            }
        }
        let mut parts = parts.into_iter();
        found.resource = parts.next()?;
        found.name = parts.next().unwrap_or_default();
        found.subresource = parts.next().unwrap_or_default();
        let rest: Vec<String> = parts.collect();
        if !rest.is_empty() {
            found.rest = format!("/{}", rest.join("/"));
        }
        Some(found)
    }
}

fn filled(part: Option<&str>) -> Option<String> {
    part.filter(|p| !p.is_empty()).map(decode)
}

/// Replaces `%41` by `A`; what is no valid escape stays as it is. Bytes that are not UTF-8 become U+FFFD.
pub fn decode(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = bytes
            .get(at + 1..at + 3)
            .filter(|_| bytes[at] == b'%')
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match escaped {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: &str) {
        let got = match Path::parse(path) {
            Path::Other(p) => format!("other {p}"),
            Path::Resource(r) => format!(
                "{}/{} ns={} {}/{} sub={} rest={}{}",
                r.group,
                r.version,
                r.namespace,
                r.resource,
                r.name,
                r.subresource,
                r.rest,
                if r.watch { " watch" } else { "" }
            ),
        };
        assert_eq!(got, expected, "{path}");
    }

    #[test]
    fn paths() {
        check("/api/v1/pods", "/v1 ns= pods/ sub= rest=");
        check("/api/v1/namespaces", "/v1 ns= namespaces/ sub= rest=");
        check("/api/v1/namespaces/a", "/v1 ns=a namespaces/a sub= rest=");
        check("/api/v1/namespaces/a/finalize", "/v1 ns=a namespaces/a sub=finalize rest=");
        check("/api/v1/namespaces/a/pods", "/v1 ns=a pods/ sub= rest=");
        check("/api/v1/namespaces/a/pods/", "/v1 ns=a pods/ sub= rest=");
        check("/api/v1/namespaces/a/pods/b/log", "/v1 ns=a pods/b sub=log rest=");
        check("/api/v1/nodes/n/proxy/x/y", "/v1 ns= nodes/n sub=proxy rest=/x/y");
        check("/api/v1/watch/namespaces/a/pods", "/v1 ns=a pods/ sub= rest= watch");
        check("/apis/apps/v1/deployments", "apps/v1 ns= deployments/ sub= rest=");
        check(
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode",
            "rbac.authorization.k8s.io/v1 ns= clusterroles/system:node sub= rest=",
        );
        check("/apis/apps/v1", "other /apis/apps/v1");
        check("/api", "other /api");
        check("/healthz", "other /healthz");
        check("/", "other /");
    }

    #[test]
    fn escapes() {
        assert_eq!(decode("a%2Fb%zz%4"), "a/b%zz%4");
    }
}
