//! `--applyset`: what an apply manages is told by labels, and by annotations of one parent object. Start at [`ApplySet::of`].
//!
//! Contract: <https://github.com/kubernetes/enhancements/tree/master/keps/sig-cli/3659-kubectl-apply-prune>

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::change::{Change, DryRun};
use crate::discovery::Resource;
use crate::error::{Error, Result};
use crate::session::Session;
use crate::targets::{Query, Target, Work};
use crate::verbs::delete::{Options, propagation, uid};

const ID: &str = "applyset.kubernetes.io/id";
const PART_OF: &str = "applyset.kubernetes.io/part-of";
const TOOLING: &str = "applyset.kubernetes.io/tooling";
const KINDS: &str = "applyset.kubernetes.io/contains-group-kinds";
const NAMESPACES: &str = "applyset.kubernetes.io/additional-namespaces";
const PARENT_KIND: &str = "applyset.kubernetes.io/is-parent-type";
const TOOL: &str = "kubectl/v1.37.1";

/// Whether the flag is there at all: the feature is alpha.
pub fn is_on() -> bool {
    std::env::var("KUBECTL_APPLYSET").is_ok_and(|v| v == "true")
}

/// The parent, and what it knew to be in the set.
pub struct ApplySet {
    parent: Target,
    id: String,
    before: Scope,
    after: Scope,
}

/// Kinds (`Kind.group`) and namespaces.
#[derive(Clone, Debug, Default)]
struct Scope {
    kinds: BTreeSet<String>,
    namespaces: BTreeSet<String>,
}

impl Scope {
    fn of(annotations: &Value) -> Self {
        let list = |key: &str| -> BTreeSet<String> {
            let text = annotations[key].as_str().unwrap_or_default();
            text.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect()
        };
        Scope { kinds: list(KINDS), namespaces: list(NAMESPACES) }
    }

    fn with(&self, other: &Scope) -> Scope {
        Scope {
            kinds: self.kinds.union(&other.kinds).cloned().collect(),
            namespaces: self.namespaces.union(&other.namespaces).cloned().collect(),
        }
    }
}

fn kind_of(resource: &Resource) -> String {
    match resource.group.as_str() {
        "" => resource.kind.clone(),
        group => format!("{}.{group}", resource.kind),
    }
}

/// What no command line with `--applyset` may say.
pub fn check(session: &Session) -> Result<()> {
    let call = &session.call;
    let bad = |text: &str| Err(Error::text(text));
    if !call.is("prune") {
        return bad("--applyset requires --prune");
    }
    if !call.text("selector").is_empty() {
        return bad("--selector is incompatible with --applyset");
    }
    if !call.list("prune-allowlist").is_empty() {
        return bad("--prune-allowlist is incompatible with --applyset");
    }
    if call.is("all") {
        return bad("--all is incompatible with --applyset");
    }
    Ok(())
}

impl ApplySet {
    /// The set that the flag names, as the server knows it.
    pub fn of(session: &Session) -> Result<Self> {
        let word = session.call.text("applyset");
        let (kind, name) = word.split_once('/').unwrap_or(("secrets", word));
        if kind.is_empty() || name.is_empty() || name.contains('/') {
            return Err(Error::text(format!(
                "invalid parent reference \"{word}\": resource/name or name is expected"
            )));
        }
        let resource = session
            .discovery()?
            .find(session, kind)
            .map_err(|e| Error::text(format!("invalid parent reference \"{word}\": {e}")))?;
        let usual = resource.is("", "Secret") || resource.is("", "ConfigMap");
        if !(usual || is_parent(session, &resource)?) {
            return Err(Error::text(format!(
                "[namespace is required to use namespace-scoped ApplySet, resource \"{}\" is not permitted as an ApplySet parent]",
                resource.group_resource()
            )));
        }
        let (mut namespace, given) = session.namespace()?;
        if resource.namespaced && !given {
            return Err(Error::text("namespace is required to use namespace-scoped ApplySet"));
        }
        if !resource.namespaced {
            namespace = String::new();
        }
        let seed = format!("{name}.{namespace}.{}.{}", resource.kind, resource.group);
        let id = format!("applyset-{}-v1", URL_SAFE_NO_PAD.encode(Sha256::digest(seed.as_bytes())));
        let mut parent =
            Target { resource, namespace, name: name.to_owned(), source: String::new(), object: Value::Null };
        let before = match session.get(&parent.path()) {
            Ok(object) => {
                parent.object = object;
                known(&parent, &id)?
            }
            Err(e) if e.is_not_found() => Scope::default(),
            Err(e) => return Err(e),
        };
        Ok(ApplySet { parent, id, before, after: Scope::default() })
    }

    /// Marks an object as one of the set.
    pub fn take(&mut self, object: &mut Value, resource: &Resource, namespace: &str) {
        if let Some(meta) = object["metadata"].as_object_mut() {
            let labels = meta.entry("labels").or_insert_with(|| json!({}));
            if labels.is_null() {
                *labels = json!({});
            }
            labels[PART_OF] = json!(self.id);
        }
        self.after.kinds.insert(kind_of(resource));
        if !namespace.is_empty() && namespace != self.parent.namespace {
            self.after.namespaces.insert(namespace.to_owned());
        }
    }

    /// Before anything is applied: the parent knows of what was and of what will be.
    pub fn before(&self, change: &Change<'_>) -> Result<()> {
        self.tell(change, &self.before.with(&self.after))
    }

    /// After everything that is in the set no more is gone.
    pub fn after(&self, change: &Change<'_>) -> Result<()> {
        self.tell(change, &self.after)
    }

    fn tell(&self, change: &Change<'_>, scope: &Scope) -> Result<()> {
        if change.dry_run == DryRun::Client {
            return Ok(());
        }
        let join = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(",");
        let mut metadata = json!({
            "name": self.parent.name,
            "labels": { ID: self.id },
            "annotations": { TOOLING: TOOL, KINDS: join(&scope.kinds), NAMESPACES: join(&scope.namespaces) },
        });
        if !self.parent.namespace.is_empty() {
            metadata["namespace"] = json!(self.parent.namespace);
        }
        let r = &self.parent.resource;
        let object = json!({ "apiVersion": r.api_version(), "kind": r.kind, "metadata": metadata });
        change.apply_as("kubectl-applyset", &self.parent.path(), &object, false)?;
        Ok(())
    }

    /// Takes away members that were not applied now.
    pub fn prune(&self, session: &Session, change: &Change<'_>, seen: &[Target]) -> Result<()> {
        let scope = self.before.with(&self.after);
        let kept: BTreeSet<&str> = seen.iter().map(|t| uid(&t.object)).collect();
        let options = Options {
            dry_run: change.dry_run,
            grace: session.call.int("grace-period"),
            force: false,
            wait: false,
            timeout: Duration::ZERO,
            propagation: propagation(session.call.text("cascade"))?,
            name_only: false,
            ignore_missing: true,
            quiet: true,
        };
        let query = Query { selector: format!("{PART_OF}={}", self.id), chunk: 500, ..Query::default() };
        let suffix = match change.dry_run {
            DryRun::None => "",
            DryRun::Client => " (dry run)",
            DryRun::Server => " (server dry run)",
        };
        for resource in kinds(session, &scope)? {
            let mut places: BTreeSet<String> = scope.namespaces.clone();
            places.insert(self.parent.namespace.clone());
            if !resource.namespaced {
                places = BTreeSet::from([String::new()]);
            }
            for namespace in places {
                let work = Work::Listed { resource: resource.clone(), namespace };
                for target in query.listed(session, &work)? {
                    if kept.contains(uid(&target.object)) {
                        continue;
                    }
                    let one = std::slice::from_ref(&target);
                    crate::verbs::create::outcome(crate::verbs::delete::all(session, one, &options)?)?;
                    session.println(&format!("{} pruned{suffix}", target.shown()))?;
                }
            }
        }
        Ok(())
    }
}

/// The resources of the kinds that the parent names.
fn kinds(session: &Session, scope: &Scope) -> Result<Vec<Rc<Resource>>> {
    let discovery = session.discovery()?;
    let find = |name: &String| {
        let all = discovery.all();
        all.into_iter().find(|r| kind_of(r) == *name).ok_or_else(|| {
            Error::text(format!(
                "parsing ApplySet annotation on \"{KINDS}\": could not find mapping for kind in \"{KINDS}\" annotation: no matches for kind \"{name}\""
            ))
        })
    };
    scope.kinds.iter().map(find).collect()
}

/// Whether a custom resource may be a parent: its definition says so.
fn is_parent(session: &Session, resource: &Resource) -> Result<bool> {
    let path = format!(
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{}.{}",
        resource.name, resource.group
    );
    match session.get(&path) {
        Ok(definition) => Ok(definition["metadata"]["labels"][PARENT_KIND] == "true"),
        Err(e) if e.is_not_found() => Ok(false),
        Err(e) => Err(e),
    }
}

/// What a parent that is there says, if it is this set's, and ours to change.
fn known(parent: &Target, id: &str) -> Result<Scope> {
    let meta = &parent.object["metadata"];
    let shown =
        format!("{}.{}/{}", parent.resource.name, parent.resource.group, parent.name).replace("./", "/");
    let bad = |text: String| Err(Error::text(format!("ApplySet parent object \"{shown}\" {text}")));
    let annotations = &meta["annotations"];
    match annotations[TOOLING].as_str() {
        None => return bad(format!("already exists and is missing required annotation \"{TOOLING}\"")),
        Some(tool) if tool.split('/').next() != Some("kubectl") => {
            return bad(format!(
                "already exists and is managed by tooling \"{}\" instead of \"kubectl\"",
                tool.split('/').next().unwrap_or_default()
            ));
        }
        Some(_) => {}
    }
    match meta["labels"][ID].as_str() {
        None => bad(format!("exists and does not have required label {ID}")),
        Some(other) if other != id => {
            bad(format!("has incorrect value \"{other}\" for label \"{ID}\" (computed: \"{id}\")"))
        }
        Some(_) => Ok(Scope::of(annotations)),
    }
}
