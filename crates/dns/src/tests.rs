//! The whole server, over real sockets on loopback.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use client::fake::FakeApi;
use codec::Kind as _;
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use k8s_openapi::api::core::v1::{Namespace, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::{Value, json};
use stdx::{Random, SystemClock, Tasks};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

use crate::{Access, Config, Dns, PodNames};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

async fn start(api: &FakeApi, tasks: &Tasks) -> SocketAddr {
    let clock = SystemClock::shared();
    let config = Config {
        address: LOOPBACK,
        port: 0,
        domain: "cluster.local".into(),
        service_ips: vec!["10.43.0.10".parse().unwrap()],
        ranges: vec!["10.43.0.0/16".parse().unwrap()],
        pods: PodNames::Verified,
        access: Access::new(Vec::new(), Vec::new, clock.clone()),
        resolv_conf: "/does/not/exist".into(),
    };
    Dns::start(config, api.transport(), clock, Random::seeded(1), tasks).await.unwrap().address()
}

fn question(name: &str, kind: RecordType) -> Vec<u8> {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message.to_vec().unwrap()
}

async fn udp(server: SocketAddr, name: &str, kind: RecordType) -> Message {
    let socket = UdpSocket::bind((LOOPBACK, 0)).await.unwrap();
    socket.connect(server).await.unwrap();
    socket.send(&question(name, kind)).await.unwrap();
    let mut buffer = [0; 4096];
    let len = socket.recv(&mut buffer).await.unwrap();
    Message::from_vec(&buffer[..len]).unwrap()
}

async fn tcp(stream: &mut TcpStream, name: &str, kind: RecordType) -> Message {
    let packet = question(name, kind);
    stream.write_u16(packet.len() as u16).await.unwrap();
    stream.write_all(&packet).await.unwrap();
    let mut reply = vec![0; usize::from(stream.read_u16().await.unwrap())];
    stream.read_exact(&mut reply).await.unwrap();
    Message::from_vec(&reply).unwrap()
}

/// Asks until the answer has this code: changes take a moment.
async fn until(server: SocketAddr, name: &str, code: ResponseCode) -> Message {
    loop {
        let answer = udp(server, name, RecordType::A).await;
        if answer.response_code == code {
            return answer;
        }
        tokio::task::yield_now().await;
    }
}

fn insert(api: &FakeApi) {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ns"}});
    api.insert(&Namespace::from_json(namespace.to_string().as_bytes()).unwrap());
    let service = |name: &str, spec: Value| {
        let all = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "ns"}, "spec": spec,
        });
        api.insert(&Service::from_json(all.to_string().as_bytes()).unwrap());
    };
    service("web", json!({"clusterIP": "10.43.0.7", "ports": [{"port": 80}]}));
    service("db", json!({"clusterIP": "None", "ports": [{"port": 80}]}));
    service("alias", json!({"type": "ExternalName", "externalName": "web.ns.svc.cluster.local"}));
    service("circle", json!({"type": "ExternalName", "externalName": "circle.ns.svc.cluster.local"}));
    let endpoints: Vec<Value> = (0..100).map(|i| json!({"addresses": [format!("10.42.1.{i}")]})).collect();
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "db-1", "namespace": "ns", "labels": {"kubernetes.io/service-name": "db"}},
        "endpoints": endpoints,
    });
    api.insert(&EndpointSlice::from_json(slice.to_string().as_bytes()).unwrap());
}

#[tokio::test]
async fn names_are_answered_over_udp_and_tcp_and_follow_the_api() {
    let api = FakeApi::new(SystemClock::shared());
    insert(&api);
    let tasks = Tasks::new();
    let server = start(&api, &tasks).await;
    let web = until(server, "web.ns.svc.cluster.local.", ResponseCode::NoError).await;
    assert_eq!(web.answers[0].data.to_string(), "10.43.0.7");

    let cut = udp(server, "db.ns.svc.cluster.local.", RecordType::A).await;
    assert!(cut.truncation && !cut.answers.is_empty() && cut.answers.len() < 100);
    let mut stream = TcpStream::connect(server).await.unwrap();
    assert_eq!(tcp(&mut stream, "db.ns.svc.cluster.local.", RecordType::A).await.answers.len(), 100);
    // The same connection takes more questions, also those that others would have to answer.
    let none = tcp(&mut stream, "example.com.", RecordType::A).await;
    assert_eq!(none.response_code, ResponseCode::ServFail);
    let mut firsts = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let answer = udp(server, "db.ns.svc.cluster.local.", RecordType::A).await;
        firsts.insert(answer.answers[0].data.to_string());
    }
    assert!(firsts.len() > 1, "always the same address first");

    let alias = udp(server, "alias.ns.svc.cluster.local.", RecordType::A).await;
    assert_eq!(alias.answers.len(), 2);
    assert_eq!(alias.answers[1].data.to_string(), "10.43.0.7");
    let circle = udp(server, "circle.ns.svc.cluster.local.", RecordType::A).await;
    assert_eq!(circle.response_code, ResponseCode::ServFail);

    api.remove::<Service>("ns", "web");
    until(server, "web.ns.svc.cluster.local.", ResponseCode::NXDomain).await;
    tasks.stop().await;
}

#[tokio::test]
async fn a_port_in_use_is_no_obstacle() {
    let api = FakeApi::new(SystemClock::shared());
    let tasks = Tasks::new();
    let first = start(&api, &tasks).await;
    let sockets = crate::server::bind(LOOPBACK, first.port()).await.unwrap();
    assert_ne!(sockets.address.port(), first.port());
    tasks.stop().await;
}
