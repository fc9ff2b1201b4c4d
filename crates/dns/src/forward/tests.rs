use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, Query, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use stdx::Tasks;
use testkit::FakeClock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};

use super::Forwarder;
use super::servers::parse;
use crate::zone::Answer;

/// A nameserver on loopback.
struct Upstream {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    tasks: Tasks,
}

#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Answers(ResponseCode),
    /// Never.
    Silent,
    /// Over UDP it only says that the answer is too long.
    Long,
    /// Knows nothing of EDNS.
    Old,
}

impl Upstream {
    async fn start(manner: Manner) -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let udp = UdpSocket::bind(address).await.unwrap();
        let (asked, tasks) = (Arc::new(AtomicUsize::new(0)), Tasks::new());
        let counter = asked.clone();
        tasks.spawn_until_shutdown(async move {
            let mut buffer = [0; 4096];
            loop {
                let (len, client) = udp.recv_from(&mut buffer).await.unwrap();
                counter.fetch_add(1, Ordering::SeqCst);
                if manner != Manner::Silent {
                    // A forger's answer comes first, and has to be passed over.
                    let mut forged = Message::from_vec(&answer(&buffer[..len], manner)).unwrap();
                    forged.metadata.id ^= 1;
                    udp.send_to(&forged.to_vec().unwrap(), client).await.unwrap();
                    udp.send_to(&answer(&buffer[..len], manner), client).await.unwrap();
                }
            }
        });
        tasks.spawn_until_shutdown(async move {
            loop {
                let (mut stream, _) = tcp.accept().await.unwrap();
                let mut packet = vec![0; usize::from(stream.read_u16().await.unwrap())];
                stream.read_exact(&mut packet).await.unwrap();
                let reply = answer(&packet, Manner::Answers(ResponseCode::NoError));
                stream.write_u16(reply.len() as u16).await.unwrap();
                stream.write_all(&reply).await.unwrap();
            }
        });
        Upstream { address, asked, tasks }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn answer(packet: &[u8], manner: Manner) -> Vec<u8> {
    let mut message = Message::from_vec(packet).unwrap();
    message.metadata.message_type = MessageType::Response;
    match manner {
        Manner::Long => message.metadata.truncation = true,
        Manner::Old if message.edns.take().is_some() => {
            message.metadata.response_code = ResponseCode::FormErr;
        }
        Manner::Answers(code) if code != ResponseCode::NoError => message.metadata.response_code = code,
        _ => {
            let name = message.queries[0].name().clone();
            message.add_answer(Record::from_rdata(name, 60, RData::A(A([192, 0, 2, 9].into()))));
        }
    }
    message.to_vec().unwrap()
}

struct World {
    clock: FakeClock,
    forward: Arc<Forwarder>,
    file: tempfile::NamedTempFile,
}

impl World {
    fn new(servers: &[&Upstream]) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        let clock = FakeClock::new();
        let forward = Arc::new(Forwarder::new(file.path().into(), Vec::new(), clock.shared()));
        let world = World { clock, forward, file };
        world.name(servers);
        world
    }

    fn name(&self, servers: &[&Upstream]) {
        let lines: String = servers.iter().map(|s| format!("nameserver {}\n", s.address)).collect();
        std::fs::write(self.file.path(), lines).unwrap();
    }

    async fn ask(&self, name: &str) -> Answer {
        let query = Query::query(Name::from_ascii(name).unwrap(), RecordType::A);
        self.forward.resolve(&query, false).await
    }

    /// Asks a server that is dead: a second passes after each packet that it got.
    async fn ask_in_vain(&self, dead: &Upstream, name: &str) -> Answer {
        let before = dead.asked();
        let time = async {
            for packets in 1..=2 {
                while dead.asked() < before + packets {
                    tokio::task::yield_now().await;
                }
                self.clock.advance(Duration::from_secs(1));
            }
        };
        let (answer, ()) = futures::join!(self.ask(name), time);
        assert_eq!(dead.asked(), before + 2, "it is asked again once");
        answer
    }
}

#[tokio::test]
async fn the_first_server_that_answers_is_heard() {
    let good = Upstream::start(Manner::Answers(ResponseCode::NoError)).await;
    let bad = Upstream::start(Manner::Answers(ResponseCode::ServFail)).await;
    let world = World::new(&[&bad, &good]);
    let answer = world.ask("a.example.").await;
    assert_eq!((answer.code, answer.answers.len()), (ResponseCode::NoError, 1));
    assert!(!answer.authoritative);
    // It is kept, in whatever case it is asked for; another name is not.
    world.ask("A.EXAMPLE.").await;
    assert_eq!((bad.asked(), good.asked()), (1, 1));
    world.ask("b.example.").await;
    assert_eq!((bad.asked(), good.asked()), (2, 2));

    // Its word when all refuse.
    world.name(&[&bad]);
    assert_eq!(world.ask("c.example.").await.code, ResponseCode::ServFail);
    for upstream in [good, bad] {
        upstream.tasks.stop().await;
    }
}

#[tokio::test]
async fn long_answers_come_over_tcp() {
    let long = Upstream::start(Manner::Long).await;
    let world = World::new(&[&long]);
    assert_eq!(world.ask("a.example.").await.answers.len(), 1);
    long.tasks.stop().await;
}

#[tokio::test]
async fn old_servers_are_asked_in_the_old_way() {
    let old = Upstream::start(Manner::Old).await;
    let world = World::new(&[&old]);
    assert_eq!(world.ask("a.example.").await.answers.len(), 1);
    assert_eq!(old.asked(), 2);
    old.tasks.stop().await;
}

#[tokio::test]
async fn dead_servers_are_noticed_and_come_back() {
    let dead = Upstream::start(Manner::Silent).await;
    let world = World::new(&[&dead]);
    assert_eq!(world.ask_in_vain(&dead, "a.example.").await.code, ResponseCode::ServFail);
    // Known to be dead: nobody waits, nobody asks.
    assert_eq!(world.ask("b.example.").await.code, ResponseCode::ServFail);
    assert_eq!(dead.asked(), 2);

    // After a rest one question finds out.
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.ask_in_vain(&dead, "c.example.").await.code, ResponseCode::ServFail);

    // A file that names another is read.
    let good = Upstream::start(Manner::Answers(ResponseCode::NoError)).await;
    world.name(&[&good]);
    assert_eq!(world.ask("d.example.").await.code, ResponseCode::NoError);
    // A living server after a dead one is reached within the time that clients wait.
    world.name(&[&dead, &good]);
    assert_eq!(world.ask_in_vain(&dead, "e.example.").await.code, ResponseCode::NoError);
    for upstream in [good, dead] {
        upstream.tasks.stop().await;
    }
}

#[tokio::test]
async fn without_servers_the_answer_is_no() {
    let world = World::new(&[]);
    let query = Query::query(Name::from_ascii("a.").unwrap(), RecordType::A);
    assert_eq!(world.forward.resolve(&query, false).await.code, ResponseCode::ServFail);
    std::fs::remove_file(world.file.path()).unwrap();
    assert_eq!(world.forward.resolve(&query, false).await.code, ResponseCode::ServFail);
}

#[test]
fn resolv_conf_is_read_as_resolvers_do() {
    let text = "# nameserver 1.1.1.1\nnameserver 192.0.2.1\nsearch x\nnameserver fe80::1%eth0 ; why\nnameserver 127.0.0.1:5353\nnameserver nonsense\n";
    let seen: Vec<String> = parse(text).iter().map(ToString::to_string).collect();
    assert_eq!(seen, ["192.0.2.1:53", "[fe80::1]:53", "127.0.0.1:5353"]);
}
