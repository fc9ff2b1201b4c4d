//! Objects as Go's types print them: fields in the order of the structs, what Go never leaves out put in.

use facts::{Field, Type, Value as Holds};
use serde_json::Value;

/// Where in Go's types one is, while an object is written.
#[derive(Clone, Copy, Debug)]
pub struct Order(Option<&'static Holds>, Option<&'static Type>);

/// The order of a whole object.
pub fn order_of(object: &Value) -> Order {
    Order(None, type_of(object))
}

fn type_of(object: &Value) -> Option<&'static Type> {
    let api_version = object["apiVersion"].as_str()?;
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    facts::kind(group, version, object["kind"].as_str()?)
}

/// Fields that Go's structs have elsewhere than their protobuf numbers say: this one comes right before that one.
const MOVED: &[(&str, &str, &str)] = &[
    ("PodSpec", "initContainers", "containers"),
    ("PodSpec", "ephemeralContainers", "restartPolicy"),
    ("Container", "envFrom", "env"),
    ("Container", "resizePolicy", "volumeMounts"),
    ("Container", "restartPolicy", "volumeMounts"),
    ("Container", "volumeDevices", "livenessProbe"),
    ("Container", "startupProbe", "lifecycle"),
    ("Container", "terminationMessagePolicy", "imagePullPolicy"),
    ("EphemeralContainerCommon", "envFrom", "env"),
    ("EphemeralContainer", "envFrom", "env"),
    ("DeploymentStatus", "readyReplicas", "availableReplicas"),
    ("DeploymentStatus", "terminatingReplicas", "conditions"),
    ("DeploymentCondition", "lastUpdateTime", "reason"),
    ("DeploymentCondition", "lastTransitionTime", "reason"),
    ("OwnerReference", "apiVersion", "kind"),
    ("PodCondition", "observedGeneration", "status"),
    ("PodStatus", "observedGeneration", "phase"),
    ("PodStatus", "hostIPs", "podIP"),
    ("PodStatus", "podIPs", "startTime"),
    ("HTTPIngressPath", "pathType", "backend"),
    ("ReplicaSetStatus", "terminatingReplicas", "conditions"),
    ("ReplicaSetStatus", "observedGeneration", "conditions"),
    ("ServiceSpec", "clusterIPs", "type"),
    ("ServiceSpec", "ipFamilies", "ipFamilyPolicy"),
];

impl Order {
    fn of(holds: &'static Holds) -> Self {
        match holds {
            Holds::Struct(at) => Order(None, Some(facts::struct_type(*at))),
            Holds::Map { .. } | Holds::Array { .. } => Order(Some(holds), None),
            _ => Order(None, None),
        }
    }

    /// Inside a field.
    pub fn field(self, name: &str) -> Self {
        match (self.0, self.1) {
            (_, Some(of)) => of.field(name).map_or(Order(None, None), |f| Order::of(f.value())),
            (Some(Holds::Map { of, .. }), _) => Order::of(facts::value(*of)),
            _ => Order(None, None),
        }
    }

    /// Inside a list's element.
    pub fn element(self) -> Self {
        match self.0 {
            Some(Holds::Array { of, .. }) => Order::of(facts::value(*of)),
            _ => Order(None, None),
        }
    }

    /// Where a field stands among its siblings.
    pub fn place(self, name: &str) -> (u32, u32) {
        let Some(of) = self.1 else { return (u32::from(name == "metadata" || name == "items"), 0) };
        match name {
            // Of references these are fields as others are, with numbers.
            "kind" if of.field(name).is_none_or(|f| f.numbers().is_empty()) => return (0, 0),
            "apiVersion" if of.field(name).is_none_or(|f| f.numbers().is_empty()) => return (0, 1),
            _ => {}
        }
        // The fields of an embedded struct stand where it is embedded: after its number, before the next.
        let number = |f: &Field| {
            [1_000_000u32, 1_000, 1].iter().zip(f.numbers()).map(|(unit, part)| unit * u32::from(*part)).sum()
        };
        let place = |name: &str| of.field(name).map_or(u32::MAX - 1, number) + 1;
        match MOVED.iter().position(|(t, moved, _)| *t == of.short_name() && *moved == name) {
            Some(at) => (place(MOVED[at].2), at as u32),
            None => (place(name), u32::MAX),
        }
    }
}

/// Puts in what Go's encoder never leaves out (empty structs), and leaves out what it does (empty lists and the like).
pub fn normalise(object: &mut Value) {
    if let Some(of) = type_of(object) {
        fill(object, of);
    }
}

fn fill(object: &mut Value, of: &'static Type) {
    let Some(map) = object.as_object_mut() else { return };
    for field in of.fields() {
        if field.always_there() && field.name != "metadata" && !map.contains_key(field.name) {
            map.insert(field.name.to_owned(), serde_json::json!({}));
        }
        let number = matches!(field.value(), Holds::Int32 | Holds::Int64);
        if number && field.required() && !of.leaves_out(field) && !map.contains_key(field.name) {
            map.insert(field.name.to_owned(), serde_json::json!(0));
        }
        if let Some(value) = map.get_mut(field.name) {
            inside(value, field.value());
        }
    }
}

fn inside(value: &mut Value, holds: &'static Holds) {
    match holds {
        Holds::Struct(at) => fill(value, facts::struct_type(*at)),
        Holds::Array { of, .. } => {
            for item in value.as_array_mut().into_iter().flatten() {
                inside(item, facts::value(*of));
            }
        }
        Holds::Map { of, .. } => {
            for (_, item) in value.as_object_mut().into_iter().flatten() {
                inside(item, facts::value(*of));
            }
        }
        _ => {}
    }
}
