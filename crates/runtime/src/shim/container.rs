//! A container as its shim keeps it: streams, log, status.

use std::os::fd::OwnedFd;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use super::children::{End, Kind};
use super::clients::ReplyTo;
use super::log::LogFile;
use super::proto::{Message, StartContainer, Status};
use super::streams::{Output, Read};
use super::{Shim, now, now_nanos};
use crate::cgroup;

#[derive(Debug)]
pub(crate) struct Container {
    pub status: Status,
    start: StartContainer,
    pub outputs: Vec<Output>,
    /// Streams that ended; removed between turns, so that positions hold within one.
    ended: Vec<usize>,
    log: Option<LogFile>,
    stdin: Option<OwnedFd>,
    terminal: Option<OwnedFd>,
}

impl Container {
    pub fn running(&self) -> bool {
        self.status.pid != 0 && self.status.finished_at == 0
    }

    /// A terminal's master, once the container has made it.
    pub fn set_terminal(&mut self, master: OwnedFd) -> Result<()> {
        self.terminal = Some(master.try_clone()?);
        self.outputs.push(Output::new(master, "stdout")?);
        Ok(())
    }
}

impl Shim {
    pub(super) fn start_container(&mut self, to: ReplyTo, start: StartContainer) -> Result<()> {
        if self.containers.contains_key(&start.id) {
            bail!("container {} was started before", start.id);
        }
        let log = start.log.as_deref().map(LogFile::open).transpose().context("open log")?;
        let (launch, streams) = self.launch_init(to, &start)?;
        let mut outputs = Vec::new();
        for (fd, stream) in [(streams.stdout, "stdout"), (streams.stderr, "stderr")] {
            if let Some(fd) = fd {
                outputs.push(Output::new(fd, stream)?);
            }
        }
        let status = Status { id: start.id.clone(), ..Status::default() };
        let container = Container {
            status,
            outputs,
            ended: Vec::new(),
            log,
            stdin: streams.stdin,
            terminal: None,
            start,
        };
        self.containers.insert(container.start.id.clone(), container);
        self.launches.push(launch);
        Ok(())
    }

    /// The command runs.
    pub(super) fn container_started(&mut self, id: &str) {
        let Some(container) = self.containers.get_mut(id) else { return };
        container.status.started_at = now_nanos();
        let status = container.status.clone();
        self.publish(&Message::Container { status });
    }

    /// Its first process ended: what it left behind ends too, the last output is read, and then everybody may know.
    pub(super) fn container_ended(&mut self, id: &str, end: End) {
        let Some(container) = self.containers.get_mut(id) else { return };
        container.status.oom_killed = cgroup::oom_killed(&container.start.cgroups);
        cgroup::kill_all(&container.start.cgroups);
        container.drain();
        container.stdin = None;
        container.terminal = None;
        let status = &mut container.status;
        (status.exit_code, status.signal) = (end.code, end.signal);
        (status.pid, status.finished_at) = (0, now_nanos());
        let written = serde_json::to_vec(status).map_err(std::io::Error::from);
        let written = written
            .and_then(|text| crate::files::write_atomically(&container.start.dir.join("exit.json"), &text));
        if let Err(e) = written {
            status.warnings.push(format!("the exit code is known to the shim only: {e}"));
        }
        let status = container.status.clone();
        self.publish(&Message::Container { status });
    }

    pub(super) fn output_ready(&mut self, id: &str, stream: usize) {
        let Some(container) = self.containers.get_mut(id) else { return };
        let Some(output) = container.outputs.get_mut(stream) else { return };
        if output.read(container.log.as_mut(), now()) == Read::End {
            output.finish(container.log.as_mut(), now());
            container.ended.push(stream);
        }
    }

    pub(super) fn sink_ready(&mut self, id: &str, stream: usize) {
        if let Some(output) = self.containers.get_mut(id).and_then(|c| c.outputs.get_mut(stream)) {
            output.flush();
        }
    }

    pub(super) fn remove_ended_outputs(&mut self) {
        for container in self.containers.values_mut() {
            let ended = std::mem::take(&mut container.ended);
            let mut position = 0;
            container.outputs.retain(|_| {
                position += 1;
                !ended.contains(&(position - 1))
            });
        }
    }

    /// Copies further output to `fds` and returns what to write input to.
    pub(super) fn attach(
        &mut self,
        id: &str,
        stdin: bool,
        stdout: bool,
        stderr: bool,
        fds: Vec<OwnedFd>,
    ) -> Result<Option<OwnedFd>> {
        let container = self.running_container(id)?;
        let mut fds = fds.into_iter();
        for (wanted, stream) in [(stdout, 0), (stderr, 1)] {
            if wanted {
                let fd = fds.next().context("attach without a descriptor")?;
                if let Some(output) = container.outputs.get_mut(stream) {
                    output.attach(fd)?;
                }
            }
        }
        if let Some(terminal) = &container.terminal {
            return Ok(Some(terminal.try_clone()?));
        }
        match &container.stdin {
            Some(_) if stdin && container.start.stdin_once => Ok(container.stdin.take()),
            Some(fd) if stdin => Ok(Some(fd.try_clone()?)),
            _ => Ok(None),
        }
    }

    pub(super) fn signal(&mut self, id: &str, signal: i32) -> Result<()> {
        let pid = self.running_container(id)?.status.pid;
        // Real-time signals are numbers that nix has no name for.
        crate::sys::kill(pid, signal).with_context(|| format!("send signal {signal}"))
    }

    pub(super) fn kill(&mut self, id: &str) -> Result<()> {
        let container = self.running_container(id)?;
        // First the process that must not miss it, in case it has left its cgroup.
        drop(crate::sys::kill(container.status.pid, Signal::SIGKILL as i32));
        cgroup::kill_all(&container.start.cgroups);
        Ok(())
    }

    pub(super) fn reopen_log(&mut self, id: &str) -> Result<()> {
        let container = self.running_container(id)?;
        match &mut container.log {
            Some(log) => log.reopen().context("reopen log"),
            None => Ok(()),
        }
    }

    pub(super) fn shut_down(&mut self, to: ReplyTo) {
        for container in self.containers.values().filter(|c| c.running()) {
            drop(crate::sys::kill(container.status.pid, Signal::SIGKILL as i32));
            cgroup::kill_all(&container.start.cgroups);
        }
        for launch in self.launches.iter().filter(|l| l.pid != 0) {
            drop(crate::sys::kill(launch.pid, Signal::SIGKILL as i32));
        }
        if self.pause != 0 {
            drop(crate::sys::kill(self.pause, Signal::SIGKILL as i32));
        }
        self.stopping = Some(to);
    }

    fn running_container(&mut self, id: &str) -> Result<&mut Container> {
        match self.containers.get_mut(id) {
            Some(container) if container.running() => Ok(container),
            _ => bail!("container {id} is not running"),
        }
    }

    /// A container that never ran leaves no status.
    pub(super) fn forget_failed(&mut self, kind: &Kind) {
        if let Kind::Container(id) = kind {
            self.containers.remove(id);
        }
    }
}

impl Container {
    /// Reads what is in the pipes. Nobody writes any more, except processes that left the container's cgroup.
    fn drain(&mut self) {
        const MOST: usize = 1024;
        for output in &mut self.outputs {
            for _ in 0..MOST {
                if output.read(self.log.as_mut(), now()) != Read::Data {
                    break;
                }
            }
            output.finish(self.log.as_mut(), now());
        }
        // An attached reader that is behind still gets its rest; see `Output::waiting`.
        self.outputs.retain(Output::blocked);
    }
}

/// Descriptors of the shim's side.
#[derive(Debug, Default)]
pub(super) struct Streams {
    pub stdin: Option<OwnedFd>,
    pub stdout: Option<OwnedFd>,
    pub stderr: Option<OwnedFd>,
}
