//! Which objects a watcher wants, and under what its events are filed so that others do not cost it anything.

use std::fmt;
use std::sync::Arc;

use apimachinery::ObjectKey;

use crate::object::Object;

/// Any test of an object, for label selectors and the rest of field selectors.
pub type Predicate = Arc<dyn Fn(&Object) -> bool + Send + Sync>;

/// Which objects; all parts must hold. The default is all objects.
#[derive(Clone, Default)]
pub struct Filter {
    pub namespace: Option<Arc<str>>,
    pub name: Option<Arc<str>>,
    /// An index and the value that the object has in it (see [`Object::index_values`]).
    pub index: Option<(&'static str, Arc<str>)>,
    /// Labels that the object has, with these values.
    pub labels: Vec<(Arc<str>, Arc<str>)>,
    pub predicate: Option<Predicate>,
}

impl Filter {
    pub fn all() -> Self {
        Self::default()
    }

    /// Empty: all namespaces.
    pub fn namespace(namespace: &str) -> Self {
        Filter { namespace: (!namespace.is_empty()).then(|| namespace.into()), ..Self::default() }
    }

    pub fn matches(&self, object: &Object) -> bool {
        self.namespace.as_ref().is_none_or(|n| *n == object.key.namespace)
            && self.name.as_ref().is_none_or(|n| *n == object.key.name)
            && self.index.as_ref().is_none_or(|(index, value)| object.index_values(index).any(|v| v == value))
            && self.labels.iter().all(|(key, value)| object.meta.label(key) == Some(value))
            && self.predicate.as_ref().is_none_or(|p| p(object))
    }

    /// The narrowest lane that holds all events this filter can pass, in a cache that keeps `indexes`.
    pub(crate) fn interest(&self, indexes: &[&'static str]) -> Interest {
        match self {
            Filter { namespace: Some(ns), name: Some(name), .. } => {
                Interest::Key(ObjectKey { namespace: ns.clone(), name: name.clone() })
            }
            Filter { name: Some(name), .. } => Interest::Name(name.clone()),
            Filter { index: Some((index, value)), .. } if indexes.contains(index) => {
                Interest::Index(index, value.clone())
            }
            Filter { namespace: Some(ns), .. } => Interest::Namespace(ns.clone()),
            _ => Interest::All,
        }
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter")
            .field("namespace", &self.namespace)
            .field("name", &self.name)
            .field("index", &self.index)
            .field("labels", &self.labels)
            .field("predicate", &self.predicate.is_some())
            .finish()
    }
}

/// What the events of a lane have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Interest {
    All,
    Namespace(Arc<str>),
    Name(Arc<str>),
    Key(ObjectKey),
    Index(&'static str, Arc<str>),
}

impl Interest {
    /// Whether events of `object` belong here.
    pub fn covers(&self, object: &Object) -> bool {
        match self {
            Interest::All => true,
            Interest::Namespace(ns) => *ns == object.key.namespace,
            Interest::Name(name) => *name == object.key.name,
            Interest::Key(key) => *key == object.key,
            Interest::Index(index, value) => object.index_values(index).any(|v| v == value),
        }
    }
}
