//! Questions that plugins ask of a write, and their answer no.

use apimachinery::Status;
use codec::Kind;
use registry::admit::Attributes;

/// The write is about the resource that `K` names, not about a part of it.
pub(crate) fn is_main<K: Kind>(a: &Attributes<'_>) -> bool {
    is::<K>(a) && a.subresource.is_empty()
}

/// The write is about the resource that `K` names, or a part of it.
pub(crate) fn is<K: Kind>(a: &Attributes<'_>) -> bool {
    *a.gvr.group == *K::GROUP && *a.gvr.resource == *K::RESOURCE
}

/// The new object.
pub(crate) fn object<'a, K: Kind>(a: &'a Attributes<'_>) -> Option<&'a K> {
    a.object.as_deref().and_then(|o| o.downcast_ref())
}

pub(crate) fn object_mut<'a, K: Kind>(a: &'a mut Attributes<'_>) -> Option<&'a mut K> {
    a.object.as_deref_mut().and_then(|o| o.downcast_mut())
}

pub(crate) fn old<'a, K: Kind>(a: &'a Attributes<'_>) -> Option<&'a K> {
    a.old.and_then(|o| o.downcast_ref())
}

/// 403 that names the object as well as it can be named: an object without a name yet by its generateName.
pub(crate) fn forbidden(a: &Attributes<'_>, why: impl AsRef<str>) -> Status {
    let meta = a.object.as_deref().map(|o| o.object_meta());
    let given =
        |field: fn(&k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) -> &Option<String>| {
            meta.and_then(|m| field(m).as_deref()).filter(|text| !text.is_empty())
        };
    let name = match a.name {
        "" => given(|m| &m.name).or_else(|| given(|m| &m.generate_name)).unwrap_or("Unknown"),
        name => name,
    };
    Status::forbidden(&a.gvr.group_resource(), name, why.as_ref())
}
