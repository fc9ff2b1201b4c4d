//! What kinds the server has. Start at [`Discovery::load`]; [`Discovery::find`] takes what people type.
//!
//! Kept on disk beside stock's own cache, in one file for a server, for six hours; a kind that is not in it makes it be read anew.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use stdx::{Clock, SystemClock};

use crate::error::{Error, Result};
use crate::session::{Request, Session};

/// A kind of the server, in one version.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resource {
    pub group: String,
    pub version: String,
    pub kind: String,
    /// Plural.
    pub name: String,
    pub singular: String,
    pub short: Vec<String>,
    pub namespaced: bool,
    pub verbs: Vec<String>,
    pub categories: Vec<String>,
    pub subresources: Vec<String>,
}

impl Resource {
    pub fn api_version(&self) -> String {
        match self.group.as_str() {
            "" => self.version.clone(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// `deployment.apps`, `pod`: what stands before a name.
    pub fn prefix(&self) -> String {
        let kind = self.kind.to_lowercase();
        if self.group.is_empty() { kind } else { format!("{kind}.{}", self.group) }
    }

    /// `deployments.apps`, `pods`
    pub fn group_resource(&self) -> String {
        if self.group.is_empty() { self.name.clone() } else { format!("{}.{}", self.name, self.group) }
    }

    /// Where its objects are. `namespace` empty: all namespaces, or cluster scope.
    pub fn path(&self, namespace: &str, name: &str) -> String {
        let mut path = match self.group.as_str() {
            "" => format!("/api/{}", self.version),
            group => format!("/apis/{group}/{}", self.version),
        };
        if self.namespaced && !namespace.is_empty() {
            path.push_str(&format!("/namespaces/{}", escape(namespace)));
        }
        path.push_str(&format!("/{}", self.name));
        if !name.is_empty() {
            path.push_str(&format!("/{}", escape(name)));
        }
        path
    }

    pub fn is(&self, group: &str, kind: &str) -> bool {
        self.group == group && self.kind == kind
    }
}

/// Percent-encodes all but unreserved characters.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte as char),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// `?a=b&c=d` of what is not empty.
pub fn query(pairs: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (name, value) in pairs.iter().filter(|(_, v)| !v.is_empty()) {
        out.push(if out.is_empty() { '?' } else { '&' });
        out.push_str(&format!("{name}={}", escape(value)));
    }
    out
}

const FRESH: Duration = Duration::from_secs(6 * 3600);

/// All kinds, in the server's order; of a group the preferred version first.
pub struct Discovery {
    all: RefCell<Vec<Rc<Resource>>>,
    /// Read from the server, not from disk.
    fresh: Cell<bool>,
}

impl Discovery {
    pub fn load(session: &Session) -> Result<Self> {
        let path = cache_path(session)?;
        if let Some(all) = cached(&path) {
            return Ok(Discovery { all: RefCell::new(all), fresh: Cell::new(false) });
        }
        let discovery = Discovery { all: RefCell::default(), fresh: Cell::new(false) };
        discovery.refresh(session)?;
        Ok(discovery)
    }

    /// Asks the server, unless that was done already. Says whether it asked.
    pub fn refresh(&self, session: &Session) -> Result<bool> {
        if self.fresh.replace(true) {
            return Ok(false);
        }
        let all = fetch(session)?;
        keep(&cache_path(session)?, &all);
        *self.all.borrow_mut() = all;
        Ok(true)
    }

    pub fn all(&self) -> Vec<Rc<Resource>> {
        self.all.borrow().clone()
    }

    /// A kind by plural, singular, short name or kind, perhaps with `.group` or `.version.group`.
    pub fn find(&self, session: &Session, typed: &str) -> Result<Rc<Resource>> {
        if let Some(found) = self.search(typed) {
            return Ok(found);
        }
        if self.refresh(session)?
            && let Some(found) = self.search(typed)
        {
            return Ok(found);
        }
        let (resource, group) = typed.split_once('.').unwrap_or((typed, ""));
        Err(Error::NoMatch { resource: resource.to_owned(), group: group.to_owned(), version: String::new() })
    }

    fn search(&self, typed: &str) -> Option<Rc<Resource>> {
        let all = self.all.borrow();
        let parts: Vec<&str> = typed.splitn(3, '.').collect();
        let named = |r: &Resource, word: &str| {
            let word = word.to_lowercase();
            r.name == word || r.singular == word || r.kind.to_lowercase() == word || r.short.contains(&word)
        };
        if let [word, version, group] = parts[..]
            && let Some(found) =
                all.iter().find(|r| named(r, word) && r.version == version && r.group == group)
        {
            return Some(found.clone());
        }
        let (word, group) = typed.split_once('.').unwrap_or((typed, ""));
        if group.is_empty() {
            // What a kind is called counts more than what another is called for short.
            let full = |r: &&Rc<Resource>| !r.short.contains(&word.to_lowercase()) && named(r, word);
            return all.iter().find(full).or_else(|| all.iter().find(|r| named(r, word))).cloned();
        }
        let exact = all.iter().find(|r| named(r, word) && r.group == group);
        exact.or_else(|| all.iter().find(|r| named(r, word) && r.group.starts_with(group))).cloned()
    }

    /// The kind that a manifest names.
    pub fn of_kind(&self, session: &Session, api_version: &str, kind: &str) -> Result<Rc<Resource>> {
        let search = || {
            let all = self.all.borrow();
            all.iter().find(|r| r.kind == kind && r.api_version() == api_version).cloned()
        };
        if let Some(found) = search() {
            return Ok(found);
        }
        self.refresh(session)?;
        search().ok_or_else(|| {
            Error::text(format!(
                "no matches for kind \"{kind}\" in version \"{api_version}\"\nensure CRDs are installed first"
            ))
        })
    }

    /// The members of a category, such as `all`, in stock's order; empty when there is no such category.
    pub fn category(&self, word: &str) -> Vec<Rc<Resource>> {
        let all = self.all.borrow();
        let mut found: Vec<Rc<Resource>> = Vec::new();
        for resource in all.iter().filter(|r| r.categories.iter().any(|c| c == word)) {
            if !found.iter().any(|f| f.group == resource.group && f.name == resource.name) {
                found.push(resource.clone());
            }
        }
        found
    }
}

fn cache_path(session: &Session) -> Result<PathBuf> {
    let access = session.access()?;
    let dir = match session.call.text("cache-dir") {
        "" => match std::env::var_os("KUBECACHEDIR") {
            Some(dir) => PathBuf::from(dir),
            None => crate::config::home().join(".kube/cache"),
        },
        dir => PathBuf::from(dir),
    };
    let server = access.target.server.to_string();
    let host = server.split("://").nth(1).unwrap_or(&server).trim_end_matches('/');
    let safe: String =
        host.chars().map(|c| if c.is_ascii_alphanumeric() || "-.".contains(c) { c } else { '_' }).collect();
    Ok(dir.join("discovery").join(safe).join("knarr.json"))
}

fn cached(path: &PathBuf) -> Option<Vec<Rc<Resource>>> {
    let written = std::fs::metadata(path).ok()?.modified().ok()?;
    let now = SystemClock.now();
    let age = now.as_second() - jiff::Timestamp::try_from(written).ok()?.as_second();
    if age > FRESH.as_secs() as i64 || age < -60 {
        return None;
    }
    let value: Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    value.as_array().map(|all| all.iter().map(|v| Rc::new(resource(v))).collect())
}

/// Whoever cannot write has no cache: that is slower, and no error.
fn keep(path: &PathBuf, all: &[Rc<Resource>]) {
    let value: Vec<Value> = all
        .iter()
        .map(|r| {
            json!({ "g": r.group, "v": r.version, "k": r.kind, "n": r.name, "o": r.singular, "s": r.short,
                "ns": r.namespaced, "vs": r.verbs, "c": r.categories, "sub": r.subresources })
        })
        .collect();
    let Some(dir) = path.parent() else { return };
    let temporary = dir.join(format!(".knarr.{}", std::process::id()));
    let done = std::fs::create_dir_all(dir)
        .and_then(|()| std::fs::write(&temporary, Value::Array(value).to_string()))
        .and_then(|()| std::fs::rename(&temporary, path));
    drop(done);
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn resource(v: &Value) -> Resource {
    let text = |f: &str| v[f].as_str().unwrap_or_default().to_owned();
    Resource {
        group: text("g"),
        version: text("v"),
        kind: text("k"),
        name: text("n"),
        singular: text("o"),
        short: strings(&v["s"]),
        namespaced: v["ns"].as_bool().unwrap_or(false),
        verbs: strings(&v["vs"]),
        categories: strings(&v["c"]),
        subresources: strings(&v["sub"]),
    }
}

const AGGREGATED: &str =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

fn fetch(session: &Session) -> Result<Vec<Rc<Resource>>> {
    let mut all = Vec::new();
    for root in ["/api", "/apis"] {
        let request = Request { accept: AGGREGATED, ..Request::get(root) };
        let value = match session.value(&request) {
            Ok(value) => value,
            Err(e) if e.is_not_found() => continue,
            Err(e) => return Err(e),
        };
        match value["kind"].as_str() {
            Some("APIGroupDiscoveryList") => aggregated(&value, &mut all),
            _ => legacy(session, root, &value, &mut all)?,
        }
    }
    Ok(all)
}

fn aggregated(value: &Value, all: &mut Vec<Rc<Resource>>) {
    for group in value["items"].as_array().into_iter().flatten() {
        let name = group["metadata"]["name"].as_str().unwrap_or_default();
        for version in group["versions"].as_array().into_iter().flatten() {
            for r in version["resources"].as_array().into_iter().flatten() {
                let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
                let subresources = r["subresources"].as_array().into_iter().flatten();
                all.push(Rc::new(Resource {
                    group: name.to_owned(),
                    version: text(&version["version"]),
                    kind: text(&r["responseKind"]["kind"]),
                    name: text(&r["resource"]),
                    singular: text(&r["singularResource"]),
                    short: strings(&r["shortNames"]),
                    namespaced: r["scope"] == "Namespaced",
                    verbs: strings(&r["verbs"]),
                    categories: strings(&r["categories"]),
                    subresources: subresources.map(|s| text(&s["subresource"])).collect(),
                }));
            }
        }
    }
}

/// A server from before aggregated discovery: a request for each group and version.
fn legacy(session: &Session, root: &str, value: &Value, all: &mut Vec<Rc<Resource>>) -> Result<()> {
    let mut versions: Vec<(String, String)> = Vec::new();
    for version in strings(&value["versions"]) {
        versions.push((String::new(), version));
    }
    for group in value["groups"].as_array().into_iter().flatten() {
        let name = group["name"].as_str().unwrap_or_default();
        let preferred = group["preferredVersion"]["version"].as_str().unwrap_or_default();
        let listed = group["versions"].as_array().into_iter().flatten();
        let mut of_group: Vec<String> =
            listed.filter_map(|v| v["version"].as_str()).map(str::to_owned).collect();
        of_group.sort_by_key(|v| v != preferred);
        versions.extend(of_group.into_iter().map(|v| (name.to_owned(), v)));
    }
    for (group, version) in versions {
        let path =
            if group.is_empty() { format!("{root}/{version}") } else { format!("{root}/{group}/{version}") };
        // One group that is away does not hide the others.
        let Ok(list) = session.get(&path) else { continue };
        let listed: Vec<&Value> = list["resources"].as_array().into_iter().flatten().collect();
        for r in listed.iter().filter(|r| !r["name"].as_str().unwrap_or_default().contains('/')) {
            let text = |f: &str| r[f].as_str().unwrap_or_default().to_owned();
            let prefix = format!("{}/", text("name"));
            let subs = listed.iter().filter_map(|s| s["name"].as_str()?.strip_prefix(&prefix));
            let singular = if text("singularName").is_empty() {
                text("kind").to_lowercase()
            } else {
                text("singularName")
            };
            all.push(Rc::new(Resource {
                group: group.clone(),
                version: version.clone(),
                kind: text("kind"),
                name: text("name"),
                singular,
                short: strings(&r["shortNames"]),
                namespaced: r["namespaced"].as_bool().unwrap_or(false),
                verbs: strings(&r["verbs"]),
                categories: strings(&r["categories"]),
                subresources: subs.map(str::to_owned).collect(),
            }));
        }
    }
    Ok(())
}
