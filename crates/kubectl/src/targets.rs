//! Which objects a command is about: types and names, selectors, files. Start at [`Query::works`] and [`Query::targets`].

use std::rc::Rc;

use serde_json::Value;

use crate::discovery::{Resource, query};
use crate::error::{Error, Result};
use crate::manifest;
use crate::session::{Request, Session};

/// An object, as far as it is known.
#[derive(Clone, Debug)]
pub struct Target {
    pub resource: Rc<Resource>,
    pub namespace: String,
    pub name: String,
    /// The file it stands in; empty when it was named by arguments.
    pub source: String,
    pub object: Value,
}

impl Target {
    pub fn path(&self) -> String {
        self.resource.path(&self.namespace, &self.name)
    }

    /// `deployment.apps/web`
    pub fn shown(&self) -> String {
        format!("{}/{}", self.resource.prefix(), self.name)
    }

    pub fn of(resource: Rc<Resource>, object: Value) -> Self {
        let text = |f: &str| object["metadata"][f].as_str().unwrap_or_default().to_owned();
        let namespace = if resource.namespaced { text("namespace") } else { String::new() };
        Target { namespace, name: text("name"), source: String::new(), resource, object }
    }
}

/// What a command asks for: one object by name, a list, or an object in a file.
#[derive(Clone, Debug)]
pub enum Work {
    Named { resource: Rc<Resource>, namespace: String, name: String, source: String, object: Value },
    Listed { resource: Rc<Resource>, namespace: String },
}

impl Work {
    pub fn resource(&self) -> &Rc<Resource> {
        match self {
            Work::Named { resource, .. } | Work::Listed { resource, .. } => resource,
        }
    }
}

/// How a command names its objects. Fill in what the command has; the rest is empty.
#[derive(Clone, Default)]
pub struct Query {
    pub args: Vec<String>,
    pub files: Vec<String>,
    pub kustomize: String,
    pub recursive: bool,
    pub selector: String,
    pub field_selector: String,
    pub all_namespaces: bool,
    /// A type alone means all its objects, also without a selector.
    pub whole_types: bool,
    /// `--all`
    pub select_all: bool,
    pub chunk: i64,
    pub subresource: String,
    /// Files and arguments may not stand together, of course; here neither may be missing.
    pub required: bool,
    /// The objects of files are read from the server.
    pub latest: bool,
    /// What stands in a file need not exist.
    pub only_local: bool,
}

/// The words of stock when nothing is named.
pub const NOTHING: &str = "You must provide one or more resources by argument or filename.
Example resource specifications include:
   '-f rsrc.yaml'
   '--filename=rsrc.json'
   '<resource> <name>'
   '<resource>'";

impl Query {
    /// From the flags that most commands share, where the command has them.
    pub fn of(session: &Session, args: &[String]) -> Self {
        let call = &session.call;
        let text = |f: &str| if call.has_flag(f) { call.text(f).to_owned() } else { String::new() };
        let is = |f: &str| call.has_flag(f) && call.is(f);
        Query {
            args: args.to_vec(),
            files: if call.has_flag("filename") { call.list("filename") } else { Vec::new() },
            kustomize: text("kustomize"),
            recursive: is("recursive"),
            selector: text("selector"),
            field_selector: text("field-selector"),
            all_namespaces: is("all-namespaces"),
            select_all: is("all"),
            chunk: if call.has_flag("chunk-size") { call.int("chunk-size") } else { 500 },
            subresource: text("subresource"),
            required: true,
            latest: true,
            ..Query::default()
        }
    }

    pub fn has_files(&self) -> bool {
        !self.files.is_empty() || !self.kustomize.is_empty()
    }

    fn checked(&self) -> Result<()> {
        if !self.files.is_empty() && !self.kustomize.is_empty() {
            return Err(Error::text("only one of -f or -k can be specified"));
        }
        if !self.kustomize.is_empty() && self.recursive {
            return Err(Error::text("the -k flag can't be used with -f or -R"));
        }
        if self.has_files() && !self.args.is_empty() {
            return Err(Error::text(
                "when paths, URLs, or stdin is provided as input, you may not specify resource arguments as well",
            ));
        }
        if self.select_all && !self.selector.is_empty() {
            return Err(Error::text("cannot set --all and --selector at the same time"));
        }
        Ok(())
    }

    /// The objects of files; nothing for other queries.
    pub fn manifests(&self) -> Result<Vec<manifest::Manifest>> {
        if !self.kustomize.is_empty() {
            return crate::kustomized(&self.kustomize);
        }
        manifest::read(&self.files, self.recursive)
    }

    /// What there is to do, in order. Names are not looked up yet.
    pub fn works(&self, session: &Session) -> Result<Vec<Work>> {
        self.checked()?;
        if self.has_files() {
            return self.works_of_files(session);
        }
        if self.args.is_empty() {
            return if self.required { Err(Error::text(NOTHING)) } else { Ok(Vec::new()) };
        }
        let (default, _) = session.namespace()?;
        let namespace = |r: &Resource| match (r.namespaced, self.all_namespaces) {
            (true, false) => default.clone(),
            _ => String::new(),
        };
        if self.args.iter().any(|a| a.contains('/')) {
            return self.works_of_pairs(session, &namespace);
        }
        let selected = !self.selector.is_empty() || !self.field_selector.is_empty() || self.select_all;
        let resources = types(session, &self.args[0])?;
        let names = &self.args[1..];
        if names.is_empty() {
            if !(selected || self.whole_types) {
                return Err(Error::text("resource(s) were provided, but no name was specified"));
            }
            let listed = |resource: Rc<Resource>| Work::Listed { namespace: namespace(&resource), resource };
            return Ok(resources.into_iter().map(listed).collect());
        }
        if !self.selector.is_empty() {
            return Err(Error::text("name cannot be provided when a selector is specified"));
        }
        if !self.field_selector.is_empty() {
            return Err(Error::text(
                "selectors and the all flag cannot be used when passing resource/name arguments",
            ));
        }
        if self.select_all {
            return Err(Error::text("name cannot be provided when a selector is specified"));
        }
        let mut works = Vec::new();
        for resource in &resources {
            for name in names {
                works.push(self.named(resource, &namespace, name)?);
            }
        }
        Ok(works)
    }

    fn named(
        &self,
        resource: &Rc<Resource>,
        namespace: &dyn Fn(&Resource) -> String,
        name: &str,
    ) -> Result<Work> {
        if self.all_namespaces && resource.namespaced {
            return Err(Error::text("a resource cannot be retrieved by name across all namespaces"));
        }
        Ok(Work::Named {
            resource: resource.clone(),
            namespace: namespace(resource),
            name: name.to_owned(),
            source: String::new(),
            object: Value::Null,
        })
    }

    /// `type/name …`
    fn works_of_pairs(
        &self,
        session: &Session,
        namespace: &dyn Fn(&Resource) -> String,
    ) -> Result<Vec<Work>> {
        if let Some(alone) = self.args.iter().find(|a| !a.contains('/')) {
            let _ = alone;
            return Err(Error::text(
                "there is no need to specify a resource type as a separate argument when passing arguments in resource/name form (e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource resource/<resource_name>'",
            ));
        }
        if !self.selector.is_empty() || !self.field_selector.is_empty() || self.select_all {
            return Err(Error::text(
                "selectors and the all flag cannot be used when passing resource/name arguments",
            ));
        }
        let mut works = Vec::new();
        for arg in &self.args {
            let parts: Vec<&str> = arg.split('/').collect();
            let [word, name] = parts[..] else {
                return Err(Error::text("arguments in resource/name form may not have more than one slash"));
            };
            if word.is_empty() || name.is_empty() {
                return Err(Error::text(
                    "arguments in resource/name form must have a single resource and name",
                ));
            }
            let resources = types(session, word)?;
            let [resource] = &resources[..] else {
                return Err(Error::text(
                    "arguments in resource/name form must have a single resource and name",
                ));
            };
            works.push(self.named(resource, namespace, name)?);
        }
        Ok(works)
    }

    fn works_of_files(&self, session: &Session) -> Result<Vec<Work>> {
        let mut works = Vec::new();
        let mut failures = Vec::new();
        let selector = apimachinery::selector::Selector::parse(&self.selector).map_err(Error::text)?;
        for manifest in self.manifests()? {
            let made = match self.only_local {
                true => Ok(local_target(manifest)),
                false => file_target(session, manifest),
            };
            match made {
                Ok(target) => {
                    if !self.selector.is_empty() && !selector.matches(&labels(&target.object)) {
                        continue;
                    }
                    works.push(Work::Named {
                        resource: target.resource,
                        namespace: target.namespace,
                        name: target.name,
                        source: target.source,
                        object: target.object,
                    });
                }
                Err(e) => failures.push(e),
            }
        }
        match failures.len() {
            0 => Ok(works),
            1 => Err(failures.remove(0)),
            _ => Err(Error::Many(failures)),
        }
    }

    /// Every object, read from the server where it is not from a file (or the query wants the latest). What fails is told
    /// beside what works.
    pub fn targets(&self, session: &Session) -> Result<(Vec<Target>, Vec<Error>)> {
        let (mut found, mut failed) = (Vec::new(), Vec::new());
        for work in self.works(session)? {
            match self.fetch(session, work) {
                Ok(targets) => found.extend(targets),
                Err(e) => failed.push(e),
            }
        }
        Ok((found, failed))
    }

    /// As [`Query::targets`], for commands that stop at the first failure.
    pub fn all(&self, session: &Session) -> Result<Vec<Target>> {
        let (found, mut failed) = self.targets(session)?;
        match failed.len() {
            0 => Ok(found),
            1 => Err(failed.remove(0)),
            _ => Err(Error::Many(failed)),
        }
    }

    /// The objects of one piece of work.
    pub fn listed(&self, session: &Session, work: &Work) -> Result<Vec<Target>> {
        self.fetch(session, work.clone())
    }

    fn fetch(&self, session: &Session, work: Work) -> Result<Vec<Target>> {
        match work {
            Work::Named { resource, namespace, name, source, object } => {
                let mut target = Target { resource, namespace, name, source, object };
                if target.object.is_null() || (self.latest && !self.only_local) {
                    let mut path = target.path();
                    if !self.subresource.is_empty() {
                        path.push_str(&format!("/{}", self.subresource));
                    }
                    target.object = session.get(&path)?;
                }
                Ok(vec![target])
            }
            Work::Listed { resource, namespace } => {
                let mut found = Vec::new();
                self.pages(session, &resource, &namespace, crate::session::JSON, &mut |list| {
                    let api_version = resource.api_version();
                    for mut item in list["items"].as_array_mut().map(std::mem::take).unwrap_or_default() {
                        complete(&mut item, &api_version, &resource.kind);
                        found.push(Target::of(resource.clone(), item));
                    }
                    Ok(())
                })?;
                Ok(found)
            }
        }
    }

    /// Says what was looked for, as stock does.
    pub fn listing(&self, resource: &Resource, error: Error) -> Error {
        match error {
            Error::Status(mut status) if matches!(status.reason.as_str(), "BadRequest" | "NotFound") => {
                let subject = match resource.group.as_str() {
                    "" => format!("/{}, Resource={}", resource.version, resource.name),
                    group => format!("{group}/{}, Resource={}", resource.version, resource.name),
                };
                status.message = match (self.selector.as_str(), self.field_selector.as_str()) {
                    ("", "") => format!("Unable to list \"{subject}\": {}", status.message),
                    (labels, fields) => format!(
                        "Unable to find \"{subject}\" that match label selector {}, field selector {}: {}",
                        crate::text::quote(labels),
                        crate::text::quote(fields),
                        status.message
                    ),
                };
                Error::Status(status)
            }
            other => other,
        }
    }

    /// Reads a list page by page, so that no more than one page is in memory at a time.
    pub fn pages(
        &self,
        session: &Session,
        resource: &Resource,
        namespace: &str,
        accept: &'static str,
        each: &mut dyn FnMut(&mut Value) -> Result<()>,
    ) -> Result<()> {
        let mut token = String::new();
        let limit = if self.chunk > 0 { self.chunk.to_string() } else { String::new() };
        loop {
            let path = resource.path(namespace, "")
                + &query(&[
                    ("continue", &token),
                    ("fieldSelector", &self.field_selector),
                    ("labelSelector", &self.selector),
                    ("limit", &limit),
                ]);
            let mut list = session
                .value(&Request { accept, ..Request::get(path) })
                .map_err(|e| self.listing(resource, e))?;
            let next = list["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
            each(&mut list)?;
            if next.is_empty() {
                return Ok(());
            }
            token = next;
        }
    }
}

/// Items of lists come without kind and version.
pub fn complete(item: &mut Value, api_version: &str, kind: &str) {
    if item["kind"].is_null() {
        item["kind"] = Value::String(kind.to_owned());
        item["apiVersion"] = Value::String(api_version.to_owned());
    }
}

/// The kinds that a word with commas names; categories stand for their members.
pub fn types(session: &Session, words: &str) -> Result<Vec<Rc<Resource>>> {
    let discovery = session.discovery()?;
    let mut found = Vec::new();
    for word in words.split(',') {
        if word.is_empty() {
            return Err(Error::text("arguments in resource/name form must have a single resource and name"));
        }
        let members = discovery.category(word);
        if members.is_empty() {
            found.push(discovery.find(session, word)?);
        } else {
            found.extend(members);
        }
    }
    Ok(found)
}

/// An object of a file as it stands there. No server is asked about its kind.
fn local_target(manifest: manifest::Manifest) -> Target {
    let manifest::Manifest { source, object } = manifest;
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let api_version = text(&object["apiVersion"]);
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    let kind = text(&object["kind"]);
    let resource = Resource {
        group: group.to_owned(),
        version: version.to_owned(),
        name: format!("{}s", kind.to_lowercase()),
        namespaced: true,
        kind,
        ..Resource::default()
    };
    let (name, namespace) = (text(&object["metadata"]["name"]), text(&object["metadata"]["namespace"]));
    Target { resource: Rc::new(resource), namespace, name, source, object }
}

/// An object of a file, with its kind looked up and its namespace settled.
pub fn file_target(session: &Session, manifest: manifest::Manifest) -> Result<Target> {
    file_target_of(session, manifest, None)
}

fn file_target_of(
    session: &Session,
    manifest: manifest::Manifest,
    known: Option<Rc<Resource>>,
) -> Result<Target> {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let manifest::Manifest { source, mut object } = manifest;
    let (api_version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
    let looked_up = || {
        session.discovery()?.of_kind(session, &api_version, &kind).map_err(|e| match e {
        Error::Text(why) => {
            let name = text(&object["metadata"]["name"]);
            let namespace = text(&object["metadata"]["namespace"]);
            Error::text(format!(
                "resource mapping not found for name: \"{name}\" namespace: \"{namespace}\" from \"{source}\": {why}"
            ))
        }
        other => other,
    })
    };
    let resource = match known {
        Some(resource) => resource,
        None => looked_up()?,
    };
    let (default, given) = session.namespace()?;
    let mut namespace = String::new();
    if resource.namespaced {
        namespace = text(&object["metadata"]["namespace"]);
        if namespace.is_empty() {
            namespace = default;
            if object["metadata"].is_null() {
                object["metadata"] = serde_json::json!({});
            }
            if object["metadata"].is_object() {
                object["metadata"]["namespace"] = Value::String(namespace.clone());
            }
        } else if given && namespace != default {
            return Err(Error::text(format!(
                "the namespace from the provided object \"{namespace}\" does not match the namespace \"{default}\". You must pass '--namespace={namespace}' to perform this operation."
            )));
        }
    }
    let name = text(&object["metadata"]["name"]);
    Ok(Target { resource, namespace, name, source, object })
}

/// An object's labels as the selectors' code takes them.
pub fn labels(object: &Value) -> std::collections::BTreeMap<String, String> {
    let map = object["metadata"]["labels"].as_object();
    map.into_iter().flatten().map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned())).collect()
}
