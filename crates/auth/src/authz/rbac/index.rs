//! Roles by name and bindings by subject: a request looks at its user's own bindings, never at all of them.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use apimachinery::ObjectKey;
use client::informer::decode;
use client::transport::Change;
use k8s_openapi::api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};

use super::rules;
use crate::authn::{UserInfo, claims};
use crate::authz::Attributes;

/// All roles and bindings.
#[derive(Default)]
pub struct Index {
    /// Cluster roles have an empty namespace.
    roles: HashMap<ObjectKey, Arc<[PolicyRule]>>,
    /// By namespace; cluster role bindings under the empty one.
    bindings: HashMap<Arc<str>, Bindings>,
}

/// The bindings of one namespace.
#[derive(Default)]
struct Bindings {
    by_name: HashMap<Arc<str>, Arc<Binding>>,
    /// In the order of their names, so that answers are always the same.
    users: HashMap<String, BTreeMap<Arc<str>, Arc<Binding>>>,
    groups: HashMap<String, BTreeMap<Arc<str>, Arc<Binding>>>,
}

#[derive(Debug)]
struct Binding {
    key: ObjectKey,
    role: RoleRef,
    subjects: Vec<Subject>,
}

/// A binding that gives a user a right, as reasons name it.
pub struct Grant<'a> {
    binding: &'a Binding,
    subject: &'a Subject,
}

impl fmt::Display for Grant<'_> {
    /// `ClusterRoleBinding "b" of ClusterRole "r" to User "u"`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Binding { key, role, .. } = self.binding;
        match &*key.namespace {
            "" => write!(f, "ClusterRoleBinding {:?}", key.name)?,
            namespace => write!(f, "RoleBinding {:?}", format!("{}/{namespace}", key.name))?,
        }
        let subject = match &self.subject.namespace {
            Some(namespace) if self.subject.kind == "ServiceAccount" => {
                format!("{}/{namespace}", self.subject.name)
            }
            _ => self.subject.name.clone(),
        };
        write!(f, " of {} {:?} to {} {subject:?}", role.kind, role.name, self.subject.kind)
    }
}

impl Index {
    pub fn cluster_role_changed(&mut self, change: &Change) {
        self.role_set(change, |o| decode::<ClusterRole>(o).map(|role| role.rules.unwrap_or_default()));
    }

    pub fn role_changed(&mut self, change: &Change) {
        self.role_set(change, |o| decode::<Role>(o).map(|role| role.rules.unwrap_or_default()));
    }

    pub fn cluster_role_binding_changed(&mut self, change: &Change) {
        self.binding_set(change, |o| {
            decode::<ClusterRoleBinding>(o).map(|b| (b.role_ref, b.subjects.unwrap_or_default()))
        });
    }

    pub fn role_binding_changed(&mut self, change: &Change) {
        self.binding_set(change, |o| {
            decode::<RoleBinding>(o).map(|b| (b.role_ref, b.subjects.unwrap_or_default()))
        });
    }

    fn role_set(&mut self, change: &Change, read: impl Fn(&cache::Object) -> Option<Vec<PolicyRule>>) {
        match (&change.new, &change.old) {
            // One that cannot be read gives no rights.
            (Some(new), _) => match read(new) {
                Some(rules) => drop(self.roles.insert(new.key.clone(), rules.into())),
                None => drop(self.roles.remove(&new.key)),
            },
            (None, Some(old)) => drop(self.roles.remove(&old.key)),
            (None, None) => {}
        }
    }

    fn binding_set(
        &mut self,
        change: &Change,
        read: impl Fn(&cache::Object) -> Option<(RoleRef, Vec<Subject>)>,
    ) {
        let Some(object) = change.new.as_ref().or(change.old.as_ref()) else { return };
        let bindings = self.bindings.entry(object.key.namespace.clone()).or_default();
        bindings.remove(&object.key.name);
        if let Some((role, subjects)) = change.new.as_deref().and_then(read) {
            bindings.insert(Binding { key: object.key.clone(), role, subjects });
        } else if bindings.by_name.is_empty() {
            self.bindings.remove(&object.key.namespace);
        }
    }

    /// The first binding that allows the request, or why some could not be judged.
    pub fn allowing(&self, attributes: &Attributes) -> Result<Grant<'_>, Vec<String>> {
        let namespace = if attributes.is_resource() { attributes.namespace.as_str() } else { "" };
        let mut errors = Vec::new();
        for binding in self.bindings_of(&attributes.user, namespace) {
            match self.rules(binding) {
                Ok(rules) if rules::allow(attributes, rules) => {
                    let subject = binding.subject(&attributes.user);
                    return subject.map(|subject| Grant { binding, subject }).ok_or(errors);
                }
                Ok(_) => {}
                Err(e) => errors.push(e),
            }
        }
        Err(errors)
    }

    /// Every rule that applies to the user in `namespace`.
    pub fn rules_for(&self, user: &UserInfo, namespace: &str) -> (Vec<PolicyRule>, Vec<String>) {
        let (mut found, mut errors) = (Vec::new(), Vec::new());
        for binding in self.bindings_of(user, namespace) {
            match self.rules(binding) {
                Ok(rules) => found.extend_from_slice(rules),
                Err(e) => errors.push(e),
            }
        }
        (found, errors)
    }

    /// The rules of the role that a reference of `kind` and `name` means within `namespace`.
    pub fn role(&self, kind: &str, namespace: &str, name: &str) -> Result<&[PolicyRule], String> {
        let (key, resource) = match kind {
            "ClusterRole" => (ObjectKey::cluster(name), "clusterrole"),
            "Role" => (ObjectKey::new(namespace, name), "role"),
            other => return Err(format!("unsupported role reference kind: {other:?}")),
        };
        match self.roles.get(&key) {
            Some(rules) => Ok(rules),
            None => Err(format!("{resource}.rbac.authorization.k8s.io {name:?} not found")),
        }
    }

    fn rules(&self, binding: &Binding) -> Result<&[PolicyRule], String> {
        self.role(&binding.role.kind, &binding.key.namespace, &binding.role.name)
    }

    /// The cluster's bindings first, then the namespace's.
    fn bindings_of<'a, 'u>(
        &'a self,
        user: &'u UserInfo,
        namespace: &'u str,
    ) -> impl Iterator<Item = &'a Binding> + use<'a, 'u> {
        let places = [Some(""), Some(namespace).filter(|n| !n.is_empty())];
        places.into_iter().flatten().filter_map(|place| self.bindings.get(place)).flat_map(|bindings| {
            let groups = user.groups.iter().filter_map(|g| bindings.groups.get(g));
            bindings
                .users
                .get(&user.name)
                .into_iter()
                .chain(groups)
                .flat_map(|found| found.values().map(|b| &**b))
        })
    }
}

/// The user or the group that a subject stands for.
enum Who {
    User(String),
    Group(String),
}

fn who(subject: &Subject, binding_namespace: &str) -> Option<Who> {
    match subject.kind.as_str() {
        "User" => Some(Who::User(subject.name.clone())),
        "Group" => Some(Who::Group(subject.name.clone())),
        "ServiceAccount" => {
            // Without one, it is of the binding's own namespace.
            let namespace =
                subject.namespace.as_deref().filter(|n| !n.is_empty()).unwrap_or(binding_namespace);
            (!namespace.is_empty()).then(|| Who::User(claims::username(namespace, &subject.name)))
        }
        _ => None,
    }
}

impl Binding {
    /// The subject that means this user.
    fn subject(&self, user: &UserInfo) -> Option<&Subject> {
        self.subjects.iter().find(|s| match who(s, &self.key.namespace) {
            Some(Who::User(name)) => name == user.name,
            Some(Who::Group(name)) => user.in_group(&name),
            None => false,
        })
    }
}

impl Bindings {
    fn insert(&mut self, binding: Binding) {
        let binding = Arc::new(binding);
        let name = binding.key.name.clone();
        for subject in &binding.subjects {
            let place = match who(subject, &binding.key.namespace) {
                Some(Who::User(user)) => self.users.entry(user).or_default(),
                Some(Who::Group(group)) => self.groups.entry(group).or_default(),
                None => continue,
            };
            place.insert(name.clone(), binding.clone());
        }
        self.by_name.insert(name, binding);
    }

    fn remove(&mut self, name: &str) {
        let Some(binding) = self.by_name.remove(name) else { return };
        for subject in &binding.subjects {
            match who(subject, &binding.key.namespace) {
                Some(Who::User(user)) => unlist(&mut self.users, &user, name),
                Some(Who::Group(group)) => unlist(&mut self.groups, &group, name),
                None => {}
            }
        }
    }
}

fn unlist(map: &mut HashMap<String, BTreeMap<Arc<str>, Arc<Binding>>>, subject: &str, name: &str) {
    if let Some(list) = map.get_mut(subject) {
        list.remove(name);
        if list.is_empty() {
            map.remove(subject);
        }
    }
}
