//! Service CIDRs and the addresses of services, over an API in memory.

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::{IPAddress, ServiceCIDR};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use resources::networking::ip_address;
use resources::networking::service_cidr::{DEFAULT, FINALIZER};
use resources::prelude::*;

use super::*;
use crate::{service_cidr, service_ip_repair};

fn address(ip: &str, service: &str) -> IPAddress {
    ip_address::of_service(ip.parse().expect("an address"), "default", service)
}

fn long_ago() -> Option<Time> {
    Some(Time("2020-01-01T00:00:00Z".parse().expect("a time")))
}

fn ready(api: &FakeApi, name: &str) -> Option<bool> {
    let range = api.find::<ServiceCIDR>("", name)?;
    let held = range.metadata.finalizers.iter().flatten().any(|f| f == FINALIZER);
    let said = range.status.as_ref().is_some_and(|s| s.conditions.is_some());
    (held && said).then(|| range.is_ready())
}

#[tokio::test]
async fn a_range_is_ready_and_goes_when_nothing_needs_it() {
    for remote in [false, true] {
        let world = World::either(remote).await;
        world.start(service_cidr::start);
        let range = r#"{"metadata":{"name":"more"},"spec":{"cidrs":["10.97.0.0/24"]}}"#;
        world.api.insert(&parse::<ServiceCIDR>(range));
        world.api.until(|api| ready(api, "more") == Some(true)).await;
        world.api.insert(&address("10.97.0.5", "web"));
        world.api.edit::<ServiceCIDR>("", "more", |r| r.metadata.deletion_timestamp = long_ago());
        world.api.until(|api| ready(api, "more") == Some(false)).await;
        let range = world.api.find::<ServiceCIDR>("", "more").expect("the range");
        let conditions = range.status.and_then(|s| s.conditions).expect("conditions");
        assert_eq!(conditions[0].reason, "Terminating");
        world.api.remove::<IPAddress>("", "10.97.0.5");
        world.api.until(|api| api.all::<ServiceCIDR>().is_empty()).await;
        world.tasks.stop().await;
    }
}

#[tokio::test]
async fn the_default_range() {
    let world = World::new();
    let api = Api::<ServiceCIDR>::new(world.transport.clone());
    let ensure = |cidrs: &[&str]| {
        let (api, now) = (api.clone(), world.clock.now());
        let cidrs: Vec<String> = cidrs.iter().map(|c| (*c).into()).collect();
        async move { service_cidr::ensure_default(&api, cidrs, now).await.expect("ensured") }
    };
    let cidrs = || world.api.find::<ServiceCIDR>("", DEFAULT).expect("the range").cidrs().join(",");
    ensure(&["10.96.0.0/16"]).await;
    assert!(world.api.find::<ServiceCIDR>("", DEFAULT).expect("the range").is_ready());
    ensure(&["10.96.0.0/16", "fd00::/112"]).await;
    assert_eq!(cidrs(), "10.96.0.0/16,fd00::/112");
    ensure(&["10.0.0.0/16"]).await;
    assert_eq!(cidrs(), "10.96.0.0/16,fd00::/112", "another range is not put in its place");
}

#[tokio::test]
async fn services_and_addresses_agree() {
    for remote in [false, true] {
        let world = World::either(remote).await;
        world.start(service_ip_repair::start);
        let service = r#"{"metadata":{"name":"web","namespace":"default"},
            "spec":{"type":"ClusterIP","clusterIP":"10.96.0.5","clusterIPs":["10.96.0.5"]}}"#;
        world.api.insert(&parse::<Service>(service));
        let taken = |api: &FakeApi| {
            let address = api.find::<IPAddress>("", "10.96.0.5");
            address.is_some_and(|a| a.is_allocated() && a.service() == Some(("default", "web")))
        };
        world.api.until(taken).await;
        world.api.remove::<IPAddress>("", "10.96.0.5");
        world.api.until(taken).await;
        let told = |api: &FakeApi| {
            let events = api.all::<Event>();
            let mine = |e: &&Event| e.reason.as_deref() == Some("ClusterIPNotAllocated");
            events.iter().filter(mine).any(|e| {
                e.message.as_deref() == Some("Cluster IP [IPv4]: 10.96.0.5 is not allocated; repairing")
            })
        };
        world.api.until(told).await;

        let mut mine = address("10.96.0.6", "gone");
        mine.metadata.labels = None;
        world.api.insert(&mine);
        world.api.insert(&address("10.96.0.7", "gone"));
        for ip in ["10.96.0.6", "10.96.0.7"] {
            world.api.edit::<IPAddress>("", ip, |a| a.metadata.creation_timestamp = long_ago());
        }
        world.api.until(|api| api.find::<IPAddress>("", "10.96.0.7").is_none()).await;
        assert!(world.api.find::<IPAddress>("", "10.96.0.6").is_some(), "a user's own");
        assert!(taken(&world.api));

        // A service that is gone loses its address, whoever forgot it.
        world.api.edit::<IPAddress>("", "10.96.0.5", |a| a.metadata.creation_timestamp = long_ago());
        world.api.remove::<Service>("default", "web");
        world.api.until(|api| api.find::<IPAddress>("", "10.96.0.5").is_none()).await;
        world.tasks.stop().await;
    }
}
