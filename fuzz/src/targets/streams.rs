//! What comes after an upgrade: frames of SPDY and WebSockets, and what travels in them. A session ends when its client is gone,
//! whatever the client sent.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use http::{Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use stdx::{SystemClock, Tasks};
use streaming::{Refused, portforward, remotecommand};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A session that goes on for longer without its client hangs.
const END_WITHIN: Duration = Duration::from_secs(20);

/// The head of a client's request.
fn head(upgrade: &str, more: &str) -> String {
    format!(
        "POST /x HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: {upgrade}\r\n{more}\r\n\
         content-length: 0\r\n\r\n"
    )
}

fn websocket_head(protocol: &str) -> String {
    let head = head(
        "websocket",
        &format!(
            "sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\nsec-websocket-protocol: {protocol}"
        ),
    );
    head.replacen("POST", "GET", 1).replace("content-length: 0\r\n", "")
}

pub fn exec_spdy(input: &[u8]) -> String {
    let head = head("SPDY/3.1", "x-stream-protocol-version: v4.channel.k8s.io");
    session(&head, input, Sort::Exec)
}

/// The first byte chooses the subprotocol.
pub fn exec_websocket(input: &[u8]) -> String {
    let (first, rest) = input.split_first().unwrap_or((&0, input));
    let protocol = ["v5.channel.k8s.io", "base64.channel.k8s.io"][usize::from(first & 1)];
    session(&websocket_head(protocol), rest, Sort::Exec)
}

pub fn port_forward(input: &[u8]) -> String {
    session(&head("SPDY/3.1", "x-stream-protocol-version: portforward.k8s.io"), input, Sort::PortForward)
}

/// The first byte chooses between the tunnel and the older form.
pub fn port_forward_websocket(input: &[u8]) -> String {
    let (first, rest) = input.split_first().unwrap_or((&0, input));
    let protocol = ["SPDY/3.1+portforward.k8s.io", "v4.channel.k8s.io"][usize::from(first & 1)];
    session(&websocket_head(protocol), rest, Sort::PortForward)
}

#[derive(Clone, Copy)]
enum Sort {
    Exec,
    PortForward,
}

/// A whole session whose client sends `input` and hangs up.
fn session(head: &str, input: &[u8], sort: Sort) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.unwrap_or_else(|e| panic!("start a runtime: {e}"));
    runtime.block_on(async {
        let tasks = Tasks::new();
        let (mut client, server) = tokio::io::duplex(64 << 10);
        let (owner, (running, mut ran)) = (tasks.clone(), mpsc::unbounded_channel());
        let serve = service_fn(move |request| {
            answer(request, sort, owner.clone(), running.clone()).map(Ok::<_, Refused>)
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(server), serve)
            .with_upgrades();
        tasks.spawn(connection.map(drop));
        let talk = async {
            let mut received = Vec::new();
            // A server that hangs up early is within its rights.
            let _ = client.write_all(head.as_bytes()).await;
            let (mut from, mut to) = tokio::io::split(&mut client);
            let sending = async {
                let _ = to.write_all(input).await;
                let _ = to.shutdown().await;
            };
            let reading = async {
                let _ = (&mut from).take(1 << 20).read_to_end(&mut received).await;
            };
            tokio::join!(sending, reading);
            received
        };
        let received = tokio::time::timeout(END_WITHIN, talk).await;
        let received =
            received.unwrap_or_else(|_| panic!("the server does not hang up on a client that is gone"));
        drop(client);
        let ended = async {
            while let Ok(session) = ran.try_recv() {
                session.await.unwrap_or_else(|e| panic!("the session panics: {e}"));
            }
            tasks.stop().await;
        };
        let ended = tokio::time::timeout(END_WITHIN, ended).await;
        ended.unwrap_or_else(|_| panic!("the session does not end when its client is gone"));
        sort_of(&received)
    })
}

/// The frames' first bytes after the answer's head: which sorts of frames came back.
fn sort_of(received: &[u8]) -> String {
    let body = received.windows(4).position(|w| w == b"\r\n\r\n").map_or(0, |at| at + 4);
    let body = &received[body.min(received.len())..];
    let letter = |b: &u8| char::from(b'a' + (b & 0xf));
    format!(
        "{} {}",
        received.starts_with(b"HTTP/1.1 101"),
        body.iter().take(8).map(letter).collect::<String>()
    )
}

/// Where the session that an answer begins is told of.
type Running = mpsc::UnboundedSender<JoinHandle<()>>;

async fn answer(
    mut request: Request<Incoming>,
    sort: Sort,
    tasks: Tasks,
    running: Running,
) -> Response<Empty<Bytes>> {
    let owner = tasks.clone();
    let clock = SystemClock::shared();
    let answered = match sort {
        Sort::Exec => {
            let options = remotecommand::Options { stdin: true, stdout: true, stderr: true, tty: false };
            remotecommand::accept(&mut request, options).map(|(response, session)| {
                let purpose = remotecommand::Purpose::Exec;
                let session = tasks.spawn(async move {
                    session.run(purpose, &clock, &owner, async || Ok(process())).await;
                });
                (response, session)
            })
        }
        Sort::PortForward => portforward::accept(&mut request, &[80, 81]).map(|(response, session)| {
            let session = tasks.spawn(async move { session.run(&clock, &owner, echo()).await });
            (response, session)
        }),
    };
    match answered {
        Ok((response, session)) => {
            // Whoever started this waits for it.
            let _ = running.send(session);
            response.map(|()| Empty::new())
        }
        Err(refused) => {
            let mut response = Response::new(Empty::new());
            *response.status_mut() = refused.status;
            response
        }
    }
}

/// A process that takes everything, says nothing and runs until somebody ends it.
fn process() -> remotecommand::Process {
    remotecommand::Process {
        stdin: Some(Box::pin(tokio::io::sink())),
        stdout: Some(Box::pin(tokio::io::empty())),
        stderr: Some(Box::pin(tokio::io::empty())),
        resize: None,
        exit: futures::future::pending().boxed(),
    }
}

/// Ports that send back what they get; one that is closed.
fn echo() -> portforward::Connect {
    Arc::new(|port| {
        async move {
            if port == 81 {
                return Err("connection refused".to_owned());
            }
            let (here, there) = tokio::io::duplex(16 << 10);
            let (mut from, mut to) = tokio::io::split(there);
            // Ends with its connection.
            tokio::spawn(async move { tokio::io::copy(&mut from, &mut to).await });
            Ok(Box::new(here) as Box<dyn portforward::Duplex>)
        }
        .boxed()
    })
}
