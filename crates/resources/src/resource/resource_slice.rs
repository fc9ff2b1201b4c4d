//! Resource slices: the devices that a driver has to give.

use apimachinery::field::{Error, ErrorList, Path, Raw, Shown};
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::resource::v1::{Device, ResourceSlice, ResourceSliceSpec};
use serde_json::{Value, json};

use super::device::{self, node_name_errors};
use super::rules::{self, set};
use crate::columns::{AGE, NAME, text};
use crate::core::pod::validation::scheduling::node_selector;
use crate::desired;
use crate::storage::driver_name;
use crate::strategy::{Column, Part, age};

const DEVICES_MAX: usize = 128;
/// Of devices with taints or counters, which are larger.
const LARGE_DEVICES_MAX: usize = 64;
const COUNTER_SETS_MAX: usize = 8;

/// The rules of resource slices.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = ResourceSlice;

    fn prepare_create(&self, slice: &mut ResourceSlice) {
        slice.metadata.generation = Some(1);
        let created = slice.metadata.creation_timestamp.clone();
        let taints = slice.spec.devices.iter_mut().flatten().flat_map(|d| d.taints.iter_mut().flatten());
        for taint in taints {
            taint.time_added = taint.time_added.take().or_else(|| created.clone());
        }
    }

    fn prepare_update(&self, new: &mut ResourceSlice, old: &ResourceSlice, _: Part) {
        desired::bump_generation(new, old, "spec");
    }

    fn validate(&self, slice: &ResourceSlice) -> ErrorList {
        spec(&slice.spec, None)
    }

    fn validate_update(&self, new: &ResourceSlice, old: &ResourceSlice, _: Part) -> ErrorList {
        spec(&new.spec, Some(&old.spec))
    }

    fn fields(&self, slice: &ResourceSlice) -> Vec<(&'static str, String)> {
        vec![
            ("spec.nodeName", slice.spec.node_name.clone().unwrap_or_default()),
            ("spec.driver", slice.spec.driver.clone()),
        ]
    }

    fn field_names(&self) -> &'static [&'static str] {
        &["spec.nodeName", "spec.driver"]
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            text("Node", "The node whose devices these are."),
            text("Driver", "Who offers the devices."),
            text("Pool", "The pool that the devices are in."),
            AGE,
        ];
        COLUMNS
    }

    fn row(&self, slice: &ResourceSlice, now: Timestamp) -> Vec<Value> {
        let spec = &slice.spec;
        vec![
            json!(slice.name()),
            json!(spec.node_name.as_deref().unwrap_or("<unset>")),
            json!(spec.driver),
            json!(spec.pool.name),
            json!(age(&slice.metadata, now)),
        ]
    }
}

fn spec(spec: &ResourceSliceSpec, old: Option<&ResourceSliceSpec>) -> ErrorList {
    let path = Path::new("spec");
    let mut errs = driver_name(&spec.driver, &path.child("driver"));
    errs.extend(pool(spec, &path.child("pool")));
    if let Some(old) = old {
        errs.extend(fixed(spec, old, &path));
    }
    errs.extend(nodes(spec, &path));
    if spec.shared_counters.is_some() && spec.devices.is_some() {
        errs.push(Error::invalid(&path, "", "only one of `sharedCounters` or `devices` is allowed"));
    }
    let devices = spec.devices.as_deref().unwrap_or_default();
    let large = |d: &Device| {
        d.taints.as_ref().is_some_and(|t| !t.is_empty())
            || d.consumes_counters.as_ref().is_some_and(|c| !c.is_empty())
    };
    let max = if devices.iter().any(large) { LARGE_DEVICES_MAX } else { DEVICES_MAX };
    let by_device = spec.per_device_node_selection == Some(true);
    let rule = |device: &Device, path: &Path| {
        let before = old.and_then(|o| o.devices.iter().flatten().find(|d| d.name == device.name));
        device::device(device, before, by_device, path)
    };
    errs.extend(set(devices, max, &path.child("devices"), rule, |d| d.name.clone()));
    let counters = spec.shared_counters.as_deref().unwrap_or_default();
    let at = path.child("sharedCounters");
    errs.extend(set(counters, COUNTER_SETS_MAX, &at, device::counter_set, |c| c.name.clone()));
    errs
}

fn pool(spec: &ResourceSliceSpec, path: &Path) -> ErrorList {
    let pool = &spec.pool;
    let mut errs = rules::pool_name(&pool.name, &path.child("name"));
    if pool.resource_slice_count <= 0 {
        let detail = "must be greater than zero";
        errs.push(Error::invalid(&path.child("resourceSliceCount"), pool.resource_slice_count, detail));
    }
    if pool.generation < 0 {
        let detail = "must be greater than or equal to zero";
        errs.push(Error::invalid(&path.child("generation"), pool.generation, detail));
    }
    errs
}

fn fixed(spec: &ResourceSliceSpec, old: &ResourceSliceSpec, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let mut fixed = |same: bool, path: &Path, shown: String| {
        if !same {
            errs.push(Error::invalid(path, Raw(shown), "field is immutable"));
        }
    };
    let name = path.child("pool").child("name");
    fixed(spec.pool.name == old.pool.name, &name, (&*spec.pool.name).shown());
    fixed(spec.driver == old.driver, &path.child("driver"), (&*spec.driver).shown());
    let node = spec.node_name.as_deref().map_or_else(|| "null".into(), |n| n.shown());
    fixed(spec.node_name == old.node_name, &path.child("nodeName"), node);
    errs
}

/// Which nodes reach the devices: said in exactly one way.
fn nodes(spec: &ResourceSliceSpec, path: &Path) -> ErrorList {
    const ONE: &str =
        "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
    let mut errs = ErrorList::new();
    let mut said = Vec::new();
    let at = path.child("nodeName");
    match spec.node_name.as_deref() {
        None => {}
        Some("") => {
            errs.push(Error::invalid(&at, "", "must be either unset or set to a non-empty string"));
        }
        Some(name) => {
            said.push("`nodeName`");
            errs.extend(node_name_errors(name, &at));
        }
    }
    if let Some(selector) = &spec.node_selector {
        said.push("`nodeSelector`");
        let at = path.child("nodeSelector");
        errs.extend(node_selector(selector, &at));
        if selector.node_selector_terms.len() != 1 {
            let shown = Raw(json!(selector.node_selector_terms).to_string());
            let detail = "must have exactly one node selector term";
            errs.push(Error::invalid(&at.child("nodeSelectorTerms"), shown, detail));
        }
    }
    for (field, value) in
        [("allNodes", spec.all_nodes), ("perDeviceNodeSelection", spec.per_device_node_selection)]
    {
        match value {
            None => {}
            Some(true) => {
                said.push(if field == "allNodes" { "`allNodes`" } else { "`perDeviceNodeSelection`" })
            }
            Some(false) => {
                let detail = "must be either unset or set to true";
                errs.push(Error::invalid(&path.child(field), false, detail));
            }
        }
    }
    match said.len() {
        0 => errs.push(Error::required(path, ONE)),
        1 => {}
        _ => {
            let detail = format!("{ONE}, but multiple fields are set");
            errs.push(Error::invalid(path, &format!("{{{}}}", said.join(", ")), detail));
        }
    }
    errs
}
