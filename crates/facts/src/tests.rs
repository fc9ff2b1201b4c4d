use super::*;

/// Where a path such as `spec.containers.ports` leads, through lists and maps.
fn at(kind_name: (&str, &str, &str), path: &str) -> &'static Field {
    let mut of = kind(kind_name.0, kind_name.1, kind_name.2).unwrap();
    let mut names = path.split('.').peekable();
    loop {
        let field = of.field(names.next().unwrap()).unwrap();
        if names.peek().is_none() {
            return field;
        }
        let mut inner = field.value();
        of = loop {
            match inner {
                Value::Struct(t) => break struct_type(*t),
                Value::Map { of, .. } | Value::Array { of, .. } => inner = value(*of),
                other => panic!("{path}: {other:?} has no fields"),
            }
        };
    }
}

#[test]
fn a_pods_fields() {
    let pod = ("", "v1", "Pod");
    let containers = at(pod, "spec.containers");
    assert_eq!((containers.merge_key, containers.patch_merge(), containers.required()), ("name", true, true));
    assert_eq!(containers.numbers(), [2]);
    let ports = at(pod, "spec.containers.ports");
    let Value::Array { kind, .. } = ports.value() else { panic!() };
    assert_eq!(*kind, List::Map(&["containerPort", "protocol"]));
    assert_eq!(at(pod, "spec.containers.ports.protocol").default, "\"TCP\"");
    assert!(at(pod, "spec.volumes").retain_keys());
    // Inlined: Volume.volumeSource.emptyDir
    assert_eq!(at(pod, "spec.volumes.emptyDir").numbers(), [2, 2]);
    assert_eq!(at(pod, "spec.containers.livenessProbe.httpGet").numbers(), [1, 2]);
}

#[test]
fn types_know_their_names() {
    let spec = type_named("io.k8s.api.core.v1.PodSpec").unwrap();
    assert_eq!((spec.go_name(), spec.short_name()), ("v1.PodSpec", "PodSpec"));
    assert!(kind("apps", "v1", "Pod").is_none());
    assert_eq!(at(("", "v1", "PersistentVolume"), "spec.claimRef").atomic(), Some(false));
}

#[test]
fn tables_are_in_order() {
    assert!(tables::TYPES.is_sorted_by(|a, b| a.name < b.name));
    assert!(tables::TYPES.iter().all(|t| t.fields().is_sorted_by(|a, b| a.name < b.name)));
    assert!(kinds().is_sorted_by(|a, b| (a.group, a.version, a.kind) < (b.group, b.version, b.kind)));
}
