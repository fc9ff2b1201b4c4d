//! The status of a claim: which devices it got, and for whom.

use std::collections::BTreeSet;

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::resource::v1::{
    AllocatedDeviceStatus, AllocationResult, DeviceRequestAllocationResult, NetworkDeviceData, ResourceClaim,
    ResourceClaimConsumerReference, ResourceClaimStatus,
};

use super::request::{MAX, Names, opaque};
use super::rules::{self, list, set};
use crate::check::{one, one_of, required};
use crate::conditions;
use crate::core::pod::validation::scheduling::node_selector;
use crate::owner::ObjectMetaExt;
use crate::storage::driver_name;

const RESERVED_MAX: usize = 256;
const CONDITIONS_MAX: usize = 8;
const DATA_MAX: usize = 10 * 1024;
const INTERFACE_MAX: usize = 256;
const HARDWARE_MAX: usize = 128;
const IPS_MAX: usize = 16;

/// Names one device, or one share of it.
fn id(driver: &str, pool: &str, device: &str, share: Option<&str>) -> String {
    match share {
        None | Some("") => format!("{driver}/{pool}/{device}"),
        Some(share) => format!("{driver}/{pool}/{device}/{share}"),
    }
}

fn id_of(status: &AllocatedDeviceStatus) -> String {
    id(&status.driver, &status.pool, &status.device, status.share_id.as_deref())
}

fn allocated(status: &ResourceClaimStatus) -> BTreeSet<String> {
    let devices = status.allocation.iter().flat_map(|a| &a.devices);
    let results = devices.flat_map(|d| d.results.iter().flatten());
    results.map(|r| id(&r.driver, &r.pool, &r.device, r.share_id.as_deref())).collect()
}

/// Devices that are given back take their status with them.
pub(super) fn forget_returned(new: &mut ResourceClaimStatus, old: &ResourceClaimStatus) {
    let returned: BTreeSet<_> = allocated(old).difference(&allocated(new)).cloned().collect();
    if let Some(devices) = &mut new.devices {
        devices.retain(|device| !returned.contains(&id_of(device)));
        if devices.is_empty() {
            new.devices = None;
        }
    }
}

pub(super) fn update(new: &ResourceClaim, old: &ResourceClaim) -> ErrorList {
    let path = Path::new("status");
    let (status, before) = (new.status.clone().unwrap_or_default(), old.status.clone().unwrap_or_default());
    let reserved = status.reserved_for.as_deref().unwrap_or_default();
    let at = path.child("reservedFor");
    let mut errs = set(reserved, RESERVED_MAX, &at, consumer, |r| r.uid.clone());
    let given = allocated(&status);
    let devices = status.devices.as_deref().unwrap_or_default();
    let rule = |device: &AllocatedDeviceStatus, path: &Path| device_status(device, &given, path);
    errs.extend(set(devices, usize::MAX, &path.child("devices"), rule, id_of));
    if !reserved.is_empty() {
        let earlier = before.reserved_for.as_deref().unwrap_or_default();
        if status.allocation.is_none() {
            errs.push(Error::forbidden(&at, "may not be specified when `allocated` is not set"));
        } else if new.metadata.is_deleting() && reserved.iter().any(|r| !earlier.contains(r)) {
            let detail =
                "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set";
            errs.push(Error::forbidden(&at, detail));
        }
    }
    let at = path.child("allocation");
    match (&status.allocation, &before.allocation) {
        (Some(now), Some(then)) if now == then => {}
        (Some(now), Some(_)) => {
            errs.push(Error::invalid(
                &at,
                apimachinery::field::Raw(serde_json::json!(now).to_string()),
                "field is immutable",
            ));
        }
        (Some(now), None) => {
            let names = Names::of(new.spec.as_ref().and_then(|s| s.devices.as_ref()));
            errs.extend(allocation(now, &names, &at));
        }
        (None, _) => {}
    }
    errs
}

fn consumer(reference: &ResourceClaimConsumerReference, path: &Path) -> ErrorList {
    let mut errs = required(&path.child("resource"), &reference.resource);
    errs.extend(required(&path.child("name"), &reference.name));
    errs.extend(required(&path.child("uid"), &reference.uid));
    errs
}

fn device_status(device: &AllocatedDeviceStatus, given: &BTreeSet<String>, path: &Path) -> ErrorList {
    let mut errs = driver_name(&device.driver, &path.child("driver"));
    errs.extend(rules::pool_name(&device.pool, &path.child("pool")));
    errs.extend(rules::label(&device.device, &path.child("device")));
    if let Some(share) = &device.share_id {
        errs.extend(rules::uid(share, &path.child("shareID")));
    }
    let id = id_of(device);
    if !given.contains(&id) {
        let shown = apimachinery::field::Raw(id);
        errs.push(Error::invalid(path, shown, "must be an allocated device in the claim"));
    }
    let conditions = device.conditions.as_deref().unwrap_or_default();
    let at = path.child("conditions");
    if conditions.len() > CONDITIONS_MAX {
        errs.push(Error::too_many(&at, conditions.len(), CONDITIONS_MAX));
    }
    errs.extend(conditions::validate(conditions, &at));
    if let Some(data) = &device.data {
        errs.extend(rules::parameters(data, &path.child("data"), DATA_MAX, false));
    }
    if let Some(data) = &device.network_data {
        errs.extend(network(data, &path.child("networkData")));
    }
    errs
}

fn network(data: &NetworkDeviceData, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    for (field, value, max) in [
        ("interfaceName", &data.interface_name, INTERFACE_MAX),
        ("hardwareAddress", &data.hardware_address, HARDWARE_MAX),
    ] {
        if value.as_ref().is_some_and(|v| v.len() > max) {
            errs.push(Error::too_long(&path.child(field), max));
        }
    }
    let ips = data.ips.as_deref().unwrap_or_default();
    let rule = |ip: &String, path: &Path| {
        let detail = "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)";
        one(ip.parse::<ipnet::IpNet>().is_err(), || Error::invalid(path, ip, detail))
    };
    errs.extend(set(ips, IPS_MAX, &path.child("ips"), rule, Clone::clone));
    errs
}

fn allocation(allocation: &AllocationResult, names: &Names, path: &Path) -> ErrorList {
    let devices = allocation.devices.clone().unwrap_or_default();
    let at = path.child("devices");
    let results = devices.results.as_deref().unwrap_or_default();
    let rule = |r: &DeviceRequestAllocationResult, path: &Path| result(r, names, path);
    let mut errs = list(results, MAX, &at.child("results"), rule);
    let configs = devices.config.as_deref().unwrap_or_default();
    errs.extend(list(configs, 2 * MAX, &at.child("config"), |config, path| {
        let mut errs = one_of(&path.child("source"), &config.source, &["FromClaim", "FromClass"]);
        errs.extend(names.references(config.requests.as_ref(), &path.child("requests")));
        errs.extend(opaque(config.opaque.as_ref(), path, false));
        errs
    }));
    if let Some(selector) = &allocation.node_selector {
        errs.extend(node_selector(selector, &path.child("nodeSelector")));
    }
    errs
}

fn result(result: &DeviceRequestAllocationResult, names: &Names, path: &Path) -> ErrorList {
    let mut errs = names.reference(&result.request, &path.child("request"));
    errs.extend(driver_name(&result.driver, &path.child("driver")));
    errs.extend(rules::pool_name(&result.pool, &path.child("pool")));
    errs.extend(rules::label(&result.device, &path.child("device")));
    let (wanted, unwanted) = (&result.binding_conditions, &result.binding_failure_conditions);
    errs.extend(rules::binding(wanted.as_ref(), unwanted.as_ref(), path));
    if let Some(share) = &result.share_id {
        errs.extend(rules::uid(share, &path.child("shareID")));
    }
    errs
}
