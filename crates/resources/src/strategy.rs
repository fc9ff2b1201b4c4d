//! What makes one kind differ from another, as the registry needs to know it.

use std::sync::Arc;

use apimachinery::field::ErrorList;
use apimachinery::raw::Raw;
use apimachinery::{Gvk, Gvr};
use codec::kind::DecodeError;
use codec::{AnyObject, Kind};
use jiff::Timestamp;
use serde_json::Value;

use crate::gate::Gate;

/// Where the objects of a resource live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Namespaced,
    Cluster,
}

/// Which part of an object a request addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The main resource: everything but status (for kinds with a status subresource).
    Main,
    Status,
    /// `ephemeralcontainers`
    EphemeralContainers,
    /// `resize`
    Resize,
    /// `binding`, written by the registry itself.
    Binding,
    /// `finalize` of namespaces
    Finalize,
    /// `scale`, written through [`Strategy::set_scale`]
    Scale,
    /// `approval` of certificate signing requests
    Approval,
}

/// A server-side column, as in `meta/v1.TableColumnDefinition`.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub name: &'static str,
    /// `string`, `integer`, `date`, …
    pub kind: &'static str,
    /// `name` for the first, else empty
    pub format: &'static str,
    /// 0 is shown always, 1 with `-o wide`
    pub priority: i32,
    pub description: &'static str,
}

/// How long a deletion waits, decided by the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grace {
    /// Remove at once (finalizers permitting).
    Immediate,
    /// Mark, and wait so many seconds for whoever runs the object.
    Seconds(i64),
}

/// The `spec`/`status` halves of `autoscaling/v1.Scale`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScaleView {
    pub spec_replicas: i32,
    pub status_replicas: i32,
    /// Serialised label selector
    pub selector: String,
}

/// A kind's rules. Every method has the neutral default; a kind's room overrides what it has.
#[allow(unused_variables)]
pub trait Strategy: Send + Sync + 'static {
    type Kind: Kind;

    /// Fills what upstream's defaulting fills. Runs after decoding, on every write and after every patch.
    fn default(&self, object: &mut Self::Kind) {}

    /// Before a create: clear status, set `metadata.generation`, drop what clients may not set.
    fn prepare_create(&self, object: &mut Self::Kind) {}

    /// Before an update of `part`: put back from `old` whatever this part may not change, raise the generation when
    /// the desired state changed.
    fn prepare_update(&self, new: &mut Self::Kind, old: &Self::Kind, part: Part) {}

    /// What an update of `part` puts back to what it was, as dotted paths: such fields are never managed through it. Only asked
    /// for parts of kinds that have a status.
    fn reset_fields(&self, part: Part) -> &'static [&'static str] {
        match part {
            Part::Main => &["status"],
            Part::Status => &["spec"],
            _ => &[],
        }
    }

    /// All rules for a new object but those of ObjectMeta, which the registry checks itself.
    fn validate(&self, object: &Self::Kind) -> ErrorList {
        ErrorList::new()
    }

    /// All rules for a changed object (immutable fields included).
    fn validate_update(&self, new: &Self::Kind, old: &Self::Kind, part: Part) -> ErrorList {
        self.validate(new)
    }

    /// Rules for a changed object that ask what time it is; only asked when [`Strategy::validate_update`] found nothing.
    fn validate_time(&self, new: &Self::Kind, old: &Self::Kind, part: Part, now: Timestamp) -> ErrorList {
        ErrorList::new()
    }

    /// Texts for `Warning` headers.
    fn warnings(&self, object: &Self::Kind) -> Vec<String> {
        Vec::new()
    }

    /// How names of this kind are checked: DNS subdomain unless overridden.
    fn name_rule(&self) -> NameRule {
        NameRule::DnsSubdomain
    }

    /// Values for field selectors beyond `metadata.name` and `metadata.namespace`.
    fn fields(&self, object: &Self::Kind) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// As [`Strategy::fields`], read from the stored JSON: for kinds that are written often, because to decode the whole of an
    /// object for a few of its fields is most of what publishing it costs. `None`: it has to be decoded.
    fn stored_fields(&self, json: Raw<'_>) -> Option<Vec<(&'static str, String)>> {
        None
    }

    /// The names that [`Strategy::fields`] gives, also those that may be absent.
    fn field_names(&self) -> &'static [&'static str] {
        &[]
    }

    fn columns(&self) -> &'static [Column] {
        DEFAULT_COLUMNS
    }

    /// One cell for each column.
    fn row(&self, object: &Self::Kind, now: Timestamp) -> Vec<Value> {
        vec![Value::from(object.name()), Value::from(age(object.meta(), now))]
    }

    /// The row's `conditions` (`Completed` of pods), in the form of the wire.
    fn row_conditions(&self, object: &Self::Kind) -> Vec<Value> {
        Vec::new()
    }

    /// What a delete with `requested` grace seconds means.
    fn grace(&self, object: &Self::Kind, requested: Option<i64>) -> Grace {
        Grace::Immediate
    }

    /// For kinds with a scale subresource.
    fn scale(&self, object: &Self::Kind) -> Option<ScaleView> {
        None
    }

    fn set_scale(&self, object: &mut Self::Kind, replicas: i32) {}

    /// An update may name a resourceVersion of 0 or none ("last write wins").
    fn allow_unconditional_update(&self) -> bool {
        true
    }

    /// A PUT to a missing name creates.
    fn allow_create_on_update(&self) -> bool {
        false
    }
}

/// How `metadata.name` is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameRule {
    DnsSubdomain,
    DnsLabel,
    /// Services
    Dns1035Label,
    /// rbac: any path segment
    PathSegment,
    /// An IP address in its canonical form
    IpAddress,
}

/// NAME and AGE.
pub const DEFAULT_COLUMNS: &[Column] = &[crate::columns::NAME, crate::columns::AGE];

/// The age cell: `<unknown>` without a creation time, else as [`human_duration`].
pub fn age(meta: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta, now: Timestamp) -> String {
    match &meta.creation_timestamp {
        Some(t) => human_duration(now.duration_since(t.0).as_secs()),
        None => "<unknown>".into(),
    }
}

/// Seconds as kubectl shows an age: `5s`, `3m20s`, `25h`, `6d23h`, `2y40d`.
pub fn human_duration(seconds: i64) -> String {
    const M: i64 = 60;
    const H: i64 = 60 * M;
    const D: i64 = 24 * H;
    let two = |a: i64, a_unit: &str, b: i64, b_unit: &str| match b {
        0 => format!("{a}{a_unit}"),
        b => format!("{a}{a_unit}{b}{b_unit}"),
    };
    match seconds {
        ..-1 => "<invalid>".into(),
        -1..0 => "0s".into(),
        s if s < 2 * M => format!("{s}s"),
        s if s < 10 * M => two(s / M, "m", s % M, "s"),
        s if s < 3 * H => format!("{}m", s / M),
        s if s < 8 * H => two(s / H, "h", s % H / M, "m"),
        s if s < 2 * D => format!("{}h", s / H),
        s if s < 8 * D => two(s / D, "d", s % D / H, "h"),
        s if s < 2 * 365 * D => format!("{}d", s / D),
        s if s < 8 * 365 * D => two(s / (365 * D), "y", s % (365 * D) / D, "d"),
        s => format!("{}y", s / (365 * D)),
    }
}

/// [`Strategy`] with the kind forgotten. Only [`Erased`] implements it.
pub trait AnyStrategy: Send + Sync {
    fn decode(&self, json: &[u8]) -> Result<Box<dyn AnyObject>, DecodeError>;
    fn default(&self, object: &mut dyn AnyObject);
    fn prepare_create(&self, object: &mut dyn AnyObject);
    fn prepare_update(&self, new: &mut dyn AnyObject, old: &dyn AnyObject, part: Part);
    fn reset_fields(&self, part: Part) -> &'static [&'static str];
    fn validate(&self, object: &dyn AnyObject) -> ErrorList;
    fn validate_update(&self, new: &dyn AnyObject, old: &dyn AnyObject, part: Part) -> ErrorList;
    fn validate_time(
        &self,
        new: &dyn AnyObject,
        old: &dyn AnyObject,
        part: Part,
        now: Timestamp,
    ) -> ErrorList;
    fn warnings(&self, object: &dyn AnyObject) -> Vec<String>;
    fn name_rule(&self) -> NameRule;
    fn fields(&self, object: &dyn AnyObject) -> Vec<(&'static str, String)>;
    fn stored_fields(&self, json: Raw<'_>) -> Option<Vec<(&'static str, String)>>;
    fn field_names(&self) -> &'static [&'static str];
    fn columns(&self) -> &'static [Column];
    fn row(&self, object: &dyn AnyObject, now: Timestamp) -> Vec<Value>;
    fn row_conditions(&self, object: &dyn AnyObject) -> Vec<Value>;
    fn grace(&self, object: &dyn AnyObject, requested: Option<i64>) -> Grace;
    fn scale(&self, object: &dyn AnyObject) -> Option<ScaleView>;
    fn set_scale(&self, object: &mut dyn AnyObject, replicas: i32);
    fn allow_unconditional_update(&self) -> bool;
    fn allow_create_on_update(&self) -> bool;
}

/// The adaptor from a typed strategy.
pub struct Erased<S>(pub S);

fn typed<K: Kind>(object: &dyn AnyObject) -> &K {
    // The registry pairs a resource's objects with its own strategy only.
    object.downcast_ref().unwrap_or_else(|| unreachable!("{} given a {}", K::KIND, object.object_gvk().kind))
}

fn typed_mut<K: Kind>(object: &mut dyn AnyObject) -> &mut K {
    let gvk = object.object_gvk();
    object.downcast_mut().unwrap_or_else(|| unreachable!("{} given a {}", K::KIND, gvk.kind))
}

impl<S: Strategy> AnyStrategy for Erased<S> {
    fn decode(&self, json: &[u8]) -> Result<Box<dyn AnyObject>, DecodeError> {
        Ok(Box::new(S::Kind::from_json(json)?))
    }
    fn default(&self, object: &mut dyn AnyObject) {
        self.0.default(typed_mut(object));
    }
    fn prepare_create(&self, object: &mut dyn AnyObject) {
        self.0.prepare_create(typed_mut(object));
    }
    fn prepare_update(&self, new: &mut dyn AnyObject, old: &dyn AnyObject, part: Part) {
        self.0.prepare_update(typed_mut(new), typed(old), part);
    }
    fn reset_fields(&self, part: Part) -> &'static [&'static str] {
        self.0.reset_fields(part)
    }
    fn validate(&self, object: &dyn AnyObject) -> ErrorList {
        self.0.validate(typed(object))
    }
    fn validate_update(&self, new: &dyn AnyObject, old: &dyn AnyObject, part: Part) -> ErrorList {
        self.0.validate_update(typed(new), typed(old), part)
    }
    fn validate_time(
        &self,
        new: &dyn AnyObject,
        old: &dyn AnyObject,
        part: Part,
        now: Timestamp,
    ) -> ErrorList {
        self.0.validate_time(typed(new), typed(old), part, now)
    }
    fn warnings(&self, object: &dyn AnyObject) -> Vec<String> {
        self.0.warnings(typed(object))
    }
    fn name_rule(&self) -> NameRule {
        self.0.name_rule()
    }
    fn fields(&self, object: &dyn AnyObject) -> Vec<(&'static str, String)> {
        self.0.fields(typed(object))
    }
    fn stored_fields(&self, json: Raw<'_>) -> Option<Vec<(&'static str, String)>> {
        self.0.stored_fields(json)
    }
    fn field_names(&self) -> &'static [&'static str] {
        self.0.field_names()
    }
    fn columns(&self) -> &'static [Column] {
        self.0.columns()
    }
    fn row(&self, object: &dyn AnyObject, now: Timestamp) -> Vec<Value> {
        self.0.row(typed(object), now)
    }
    fn row_conditions(&self, object: &dyn AnyObject) -> Vec<Value> {
        self.0.row_conditions(typed(object))
    }
    fn grace(&self, object: &dyn AnyObject, requested: Option<i64>) -> Grace {
        self.0.grace(typed(object), requested)
    }
    fn scale(&self, object: &dyn AnyObject) -> Option<ScaleView> {
        self.0.scale(typed(object))
    }
    fn set_scale(&self, object: &mut dyn AnyObject, replicas: i32) {
        self.0.set_scale(typed_mut(object), replicas);
    }
    fn allow_unconditional_update(&self) -> bool {
        self.0.allow_unconditional_update()
    }
    fn allow_create_on_update(&self) -> bool {
        self.0.allow_create_on_update()
    }
}

/// A resource as it is served: one row of a group's table.
#[derive(Clone)]
pub struct Resource {
    pub gvk: Gvk,
    pub gvr: Gvr,
    pub singular: &'static str,
    pub short_names: &'static [&'static str],
    /// e.g. `all`
    pub categories: &'static [&'static str],
    pub scope: Scope,
    /// Besides the main resource: `status`, `scale`, … in the order discovery lists them.
    pub subresources: &'static [&'static str],
    /// In the order discovery lists them.
    pub verbs: &'static [&'static str],
    /// Of the version that is stored.
    pub strategy: Arc<dyn AnyStrategy>,
    /// The version that is stored; `gvr` itself for all but further versions of a kind.
    pub hub: Gvr,
    /// Of further versions only.
    pub conversion: Option<Arc<dyn Conversion>>,
    /// Of further versions only: field selectors' names and those of the stored version, where they differ.
    pub labels: &'static [(&'static str, &'static str)],
    /// What has to be enforced before this is served; none for nearly all.
    pub gate: Option<Gate>,
}

/// How a version that is not stored is read into the one that is, and shown from it.
pub trait Conversion: Send + Sync {
    /// A hub object from this version's JSON.
    fn read(&self, json: &[u8]) -> Result<Box<dyn AnyObject>, DecodeError>;
    /// This version of a hub object.
    fn show(&self, object: &dyn AnyObject) -> Box<dyn AnyObject>;
}

/// [`Conversion`] by two functions.
struct Converted<V, H> {
    to_hub: fn(V) -> H,
    from_hub: fn(H) -> V,
}

impl<V: Kind, H: Kind> Conversion for Converted<V, H> {
    fn read(&self, json: &[u8]) -> Result<Box<dyn AnyObject>, DecodeError> {
        Ok(Box::new((self.to_hub)(V::from_json(json)?)))
    }

    fn show(&self, object: &dyn AnyObject) -> Box<dyn AnyObject> {
        Box::new((self.from_hub)(typed::<H>(object).clone()))
    }
}

/// The verbs of an ordinary stored resource.
pub const ALL_VERBS: &[&str] =
    &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

impl Resource {
    /// A row with nothing but the kind's own names; extend it with the builder methods below.
    pub fn new<S: Strategy>(scope: Scope, singular: &'static str, strategy: S) -> Self {
        Resource {
            gvk: S::Kind::gvk(),
            gvr: S::Kind::gvr(),
            singular,
            short_names: &[],
            categories: &[],
            scope,
            subresources: &[],
            verbs: ALL_VERBS,
            strategy: Arc::new(Erased(strategy)),
            hub: S::Kind::gvr(),
            conversion: None,
            labels: &[],
            gate: None,
        }
    }

    /// Names the fields that selectors of this version know, each with the stored version's name.
    pub fn labelled(mut self, labels: &'static [(&'static str, &'static str)]) -> Self {
        self.labels = labels;
        self
    }

    /// Makes a row of the stored version into one of version `V`: its objects are kept, defaulted, validated and admitted as
    /// `H`, the strategy's kind; clients see and send `V`.
    pub fn as_version<V: Kind, H: Kind>(mut self, to_hub: fn(V) -> H, from_hub: fn(H) -> V) -> Self {
        self.gvk = V::gvk();
        self.gvr = V::gvr();
        self.hub = H::gvr();
        self.conversion = Some(Arc::new(Converted { to_hub, from_hub }));
        self
    }

    /// A hub object from JSON of this row's version.
    pub fn read(&self, json: &[u8]) -> Result<Box<dyn AnyObject>, DecodeError> {
        match &self.conversion {
            Some(conversion) => conversion.read(json),
            None => self.strategy.decode(json),
        }
    }

    /// A hub object in this row's version.
    pub fn view(&self, object: &dyn AnyObject) -> Box<dyn AnyObject> {
        match &self.conversion {
            Some(conversion) => conversion.show(object),
            None => object.clone_box(),
        }
    }

    /// Stored JSON in this row's version; `None` when it is already.
    pub fn shown(&self, stored: &[u8]) -> Option<Result<Vec<u8>, DecodeError>> {
        let conversion = self.conversion.as_ref()?;
        Some(self.strategy.decode(stored).map(|object| conversion.show(&*object).encode()))
    }

    pub fn short(mut self, names: &'static [&'static str]) -> Self {
        self.short_names = names;
        self
    }

    pub fn in_categories(mut self, categories: &'static [&'static str]) -> Self {
        self.categories = categories;
        self
    }

    pub fn with(mut self, subresources: &'static [&'static str]) -> Self {
        self.subresources = subresources;
        self
    }

    pub fn verbs(mut self, verbs: &'static [&'static str]) -> Self {
        self.verbs = verbs;
        self
    }

    /// Is served only where `gate` is open.
    pub fn behind(mut self, gate: Gate) -> Self {
        self.gate = Some(gate);
        self
    }

    pub fn namespaced(&self) -> bool {
        self.scope == Scope::Namespaced
    }
}
