//! Resources on their way through a build: the object, and what it was called before. Start at [`Set`].

use std::fmt;

use serde_json::{Map, Value, json};

use super::Res;

/// Which kind; empty parts say nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gvk {
    pub group: String,
    pub version: String,
    pub kind: String,
}

/// Kinds of the cluster itself, by group.
const CLUSTER_SCOPED: &[(&str, &str)] = &[
    ("", "ComponentStatus Namespace Node PersistentVolume"),
    (
        "admissionregistration.k8s.io",
        "MutatingWebhookConfiguration ValidatingWebhookConfiguration ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding",
    ),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("apiregistration.k8s.io", "APIService"),
    ("authentication.k8s.io", "TokenReview SelfSubjectReview"),
    ("authorization.k8s.io", "SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview"),
    ("certificates.k8s.io", "CertificateSigningRequest"),
    ("flowcontrol.apiserver.k8s.io", "FlowSchema PriorityLevelConfiguration"),
    ("networking.k8s.io", "IngressClass"),
    ("node.k8s.io", "RuntimeClass"),
    ("policy", "PodSecurityPolicy"),
    ("rbac.authorization.k8s.io", "ClusterRole ClusterRoleBinding"),
    ("scheduling.k8s.io", "PriorityClass"),
    ("storage.k8s.io", "CSIDriver CSINode StorageClass VolumeAttachment"),
];

impl Gvk {
    pub fn of(value: &Value) -> Self {
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        Gvk::parse(&text("apiVersion"), &text("kind"))
    }

    pub fn parse(api_version: &str, kind: &str) -> Self {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Gvk { group: group.into(), version: version.into(), kind: kind.into() }
    }

    /// Whether the selector, where it says something, says this.
    pub fn is_selected(&self, by: &Gvk) -> bool {
        let fits = |want: &str, have: &str| want.is_empty() || want == have;
        fits(&by.group, &self.group) && fits(&by.version, &self.version) && fits(&by.kind, &self.kind)
    }

    pub fn is_cluster_scoped(&self) -> bool {
        CLUSTER_SCOPED
            .iter()
            .any(|(group, kinds)| *group == self.group && kinds.split(' ').any(|k| k == self.kind))
    }
}

impl fmt::Display for Gvk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or =
            |text: &str, none: &'static str| if text.is_empty() { none.to_owned() } else { text.to_owned() };
        let kind = or(&self.kind, "[noKind]");
        write!(f, "{kind}.{}.{}", or(&self.version, "[noVer]"), or(&self.group, "[noGrp]"))
    }
}

/// What a resource is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Id {
    pub gvk: Gvk,
    pub name: String,
    pub namespace: String,
}

impl Id {
    pub fn effective_namespace(&self) -> &str {
        match self.namespace.as_str() {
            _ if self.gvk.is_cluster_scoped() => "_non_namespaceable_",
            "" => "default",
            other => other,
        }
    }

    pub fn same_namespace(&self, other: &Id) -> bool {
        self.effective_namespace() == other.effective_namespace()
    }

    pub fn same(&self, other: &Id) -> bool {
        self.gvk == other.gvk && self.name == other.name && self.same_namespace(other)
    }

    /// As Go shows the struct with `%#v`.
    pub fn go(&self) -> String {
        format!(
            "resid.ResId{{Gvk:resid.Gvk{{Group:{:?}, Version:{:?}, Kind:{:?}, isClusterScoped:{}}}, Name:{:?}, Namespace:{:?}}}",
            self.gvk.group,
            self.gvk.version,
            self.gvk.kind,
            self.gvk.is_cluster_scoped(),
            self.name,
            self.namespace
        )
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.name.is_empty() { "[noName]" } else { &self.name };
        let namespace = if self.namespace.is_empty() { "[noNs]" } else { &self.namespace };
        write!(f, "{}/{name}.{namespace}", self.gvk)
    }
}

/// What a generated resource does to one of its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behavior {
    #[default]
    Create,
    Merge,
    Replace,
}

/// An object, and its story.
#[derive(Clone, Debug, Default)]
pub struct Resource {
    pub value: Value,
    /// What it was called before, oldest first.
    pub previous: Vec<Id>,
    pub prefixes: Vec<String>,
    pub suffixes: Vec<String>,
    pub behavior: Behavior,
    /// The name ends in a hash of the contents.
    pub hashed: bool,
    /// Variables that are read from it.
    pub variables: Vec<String>,
    /// Where it comes from, and what changed it, for the annotations that may tell.
    pub origin: Option<Value>,
    pub changed_by: Vec<Value>,
}

impl Resource {
    pub fn new(value: Value) -> Self {
        Resource { value, ..Resource::default() }
    }

    fn meta(&self, key: &str) -> &str {
        self.value["metadata"][key].as_str().unwrap_or_default()
    }

    pub fn name(&self) -> &str {
        self.meta("name")
    }

    pub fn namespace(&self) -> &str {
        self.meta("namespace")
    }

    pub fn kind(&self) -> &str {
        self.value["kind"].as_str().unwrap_or_default()
    }

    pub fn gvk(&self) -> Gvk {
        Gvk::of(&self.value)
    }

    /// What it is called now.
    pub fn id(&self) -> Id {
        Id { gvk: self.gvk(), name: self.name().into(), namespace: self.namespace().into() }
    }

    /// What it was called first.
    pub fn original(&self) -> Id {
        self.previous.first().cloned().unwrap_or_else(|| self.id())
    }

    /// Whether it is, or ever was, called so.
    pub fn was(&self, is: impl Fn(&Id) -> bool) -> bool {
        is(&self.id()) || self.previous.iter().any(is)
    }

    /// Before a name, a namespace or a kind changes.
    pub fn remember(&mut self) {
        let id = self.id();
        self.previous.push(id);
    }

    pub fn set_name(&mut self, name: &str) {
        if let Some(meta) = object(&mut self.value, "metadata") {
            meta.insert("name".into(), name.into());
        }
    }

    /// Labels or annotations: those that are not there yet.
    fn inherit(&mut self, which: &str, from: &Value) {
        let Value::Object(old) = &from["metadata"][which] else { return };
        let Some(map) = object(&mut self.value, "metadata").and_then(|m| map_in(m, which)) else { return };
        for (key, value) in old {
            map.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }

    /// What stays of the resource that this one merges with or replaces.
    pub fn inherit_metadata(&mut self, from: &Resource) {
        self.inherit("labels", &from.value);
        self.inherit("annotations", &from.value);
        if let Some(meta) = object(&mut self.value, "metadata") {
            meta.insert("name".into(), from.name().into());
            if !from.namespace().is_empty() {
                meta.insert("namespace".into(), from.namespace().into());
            }
        }
        self.previous.clone_from(&from.previous);
        self.prefixes.clone_from(&from.prefixes);
        self.suffixes.clone_from(&from.suffixes);
        self.variables.clone_from(&from.variables);
        self.hashed |= from.hashed;
    }

    /// Data of the other that this one does not have.
    pub fn inherit_data(&mut self, from: &Resource) {
        for which in ["data", "binaryData"] {
            let Value::Object(old) = &from.value[which] else { continue };
            if let Some(map) = self.value.as_object_mut().and_then(|m| map_in(m, which)) {
                for (key, value) in old {
                    map.entry(key.clone()).or_insert_with(|| value.clone());
                }
            }
        }
    }

    /// The object as YAML.
    pub fn yaml(&self) -> String {
        codec::yaml::from_value(&self.value)
    }
}

/// The object in a field, made where it is not there.
pub fn object<'v>(value: &'v mut Value, key: &str) -> Option<&'v mut Map<String, Value>> {
    value.as_object_mut().and_then(|map| map_in(map, key))
}

fn map_in<'v>(map: &'v mut Map<String, Value>, key: &str) -> Option<&'v mut Map<String, Value>> {
    let inner = map.entry(key.to_owned()).or_insert_with(|| json!({}));
    if inner.is_null() {
        *inner = json!({});
    }
    inner.as_object_mut()
}

/// Resources in their order; no two of one name.
#[derive(Clone, Debug, Default)]
pub struct Set(pub Vec<Resource>);

impl Set {
    pub fn append(&mut self, resource: Resource) -> Res<()> {
        let id = resource.id();
        if self.0.iter().any(|r| r.id().same(&id)) {
            return Err(format!("may not add resource with an already registered id: {id}"));
        }
        self.0.push(resource);
        Ok(())
    }

    pub fn append_all(&mut self, more: Set) -> Res<()> {
        more.0.into_iter().try_for_each(|r| self.append(r))
    }

    /// Generated resources are new, or change what is there.
    pub fn absorb(&mut self, mut resource: Resource) -> Res<()> {
        let id = resource.id();
        let matches: Vec<usize> = (0..self.0.len()).filter(|at| self.0[*at].was(|i| i.same(&id))).collect();
        match (matches.as_slice(), resource.behavior) {
            ([], Behavior::Create) => self.append(resource),
            ([], _) => Err(format!("id {} does not exist; cannot merge or replace", id.go())),
            ([_], Behavior::Create) => {
                Err(format!("id {} exists; behavior must be merge or replace", id.go()))
            }
            ([at], behavior) => {
                let old = &self.0[*at];
                resource.inherit_metadata(old);
                if behavior == Behavior::Merge {
                    resource.inherit_data(old);
                }
                self.0[*at] = resource;
                Ok(())
            }
            (several, _) => {
                let all: Vec<String> = several.iter().map(|at| self.0[*at].id().to_string()).collect();
                let all = all.join(" ");
                Err(format!("found multiple objects [{all}] that could accept merge of {id}"))
            }
        }
    }

    /// The one resource that a patch without a target means.
    pub fn find(&self, id: &Id) -> Res<usize> {
        let found: Vec<usize> = (0..self.0.len()).filter(|at| self.0[*at].was(|i| i.same(id))).collect();
        match found.as_slice() {
            [one] => Ok(*one),
            [] => {
                Err(format!("no matches for Id {id}; failed to find unique target for patch {}", short(id)))
            }
            _ => Err(format!(
                "multiple matches for Id {id}; failed to find unique target for patch {}",
                short(id)
            )),
        }
    }
}

/// A kind and a name.
fn short(id: &Id) -> String {
    id.to_string()
}
