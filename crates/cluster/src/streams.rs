//! exec, attach and port-forward: what the kubelet's server is asked, over the `streaming` wire, to the runtime.

use std::sync::Arc;

use async_trait::async_trait;
use cri::{AttachRequest, Attached, ExecRequest, RuntimeService, TerminalSize};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use kubelet::server::{Body, StreamTarget, Streaming, full};
use stdx::Tasks;
use stdx::clock::SharedClock;
use streaming::remotecommand::{Options, Process, Purpose, Size};
use streaming::{Refused, portforward, remotecommand};
use tokio::sync::mpsc;

/// Streams of one node's containers.
pub struct Streams {
    pub runtime: Arc<dyn RuntimeService>,
    pub clock: SharedClock,
    pub tasks: Tasks,
}

#[async_trait]
impl Streaming for Streams {
    async fn serve(&self, request: Request<Incoming>, target: StreamTarget) -> Response<Body> {
        let answered = match target {
            StreamTarget::Exec { container } => self.exec(request, container),
            StreamTarget::Attach { container } => self.attach(request, container),
            StreamTarget::PortForward { sandbox } => self.port_forward(request, sandbox),
        };
        match answered {
            Ok(response) => response.map(|()| full("")),
            Err(refused) => refusal(&refused),
        }
    }
}

impl Streams {
    fn exec(&self, mut request: Request<Incoming>, container: String) -> Result<Response<()>, Refused> {
        let query = Query::of(&request);
        let options = query.options();
        let command = query.all("command");
        if command.is_empty() {
            return Err(Refused {
                status: StatusCode::BAD_REQUEST,
                message: "you must specify a command".into(),
            });
        }
        let (response, session) = remotecommand::accept(&mut request, options)?;
        let (runtime, clock, tasks) = (self.runtime.clone(), self.clock.clone(), self.tasks.clone());
        self.tasks.spawn_until_shutdown(async move {
            let request = ExecRequest {
                container,
                command,
                tty: options.tty,
                stdin: options.stdin,
                stdout: options.stdout,
                stderr: options.stderr,
            };
            let start =
                async || runtime.exec(request).await.map_err(|e| e.to_string()).map(|a| process(a, &tasks));
            session.run(Purpose::Exec, &clock, &tasks, start).await;
        });
        Ok(response)
    }

    fn attach(&self, mut request: Request<Incoming>, container: String) -> Result<Response<()>, Refused> {
        let options = Query::of(&request).options();
        let (response, session) = remotecommand::accept(&mut request, options)?;
        let (runtime, clock, tasks) = (self.runtime.clone(), self.clock.clone(), self.tasks.clone());
        self.tasks.spawn_until_shutdown(async move {
            let request = AttachRequest {
                container,
                tty: options.tty,
                stdin: options.stdin,
                stdout: options.stdout,
                stderr: options.stderr,
            };
            let start =
                async || runtime.attach(request).await.map_err(|e| e.to_string()).map(|a| process(a, &tasks));
            session.run(Purpose::Attach, &clock, &tasks, start).await;
        });
        Ok(response)
    }

    fn port_forward(&self, mut request: Request<Incoming>, sandbox: String) -> Result<Response<()>, Refused> {
        let named = Query::of(&request).all("port");
        let ports =
            named.iter().flat_map(|p| p.split(',')).filter_map(|p| p.parse().ok()).collect::<Vec<u16>>();
        let (response, session) = portforward::accept(&mut request, &ports)?;
        let (runtime, clock, tasks) = (self.runtime.clone(), self.clock.clone(), self.tasks.clone());
        self.tasks.spawn_until_shutdown(async move {
            let connect: portforward::Connect = Arc::new(move |port| {
                let (runtime, sandbox) = (runtime.clone(), sandbox.clone());
                Box::pin(async move {
                    let connected = runtime.port_forward(&sandbox, port).await;
                    let connected: Box<dyn portforward::Duplex> = match connected {
                        Ok(stream) => Box::new(stream),
                        Err(error) => {
                            return Err(format!("error forwarding port {port} to pod {sandbox}: {error}"));
                        }
                    };
                    Ok(connected)
                })
            });
            session.run(&clock, &tasks, connect).await;
        });
        Ok(response)
    }
}

/// The runtime's streams as those of the wire.
fn process(attached: Attached, tasks: &Tasks) -> Process {
    let Attached { stdin, stdout, stderr, resize, exit } = attached;
    let resize = resize.map(|sizes| {
        let (sender, mut received) = mpsc::channel::<Size>(4);
        tasks.spawn_until_shutdown(async move {
            while let Some(Size { width, height }) = received.recv().await {
                if sizes.send(TerminalSize { width, height }).await.is_err() {
                    return;
                }
            }
        });
        sender
    });
    let exit =
        Box::pin(async move { exit.await.unwrap_or_else(|_| Err("the runtime lost the process".into())) });
    Process { stdin, stdout, stderr, resize, exit }
}

fn refusal(refused: &Refused) -> Response<Body> {
    let mut response = Response::new(full(refused.message.clone() + "\n"));
    *response.status_mut() = refused.status;
    response
}

/// The kubelet's parameters: `input`, `output`, `error`, `tty`, `command`, `port`.
struct Query(Vec<(String, String)>);

impl Query {
    fn of(request: &Request<Incoming>) -> Self {
        let raw = request.uri().query().unwrap_or_default();
        Query(
            raw.split('&')
                .filter(|p| !p.is_empty())
                .map(|p| {
                    let (key, value) = p.split_once('=').unwrap_or((p, ""));
                    (decoded(key), decoded(value))
                })
                .collect(),
        )
    }

    fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(k, _)| k == name).map(|(_, v)| v.clone()).collect()
    }

    fn options(&self) -> Options {
        let on = |name: &str| self.0.iter().any(|(k, v)| k == name && matches!(v.as_str(), "1" | "true"));
        let tty = on("tty");
        // A terminal has one output.
        Options { stdin: on("input"), stdout: on("output"), stderr: on("error") && !tty, tty }
    }
}

/// `%20` and `+` as what they stand for. What is no escape stays as it is.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let hex = bytes.get(at + 1..at + 3).and_then(|h| std::str::from_utf8(h).ok());
        match (byte, hex.and_then(|h| u8::from_str_radix(h, 16).ok())) {
            (b'%', Some(value)) => {
                out.push(value);
                at += 2;
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(*byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn escapes() {
        assert_eq!(decoded("a%20b+c%2Fd%zz%"), "a b c/d%zz%");
        assert_eq!(decoded("%C3%A4"), "ä");
    }
}
