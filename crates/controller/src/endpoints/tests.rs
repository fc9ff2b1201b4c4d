use codec::Kind;
use k8s_openapi::api::core::v1::{Endpoints, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;

use super::legacy::desired;
use super::members::members;
use super::mirror::mirrored;
use super::slices::{Action, diff};

fn service(more: &str) -> Service {
    let json = format!(
        r#"{{"metadata":{{"name":"web","namespace":"ns"}},"spec":{{"selector":{{"app":"web"}},
        "ports":[{{"name":"http","port":80,"targetPort":"web"}},{{"name":"dns","port":53,"protocol":"UDP"}}]{more}}}}}"#
    );
    Service::from_json(json.as_bytes()).expect("a service")
}

fn pod(name: &str, port: u16, ready: &str, more: &str) -> Pod {
    let json = format!(
        r#"{{"metadata":{{"name":"{name}","namespace":"ns"{more}}},"spec":{{"nodeName":"n","containers":[{{"name":"c",
        "ports":[{{"name":"web","containerPort":{port}}}]}}]}},"status":{{"phase":"Running","podIP":"10.0.0.{port}",
        "conditions":[{{"type":"Ready","status":"{ready}"}}]}}}}"#
    );
    Pod::from_json(json.as_bytes()).expect("a pod")
}

const DELETING: &str = r#","deletionTimestamp":"2026-01-01T00:00:00Z""#;

/// Each group's ports, then its members with their conditions.
fn show(service: &Service, pods: &[Pod]) -> Vec<String> {
    let groups = members(service, pods, "IPv4");
    let line = |(ports, members): (Vec<super::members::Port>, Vec<super::members::Member>)| {
        let ports: Vec<_> = ports.iter().map(|p| format!("{}={}/{}", p.name, p.port, p.protocol)).collect();
        let members: Vec<_> = members
            .iter()
            .map(|m| format!("{} {} {} {}", m.address, m.ready, m.serving, m.terminating))
            .collect();
        format!("{}: {}", ports.join(" "), members.join(", "))
    };
    groups.into_iter().map(line).collect()
}

#[test]
fn pods_are_grouped_by_the_ports_their_names_mean() {
    let pods = [pod("a", 1, "True", ""), pod("b", 2, "False", ""), pod("c", 3, "True", DELETING)];
    assert_eq!(
        show(&service(""), &pods),
        [
            "dns=53/UDP http=1/TCP: 10.0.0.1 true true false",
            "dns=53/UDP http=2/TCP: 10.0.0.2 false false false",
            "dns=53/UDP http=3/TCP: 10.0.0.3 false true true",
        ]
    );
    let all = service(r#","publishNotReadyAddresses":true"#);
    assert_eq!(show(&all, &pods[1..2]), ["dns=53/UDP http=2/TCP: 10.0.0.2 true false false"]);
}

#[test]
fn the_older_form_leaves_out_who_is_leaving() {
    let pods = [pod("a", 1, "True", ""), pod("b", 2, "False", ""), pod("c", 3, "True", DELETING)];
    let endpoints = desired(&service(""), &pods);
    let subsets = endpoints.subsets.expect("subsets");
    let shown: Vec<_> = subsets
        .iter()
        .map(|s| {
            (s.addresses.as_ref().map_or(0, Vec::len), s.not_ready_addresses.as_ref().map_or(0, Vec::len))
        })
        .collect();
    assert_eq!(shown, [(1, 0), (0, 1)]);
    assert_eq!(desired(&service(""), &[]).subsets, None);
}

#[test]
fn a_slice_keeps_its_name_while_its_ports_stay() {
    use k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};
    let slice = |name: &str, port: i32, address: &str| {
        let mut slice = EndpointSlice {
            address_type: "IPv4".into(),
            endpoints: Some(vec![Endpoint { addresses: vec![address.into()], ..Endpoint::default() }]),
            ports: Some(vec![EndpointPort { port: Some(port), ..EndpointPort::default() }]),
            ..EndpointSlice::default()
        };
        slice.metadata.name = Some(name.into());
        slice
    };
    let observed = vec![slice("one", 1, "a"), slice("two", 2, "b"), slice("three", 3, "c")];
    let desired = vec![slice("", 1, "a"), slice("", 2, "x"), slice("", 4, "d")];
    let actions = diff(desired, observed);
    let shown: Vec<_> = actions
        .iter()
        .map(|action| match action {
            Action::Create(s) => format!("create {}", s.name()),
            Action::Update(s) => format!("update {}", s.name()),
            Action::Delete(s) => format!("delete {}", s.name()),
        })
        .collect();
    assert_eq!(shown, ["create ", "update two", "delete three"]);
}

#[test]
fn what_is_written_by_hand_is_mirrored() {
    let service = Service::from_json(
        br#"{"metadata":{"name":"db","namespace":"ns"},"spec":{"ports":[{"port":5432}]}}"#,
    );
    let endpoints = Endpoints::from_json(
        br#"{"metadata":{"name":"db","namespace":"ns","uid":"u","labels":{"a":"b"},
        "annotations":{"keep":"me","endpoints.kubernetes.io/last-change-trigger-time":"x"}},
        "subsets":[{"addresses":[{"ip":"192.0.2.1","hostname":"h"},{"ip":"2001:db8::1"}],"notReadyAddresses":[{"ip":"192.0.2.2"}],
        "ports":[{"name":"pg","port":5432,"protocol":"TCP"}]},
        {"addresses":[{"ip":"192.0.2.3"}],"ports":[{"name":"pg","port":5432,"protocol":"TCP"}]}]}"#,
    );
    let show = |slice: &EndpointSlice| {
        let members =
            slice.endpoints.iter().flatten().map(|e| {
                format!("{}={}", e.addresses.join(","), e.conditions.as_ref().unwrap().ready.unwrap())
            });
        let ports =
            slice.ports.iter().flatten().map(|p| format!("{}:{}", p.name.clone().unwrap(), p.port.unwrap()));
        format!(
            "{} {} {}",
            slice.address_type,
            ports.collect::<String>(),
            members.collect::<Vec<_>>().join(" ")
        )
    };
    let slices = mirrored(&service.unwrap(), &endpoints.unwrap());
    let shown: Vec<_> = slices.iter().map(show).collect();
    assert_eq!(
        shown,
        ["IPv4 pg:5432 192.0.2.1=true 192.0.2.2=false 192.0.2.3=true", "IPv6 pg:5432 2001:db8::1=true"]
    );
    let metadata = &slices[0].metadata;
    let pairs = |map: &Option<std::collections::BTreeMap<String, String>>| format!("{map:?}");
    assert_eq!(pairs(&metadata.annotations), r#"Some({"keep": "me"})"#);
    assert!(pairs(&metadata.labels).contains(r#""kubernetes.io/service-name": "db""#));
    let owner = &metadata.owner_references.as_ref().unwrap()[0];
    assert_eq!((&*owner.kind, &*owner.name, &*owner.uid), ("Endpoints", "db", "u"));
}
