//! UDP and TCP on one port. Start at [`serve`].
//!
//! What the cluster knows is answered where it is read; only questions for others get a task, and there is a bound on those.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use stdx::Tasks;
use stdx::clock::SharedClock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;

use crate::access::Access;
use crate::message::{self, Over};
use crate::resolver::{Resolver, Step};
use crate::within;
use crate::zone::Answer;

/// Questions that wait for other servers.
const FORWARDS_MAX: usize = 512;
const CONNECTIONS_MAX: usize = 128;
/// A connection that asks nothing for this long ends; so does one that does not take its answers.
const IDLE: Duration = Duration::from_secs(10);
/// After an error of a socket as a whole, lest the loop spin.
const PAUSE: Duration = Duration::from_millis(100);
/// How often another port is tried that is free for both.
const PORTS_TRIED: usize = 16;

/// Both listeners, on the same port.
pub struct Sockets {
    pub address: SocketAddr,
    udp: UdpSocket,
    tcp: TcpListener,
}

/// Listens on the port, or on another when it is taken.
pub async fn bind(ip: IpAddr, port: u16) -> io::Result<Sockets> {
    match bind_both(SocketAddr::new(ip, port)).await {
        Err(e) if e.kind() == io::ErrorKind::AddrInUse => {}
        bound => return bound,
    }
    let mut last = None;
    for _ in 0..PORTS_TRIED {
        match bind_both(SocketAddr::new(ip, 0)).await {
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => last = Some(e),
            bound => return bound,
        }
    }
    Err(last.unwrap_or_else(|| io::ErrorKind::AddrInUse.into()))
}

async fn bind_both(address: SocketAddr) -> io::Result<Sockets> {
    let tcp = TcpListener::bind(address).await?;
    let address = tcp.local_addr()?;
    let udp = UdpSocket::bind(address).await?;
    Ok(Sockets { address, udp, tcp })
}

/// Answers until `tasks` are stopped.
pub fn serve(
    sockets: Sockets,
    resolver: Arc<Resolver>,
    access: Arc<Access>,
    clock: SharedClock,
    tasks: &Tasks,
) {
    let server = Arc::new(Server {
        resolver,
        access,
        clock,
        tasks: tasks.clone(),
        forwards: Arc::new(Semaphore::new(FORWARDS_MAX)),
        connections: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
    });
    tasks.spawn_until_shutdown(server.clone().udp(Arc::new(sockets.udp)));
    tasks.spawn_until_shutdown(server.tcp(sockets.tcp));
}

struct Server {
    resolver: Arc<Resolver>,
    access: Arc<Access>,
    clock: SharedClock,
    tasks: Tasks,
    forwards: Arc<Semaphore>,
    connections: Arc<Semaphore>,
}

impl Server {
    async fn udp(self: Arc<Self>, socket: Arc<UdpSocket>) {
        let mut buffer = vec![0; usize::from(u16::MAX)];
        loop {
            match socket.recv_from(&mut buffer).await {
                Ok((len, client)) => self.datagram(&socket, &buffer[..len], client),
                Err(error) => {
                    tracing::debug!(%error, "receive a DNS question");
                    self.clock.sleep(PAUSE).await;
                }
            }
        }
    }

    /// Answers at once, or has a task do it.
    fn datagram(self: &Arc<Self>, socket: &Arc<UdpSocket>, packet: &[u8], client: SocketAddr) {
        // Lost packets are the client's to send again; a full buffer loses them, too.
        let send = |packet: &[u8]| {
            if !packet.is_empty() {
                let _ = socket.try_send_to(packet, client);
            }
        };
        let question = match message::parse(packet) {
            Ok(question) => question,
            // To strangers not even that something is wrong.
            Err(refusal) if self.access.allows(client.ip()) => return send(&refusal),
            Err(_) => return,
        };
        if !self.access.allows(client.ip()) {
            return send(&question.reply(&Answer::code(ResponseCode::Refused), Over::Udp));
        }
        let forward = match self.resolver.find(&question) {
            Step::Done(answer) => return send(&question.reply(&answer, Over::Udp)),
            Step::Forward(forward) => forward,
        };
        let Ok(permit) = self.forwards.clone().try_acquire_owned() else {
            return send(&question.reply(&Answer::code(ResponseCode::ServFail), Over::Udp));
        };
        let (server, socket) = (self.clone(), socket.clone());
        self.tasks.spawn_until_shutdown(async move {
            let answer = server.resolver.forward(forward).await;
            if let Err(error) = socket.send_to(&question.reply(&answer, Over::Udp), client).await {
                tracing::debug!(%error, %client, "send a DNS answer");
            }
            drop(permit);
        });
    }

    async fn tcp(self: Arc<Self>, listener: TcpListener) {
        loop {
            match listener.accept().await {
                // Closed at once: strangers, and what is too much.
                Ok((stream, client)) if self.access.allows(client.ip()) => {
                    if let Ok(permit) = self.connections.clone().try_acquire_owned() {
                        let server = self.clone();
                        self.tasks.spawn_until_shutdown(async move {
                            if let Err(error) = server.connection(stream).await {
                                tracing::debug!(%error, %client, "a DNS connection");
                            }
                            drop(permit);
                        });
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(%error, "accept a DNS connection");
                    self.clock.sleep(PAUSE).await;
                }
            }
        }
    }

    /// One question after the other.
    async fn connection(&self, mut stream: TcpStream) -> io::Result<()> {
        while let Some(packet) = within(&*self.clock, IDLE, read(&mut stream)).await {
            let reply = match message::parse(&packet?) {
                Ok(question) => match self.resolver.find(&question) {
                    Step::Done(answer) => question.reply(&answer, Over::Tcp),
                    Step::Forward(forward) => {
                        let answer = match self.forwards.try_acquire() {
                            Ok(_permit) => self.resolver.forward(forward).await,
                            Err(_) => Answer::code(ResponseCode::ServFail),
                        };
                        question.reply(&answer, Over::Tcp)
                    }
                },
                Err(refusal) if refusal.is_empty() => return Ok(()),
                Err(refusal) => refusal,
            };
            let Ok(len) = u16::try_from(reply.len()) else { return Ok(()) };
            let whole = [&len.to_be_bytes()[..], &reply].concat();
            match within(&*self.clock, IDLE, stream.write_all(&whole)).await {
                Some(written) => written?,
                None => return Ok(()),
            }
        }
        Ok(())
    }
}

async fn read(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let len = stream.read_u16().await?;
    let mut packet = vec![0; usize::from(len)];
    stream.read_exact(&mut packet).await?;
    Ok(packet)
}
