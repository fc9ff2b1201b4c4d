//! Commands in running containers, and the containers' own streams.

use std::io::{Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use cri::{Attached, ContainerState, ExecSyncResponse, TerminalSize};
use tokio::io::AsyncReadExt;
use tokio::sync::{mpsc, oneshot};

use super::container::exited;
use super::link::Link;
use super::records::Container;
use super::streams::Stream;
use super::{Runtime, new_id};
use crate::files;
use crate::shim::proto::Op;
use crate::spec::{ExecSpec, InitSpec, ProcessSpec};

/// Longer output of probes and hooks is cut, as other runtimes do.
const MAX_OUTPUT: u64 = 16 << 20;

impl Runtime {
    /// The container and the connection to its shim, if it runs.
    fn running(&self, id: &str) -> cri::Result<(Arc<Container>, Arc<Link>)> {
        let container =
            self.find_container(id).ok_or_else(|| cri::Error::NotFound(format!("container {id}")))?;
        let link = self.find_sandbox(&container.record.sandbox).and_then(|s| s.link());
        match (container.state(), link) {
            (ContainerState::Running, Some(link)) => Ok((container, link)),
            (state, _) => {
                let state = format!("{state:?}").to_uppercase();
                Err(cri::Error::Unknown(format!("container {id} is in CONTAINER_{state} state")))
            }
        }
    }

    pub(super) async fn start_exec(&self, request: cri::ExecRequest) -> cri::Result<Attached> {
        let (container, link) = self.running(&request.container)?;
        self.try_exec(&container, link, request).await.map_err(|e| cri::Error::Unknown(format!("{e:#}")))
    }

    async fn try_exec(
        &self,
        container: &Container,
        link: Arc<Link>,
        request: cri::ExecRequest,
    ) -> Result<Attached> {
        let spec = exec_spec(container, &request)?;
        let exec = new_id();
        let (sender, exit) = oneshot::channel();
        let op = Op::Exec { exec: exec.clone(), container: container.id.clone(), tty: request.tty };
        let spec = memory_file(&serde_json::to_vec(&spec)?)?;
        self.lock().execs.insert(exec.clone(), sender);
        let mut attached = match request.tty {
            true => start_with_terminal(self, &link, op, &spec, &request).await,
            false => start_with_pipes(&link, op, &spec, &request).await,
        };
        match &mut attached {
            Ok(attached) => attached.exit = self.watch_exec(exec, link, exit),
            Err(_) => drop(self.lock().execs.remove(&exec)),
        }
        attached.map_err(|e| anyhow!("failed to exec in container: {e:#}"))
    }

    /// Passes the exit code on; kills the command when nobody wants it any more.
    fn watch_exec(
        &self,
        exec: String,
        link: Arc<Link>,
        exit: oneshot::Receiver<i32>,
    ) -> oneshot::Receiver<Result<i32, String>> {
        let (mut sender, receiver) = oneshot::channel();
        let this = self.this.clone();
        self.tasks.spawn_until_shutdown(async move {
            tokio::select! {
                // What came before the end counts.
                biased;
                code = exit => {
                    drop(sender.send(code.map_err(|_| "the sandbox has ended".to_string())));
                }
                () = link.ended() => {
                    drop(sender.send(Err("the sandbox's shim has ended".to_string())));
                    if let Some(runtime) = this.upgrade() {
                        runtime.lock().execs.remove(&exec);
                    }
                }
                () = sender.closed() => {
                    drop(link.call(Op::KillExec { exec: exec.clone() }, &[]).await);
                    if let Some(runtime) = this.upgrade() {
                        runtime.lock().execs.remove(&exec);
                    }
                }
            }
        });
        receiver
    }

    pub(super) async fn run_exec(
        &self,
        id: &str,
        command: &[String],
        timeout: i64,
    ) -> cri::Result<ExecSyncResponse> {
        let request = cri::ExecRequest {
            container: id.to_string(),
            command: command.to_vec(),
            stdout: true,
            stderr: true,
            ..cri::ExecRequest::default()
        };
        let attached = self.start_exec(request).await?;
        let limit = Duration::from_secs(timeout.max(0).unsigned_abs());
        tokio::select! {
            response = self.collect(attached) => response.map_err(|e| cri::Error::Unknown(format!("{e:#}"))),
            // Dropping the streams kills the command.
            () = self.clock.sleep(limit), if timeout > 0 => Err(cri::Error::DeadlineExceeded(format!(
                "command {:?} timed out after {timeout}s", command.join(" ")
            ))),
        }
    }

    async fn collect(&self, attached: Attached) -> Result<ExecSyncResponse> {
        /// What a command leaves running may keep its output open; the command itself has ended.
        const DRAIN: Duration = Duration::from_secs(2);
        let Attached { stdout, stderr, exit, .. } = attached;
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = {
            let read =
                async { tokio::try_join!(read_all(stdout, &mut out), read_all(stderr, &mut err)).map(drop) };
            tokio::pin!(read, exit);
            tokio::select! {
                output = &mut read => {
                    output.context("read output")?;
                    exit.await
                }
                code = &mut exit => {
                    tokio::select! {
                        output = &mut read => output.context("read output")?,
                        () = self.clock.sleep(DRAIN) => {}
                    }
                    code
                }
            }
        };
        let exit_code = code.map_err(|_| anyhow!("the sandbox has ended"))?.map_err(|e| anyhow!(e))?;
        Ok(ExecSyncResponse { stdout: out, stderr: err, exit_code })
    }

    pub(super) async fn start_attach(&self, request: cri::AttachRequest) -> cri::Result<Attached> {
        let (container, link) = self.running(&request.container)?;
        self.try_attach(container, &link, request).await.map_err(|e| cri::Error::Unknown(format!("{e:#}")))
    }

    async fn try_attach(
        &self,
        container: Arc<Container>,
        link: &Link,
        request: cri::AttachRequest,
    ) -> Result<Attached> {
        let tty = container.record.config.tty;
        let stderr = request.stderr && !tty;
        let (mut theirs, mut readers) = (Vec::new(), Vec::new());
        for _ in [request.stdout, stderr].into_iter().filter(|wanted| *wanted) {
            let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
            theirs.push(write);
            readers.push(reader(read)?);
        }
        let op = Op::Attach {
            container: container.id.clone(),
            stdin: request.stdin,
            stdout: request.stdout,
            stderr,
        };
        let fds: Vec<BorrowedFd<'_>> = theirs.iter().map(|fd| fd.as_fd()).collect();
        let (_, input) = link.call(op, &fds).await?;
        let input = input.into_iter().next().map(Stream::new).transpose()?;
        let mut readers = readers.into_iter();
        let resize = input.as_ref().filter(|_| tty).map(|terminal| self.resizer(terminal.clone()));
        let stdin = input.filter(|_| request.stdin).map(|stream| Box::pin(stream) as cri::Writer);
        let (sender, exit) = oneshot::channel();
        self.tasks.spawn_until_shutdown(async move {
            exited(&container).await;
            drop(sender.send(Ok(container.live().status.exit_code)));
        });
        let stdout = if request.stdout { readers.next() } else { None };
        Ok(Attached { stdin, stdout, stderr: readers.next(), resize, exit })
    }

    /// A channel whose sizes a terminal takes.
    fn resizer(&self, terminal: Stream) -> mpsc::Sender<TerminalSize> {
        let (sender, mut sizes) = mpsc::channel::<TerminalSize>(4);
        self.tasks.spawn_until_shutdown(async move {
            while let Some(size) = sizes.recv().await {
                // A terminal that is gone has no size.
                drop(crate::sys::set_window_size(terminal.fd().as_fd(), size.width, size.height));
            }
        });
        sender
    }

    pub(super) async fn connect_port(&self, sandbox: &str, port: u16) -> cri::Result<Box<dyn cri::Duplex>> {
        let sandbox =
            self.find_sandbox(sandbox).ok_or_else(|| cri::Error::NotFound(format!("sandbox {sandbox}")))?;
        let link =
            sandbox.link().ok_or_else(|| cri::Error::Unknown("the sandbox is not ready".to_string()))?;
        let mut failure = None;
        for ipv6 in [false, true] {
            match connect(&link, port, ipv6).await {
                Ok(stream) => return Ok(Box::new(stream)),
                Err(e) => failure = failure.or(Some(e)),
            }
        }
        let failure = failure.map(|e| format!("{e:#}")).unwrap_or_default();
        Err(cri::Error::Unknown(format!("failed to connect to localhost:{port} inside the pod: {failure}")))
    }
}

/// Reads a stream to its end and keeps its beginning.
async fn read_all(stream: Option<cri::Reader>, to: &mut Vec<u8>) -> std::io::Result<()> {
    let Some(mut stream) = stream else { return Ok(()) };
    (&mut stream).take(MAX_OUTPUT).read_to_end(to).await?;
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.map(drop)
}

async fn connect(link: &Link, port: u16, ipv6: bool) -> Result<tokio::net::TcpStream> {
    let (_, fds) = link.call(Op::Connect { port, ipv6 }, &[]).await?;
    let socket = fds.into_iter().next().context("the shim sent no socket")?;
    let stream = tokio::net::TcpStream::from_std(std::net::TcpStream::from(socket))?;
    stream.writable().await?;
    match stream.take_error()? {
        Some(e) => Err(anyhow!("connect to localhost:{port}: {}", crate::sys::words(&e))),
        None => Ok(stream),
    }
}

/// The container's own process, with another command.
fn exec_spec(container: &Container, request: &cri::ExecRequest) -> Result<ExecSpec> {
    let init: InitSpec =
        files::read_json(&container.dir.join("init.json"))?.context("the container's spec is gone")?;
    let process = ProcessSpec { args: request.command.clone(), tty: request.tty, ..init.process };
    Ok(ExecSpec {
        target: container.live().status.pid,
        cgroups: init.cgroups,
        oom_score_adj: init.oom_score_adj,
        process,
    })
}

fn memory_file(contents: &[u8]) -> Result<OwnedFd> {
    let fd = nix::sys::memfd::memfd_create(c"spec", nix::sys::memfd::MFdFlags::MFD_CLOEXEC)?;
    let mut file = std::fs::File::from(fd);
    file.write_all(contents)?;
    file.rewind()?;
    Ok(file.into())
}

async fn start_with_terminal(
    runtime: &Runtime,
    link: &Link,
    op: Op,
    spec: &OwnedFd,
    request: &cri::ExecRequest,
) -> Result<Attached> {
    let (_, fds) = link.call(op, &[spec.as_fd()]).await?;
    let terminal = Stream::new(fds.into_iter().next().context("the shim sent no terminal")?)?;
    Ok(Attached {
        stdin: request.stdin.then(|| Box::pin(terminal.clone()) as cri::Writer),
        stdout: Some(Box::pin(terminal.clone())),
        stderr: None,
        resize: Some(runtime.resizer(terminal)),
        exit: oneshot::channel().1,
    })
}

async fn start_with_pipes(
    link: &Link,
    op: Op,
    spec: &OwnedFd,
    request: &cri::ExecRequest,
) -> Result<Attached> {
    let pipe = || nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC);
    let null = || std::fs::OpenOptions::new().read(true).write(true).open("/dev/null").map(OwnedFd::from);
    let (their_stdin, stdin) = match request.stdin {
        true => pipe().map(|(read, write)| (read, Some(write)))?,
        false => (null()?, None),
    };
    let output = |wanted: bool| -> Result<(OwnedFd, Option<OwnedFd>)> {
        Ok(match wanted {
            true => pipe().map(|(read, write)| (write, Some(read)))?,
            false => (null()?, None),
        })
    };
    let (their_stdout, stdout) = output(request.stdout)?;
    let (their_stderr, stderr) = output(request.stderr)?;
    let fds = [spec.as_fd(), their_stdin.as_fd(), their_stdout.as_fd(), their_stderr.as_fd()];
    link.call(op, &fds).await?;
    Ok(Attached {
        stdin: stdin.map(|fd| Stream::new(fd).map(|s| Box::pin(s) as cri::Writer)).transpose()?,
        stdout: stdout.map(reader).transpose()?,
        stderr: stderr.map(reader).transpose()?,
        resize: None,
        exit: oneshot::channel().1,
    })
}

fn reader(fd: OwnedFd) -> Result<cri::Reader> {
    Ok(Box::pin(Stream::new(fd)?))
}
