//! The storage.k8s.io group.

pub mod csi_driver;
pub mod csi_node;
pub mod csi_storage_capacity;
pub mod storage_class;
pub mod volume_attachment;
pub mod volume_attributes_class;

use std::collections::BTreeMap;

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::names;

use crate::check::{each, required};
use crate::strategy::{Resource, Scope};

/// The group's table, in discovery's order.
pub(crate) fn resources() -> Vec<Resource> {
    use Scope::{Cluster, Namespaced};
    vec![
        Resource::new(Cluster, "csidriver", csi_driver::Strategy),
        Resource::new(Cluster, "csinode", csi_node::Strategy),
        Resource::new(Namespaced, "csistoragecapacity", csi_storage_capacity::Strategy),
        Resource::new(Cluster, "storageclass", storage_class::Strategy).short(&["sc"]),
        Resource::new(Cluster, "volumeattachment", volume_attachment::Strategy).with(&["status"]),
        Resource::new(Cluster, "volumeattributesclass", volume_attributes_class::Strategy).short(&["vac"]),
    ]
}

const DRIVER_NAME_MAX: usize = 63;

/// The name of a CSI driver: a domain name in any case.
pub(crate) fn driver_name(name: &str, path: &Path) -> ErrorList {
    let mut errs = required(path, name);
    if name.len() > DRIVER_NAME_MAX {
        errs.push(Error::too_long(path, DRIVER_NAME_MAX));
    }
    if !name.is_empty() {
        errs.extend(each(path, name, names::dns1123_subdomain(&name.to_lowercase())));
    }
    errs
}

/// Who makes volumes: a qualified name in any case.
fn provisioner(name: &str, path: &Path) -> ErrorList {
    match name {
        "" => [Error::required(path, "")].into_iter().collect(),
        name => each(path, name, names::qualified_name(&name.to_lowercase())),
    }
}

/// What a provisioner is told: not too many words, none of them without a name.
fn parameters(parameters: Option<&BTreeMap<String, String>>, may_be_empty: bool, path: &Path) -> ErrorList {
    const MOST: usize = 512;
    const BYTES: usize = 256 * 1024;
    let mut errs = ErrorList::new();
    let Some(parameters) = parameters.filter(|p| !p.is_empty()) else {
        if !may_be_empty {
            errs.push(Error::required(path, "must contain at least one key/value pair"));
        }
        return errs;
    };
    if parameters.len() > MOST {
        errs.push(Error::too_long(path, MOST));
        return errs;
    }
    if parameters.keys().any(String::is_empty) {
        errs.push(Error::invalid(path, "", "field can not be empty."));
    }
    if parameters.iter().map(|(k, v)| k.len() + v.len()).sum::<usize>() > BYTES {
        errs.push(Error::too_long(path, BYTES));
    }
    errs
}

fn no_updates(changed: bool, field: &str) -> ErrorList {
    let error = Error::forbidden(&Path::new(field), format!("updates to {field} are forbidden."));
    changed.then_some(error).into_iter().collect()
}

#[cfg(test)]
mod tests;
