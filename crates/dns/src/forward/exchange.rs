//! One question to one nameserver: over UDP, twice if need be, then over TCP when the answer is too long for it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use stdx::Random;
use stdx::clock::Clock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

use crate::message::UDP_MAX;
use crate::within;
use crate::zone::Answer;

/// How long one packet is waited for, and how often it is sent.
const PATIENCE: Duration = Duration::from_secs(1);
const SENDS: usize = 2;

/// The server's answer, whatever its code. An error: there was none.
pub async fn exchange(to: SocketAddr, query: &Query, dnssec: bool, clock: &dyn Clock) -> Result<Answer> {
    let mut question = question(query, dnssec);
    let mut packet = question.to_vec().context("encode the question")?;
    let mut message = udp(to, &question, &packet, clock).await?;
    let misunderstood = matches!(message.response_code, ResponseCode::FormErr | ResponseCode::NotImp);
    if misunderstood && message.edns.is_none() {
        // From before EDNS (RFC 6891, 7): it has to be asked as one did then.
        question.edns = None;
        packet = question.to_vec().context("encode the question")?;
        message = udp(to, &question, &packet, clock).await?;
    }
    if message.truncation {
        let long = within(clock, PATIENCE * 2, tcp(to, &question, &packet)).await;
        message = long.context("no answer over TCP in time")?.context("ask again over TCP")?;
    }
    Ok(Answer {
        code: message.response_code,
        authoritative: false,
        authentic: message.authentic_data,
        answers: message.answers,
        authorities: message.authorities,
        additionals: message.additionals,
    })
}

fn question(query: &Query, dnssec: bool) -> Message {
    // Not from a seed: who can guess it can forge answers.
    let mut id = [0; 2];
    Random::secret(&mut id);
    let mut message = Message::new(u16::from_be_bytes(id), MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.metadata.authentic_data = true;
    message.add_query(query.clone());
    let mut edns = Edns::new();
    edns.set_max_payload(UDP_MAX).set_version(0).set_dnssec_ok(dnssec);
    message.edns = Some(edns);
    message
}

async fn udp(to: SocketAddr, question: &Message, packet: &[u8], clock: &dyn Clock) -> Result<Message> {
    let any: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // A port of its own for every question: the other half of what a forger has to guess.
    let socket = UdpSocket::bind((any, 0)).await.context("open a socket")?;
    socket.connect(to).await.context("connect")?;
    for _ in 0..SENDS {
        socket.send(packet).await.context("send")?;
        if let Some(answer) = within(clock, PATIENCE, receive(&socket, question)).await {
            return answer;
        }
    }
    bail!("no answer within {:?}", PATIENCE * SENDS as u32)
}

/// The answer; packets that are none are passed over.
async fn receive(socket: &UdpSocket, question: &Message) -> Result<Message> {
    let mut buffer = [0; 4096];
    loop {
        let len = socket.recv(&mut buffer).await.context("receive")?;
        if let Some(answer) = answer_to(question, &buffer[..len]) {
            return Ok(answer);
        }
    }
}

async fn tcp(to: SocketAddr, question: &Message, packet: &[u8]) -> Result<Message> {
    let mut stream = TcpStream::connect(to).await.context("connect")?;
    let len = u16::try_from(packet.len()).context("a question that is too long")?;
    stream.write_all(&[&len.to_be_bytes()[..], packet].concat()).await.context("send")?;
    let len = stream.read_u16().await.context("receive")?;
    let mut buffer = vec![0; usize::from(len)];
    stream.read_exact(&mut buffer).await.context("receive")?;
    answer_to(question, &buffer).context("not an answer to the question")
}

fn answer_to(question: &Message, packet: &[u8]) -> Option<Message> {
    let message = Message::from_vec(packet).ok()?;
    let fits = message.message_type == MessageType::Response
        && message.id == question.id
        && (message.queries == question.queries || message.queries.is_empty());
    fits.then_some(message)
}
