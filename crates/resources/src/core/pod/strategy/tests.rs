use super::*;
use crate::Strategy as _;
use crate::testing::object;

const POD: &str = r#"{
    "metadata": {"name": "p", "namespace": "ns"},
    "spec": {"containers": [{"name": "a", "image": "a:1"}]}
}"#;

fn pod(edits: &str) -> Pod {
    object(&Strategy, POD, edits)
}

fn created(edits: &str) -> Pod {
    let mut pod = pod(edits);
    Strategy.prepare_create(&mut pod);
    pod
}

#[test]
fn a_create_starts_from_nothing() {
    let pod = created("status.phase = \"Running\"\nspec.containers[0].resources.requests.cpu = \"1\"");
    assert_eq!(pod.phase(), "Pending");
    assert_eq!(pod.pod_status().qos_class.as_deref(), Some("Burstable"));
    assert_eq!(pod.metadata.generation, Some(1));
    assert!(pod.condition("PodScheduled").is_none());
    let gated = created("spec.schedulingGates = [{\"name\": \"a\"}]");
    assert_eq!(gated.condition("PodScheduled").unwrap().reason.as_deref(), Some("SchedulingGated"));
}

#[test]
fn each_part_changes_its_own_only() {
    let old = created("");
    let wish = "status.phase = \"Running\"\nspec.containers[0].image = \"a:2\"\nmetadata.labels.x = \"y\"";
    let after = |part| {
        let mut new = pod(wish);
        Strategy.prepare_update(&mut new, &old, part);
        let image = new.pod_spec().containers[0].image.clone().unwrap();
        (new.phase().to_owned(), image, new.metadata.generation.unwrap())
    };
    assert_eq!(after(Part::Main), ("Pending".into(), "a:2".into(), 2));
    assert_eq!(after(Part::Status), ("Running".into(), "a:1".into(), 1));
    assert_eq!(after(Part::EphemeralContainers), ("Pending".into(), "a:1".into(), 1));
    assert_eq!(after(Part::Resize), ("Pending".into(), "a:1".into(), 1));
}

#[test]
fn a_status_without_class_keeps_it() {
    let old = created("");
    let mut new = pod("status.phase = \"Running\"");
    Strategy.prepare_update(&mut new, &old, Part::Status);
    assert_eq!(new.pod_status().qos_class.as_deref(), Some("BestEffort"));
}

#[test]
fn binding_keeps_what_the_registry_sets() {
    let old = created("");
    let mut new = old.clone();
    new.spec.as_mut().unwrap().node_name = Some("n".into());
    Strategy.prepare_update(&mut new, &old, Part::Binding);
    assert_eq!(new.node_name(), Some("n"));
    assert!(Strategy.validate_update(&new, &old, Part::Binding).is_empty());
}

#[test]
fn grace() {
    let of = |edits: &str, requested| Strategy.grace(&pod(edits), requested);
    assert_eq!(of("", Some(5)), Grace::Immediate);
    let bound = "spec.nodeName = \"n\"";
    assert_eq!(of(bound, None), Grace::Seconds(30));
    assert_eq!(of(bound, Some(5)), Grace::Seconds(5));
    assert_eq!(of(bound, Some(0)), Grace::Immediate);
    assert_eq!(of(bound, Some(-1)), Grace::Seconds(1));
    assert_eq!(of("spec.nodeName = \"n\"\nstatus.phase = \"Succeeded\"", None), Grace::Immediate);
}

#[test]
fn fields() {
    let pod = pod("spec.nodeName = \"n\"\nspec.hostNetwork = true\nstatus.podIPs = [{\"ip\": \"1.1.1.1\"}]");
    let fields: std::collections::BTreeMap<_, _> = Strategy.fields(&pod).into_iter().collect();
    assert_eq!(fields["spec.nodeName"], "n");
    assert_eq!(fields["spec.hostNetwork"], "true");
    assert_eq!(fields["status.podIP"], "1.1.1.1");
    assert_eq!(fields["status.phase"], "");
}
