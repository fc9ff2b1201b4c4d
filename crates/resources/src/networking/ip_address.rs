//! IP addresses: one object for each address that is somebody's. Services' cluster addresses are allocated as such.

use std::collections::BTreeMap;
use std::net::IpAddr;

use apimachinery::field::{Error, ErrorList, Path, Raw};
use apimachinery::names;
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::networking::v1::{IPAddress, IPAddressSpec, ParentReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use crate::check::each;
use crate::columns::{AGE, NAME, text};
use crate::desired;
use crate::owner::ObjectMetaExt;
use crate::strategy::{Column, NameRule, Part, age};

#[cfg(test)]
mod tests;

const FAMILY: &str = "ipaddress.kubernetes.io/ip-family";
const MANAGED_BY: &str = "ipaddress.kubernetes.io/managed-by";
/// Who allocates the addresses of services.
const ALLOCATOR: &str = "ipallocator.k8s.io";

/// The object by which a service has its address.
pub fn of_service(address: IpAddr, namespace: &str, name: &str) -> IPAddress {
    let family = if address.is_ipv6() { "IPv6" } else { "IPv4" };
    let labels = [(FAMILY, family), (MANAGED_BY, ALLOCATOR)];
    IPAddress {
        metadata: ObjectMeta {
            name: Some(address.to_string()),
            labels: Some(
                labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into_iter().collect::<BTreeMap<_, _>>(),
            ),
            ..ObjectMeta::default()
        },
        spec: IPAddressSpec {
            parent_ref: ParentReference {
                group: Some(String::new()),
                resource: "services".into(),
                namespace: Some(namespace.to_owned()),
                name: name.to_owned(),
            },
        },
    }
}

/// What IP addresses are asked.
pub trait IPAddressExt {
    /// Whether the API server allocated it; others are their makers' business.
    fn is_allocated(&self) -> bool;
    /// Namespace and name of the service whose address it is.
    fn service(&self) -> Option<(&str, &str)>;
}

impl IPAddressExt for IPAddress {
    fn is_allocated(&self) -> bool {
        self.metadata.label(MANAGED_BY) == Some(ALLOCATOR)
    }

    fn service(&self) -> Option<(&str, &str)> {
        let parent = &self.spec.parent_ref;
        let services =
            parent.group.as_deref().unwrap_or_default().is_empty() && parent.resource == "services";
        services.then_some((parent.namespace.as_deref().unwrap_or_default(), &*parent.name))
    }
}

/// The rules of IP addresses.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = IPAddress;

    fn name_rule(&self) -> NameRule {
        NameRule::IpAddress
    }

    fn validate(&self, address: &IPAddress) -> ErrorList {
        let path = Path::new("spec").child("parentRef");
        let parent = &address.spec.parent_ref;
        if *parent == ParentReference::default() {
            return [Error::required(&path, "")].into_iter().collect();
        }
        let mut errs = ErrorList::new();
        if let Some(group) = parent.group.as_deref().filter(|g| !g.is_empty()) {
            errs.extend(each(&path.child("group"), group, names::dns1123_subdomain(group)));
        }
        for (field, value) in [("resource", &parent.resource), ("name", &parent.name)] {
            if value.is_empty() {
                errs.push(Error::required(&path.child(field), ""));
            }
            errs.extend(each(&path.child(field), value, names::path_segment(value)));
        }
        let namespace = parent.namespace.as_deref().unwrap_or_default();
        errs.extend(each(&path.child("namespace"), namespace, names::path_segment(namespace)));
        errs
    }

    fn validate_update(&self, new: &IPAddress, old: &IPAddress, _: Part) -> ErrorList {
        if !desired::changed(new, old, "spec") {
            return ErrorList::new();
        }
        let path = Path::new("spec").child("parentRef");
        let parent = Raw(json!(new.spec.parent_ref).to_string());
        [Error::invalid(&path, parent, "field is immutable")].into_iter().collect()
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[NAME, text("ParentRef", "Whose address it is."), AGE];
        COLUMNS
    }

    fn row(&self, address: &IPAddress, now: Timestamp) -> Vec<Value> {
        let parent = &address.spec.parent_ref;
        let full = |text: &Option<String>| text.clone().filter(|t| !t.is_empty());
        let mut shown = parent.resource.to_lowercase();
        if let Some(group) = full(&parent.group) {
            shown += &format!(".{group}");
        }
        if let Some(namespace) = full(&parent.namespace) {
            shown += &format!("/{namespace}");
        }
        shown += &format!("/{}", parent.name);
        vec![json!(address.name()), json!(shown), json!(age(&address.metadata, now))]
    }
}
