//! What server and shim say to each other: JSON packets over a SEQPACKET socket, descriptors beside them.
//!
//! A shim outlives the server that started it, so a newer server must understand an older shim: [`VERSION`] grows with
//! what changes meaning, fields are only added.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Of this protocol.
pub(crate) const VERSION: u32 = 1;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    /// Comes back in the reply.
    pub id: u64,
    pub op: Op,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Op {
    /// Answered with `Hello`; from then on events come.
    Hello {
        version: u32,
    },
    /// Answered with `Done` when the command runs.
    Start(StartContainer),
    Signal {
        container: String,
        signal: i32,
    },
    /// Kills every process of its cgroups.
    Kill {
        container: String,
    },
    /// After the log file was moved away.
    ReopenLog {
        container: String,
    },
    /// With one descriptor per wanted output stream; the answer carries one for stdin if wanted.
    Attach {
        container: String,
        stdin: bool,
        stdout: bool,
        stderr: bool,
    },
    /// With a spec, and three streams unless `tty`; the answer carries the terminal's master if `tty`.
    Exec {
        exec: String,
        container: String,
        tty: bool,
    },
    /// Kills what `exec` started.
    KillExec {
        exec: String,
    },
    /// The answer carries a socket that is connected, or still connecting, to localhost in the sandbox.
    Connect {
        port: u16,
        ipv6: bool,
    },
    /// Forgets an exited container.
    Forget {
        container: String,
    },
    /// Kills everything and ends.
    Shutdown,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct StartContainer {
    pub id: String,
    /// `init.json` is read from it, `exit.json` written to it.
    pub dir: PathBuf,
    pub cgroups: Vec<PathBuf>,
    pub log: Option<PathBuf>,
    pub tty: bool,
    pub stdin: bool,
    pub stdin_once: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Message {
    Reply {
        id: u64,
        answer: Answer,
    },
    /// A container's state changed.
    Container {
        status: Status,
    },
    ExecExited {
        exec: String,
        code: i32,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Done,
    Failed(String),
    Hello { version: u32, pid: u32, pause: u32, containers: Vec<Status> },
}

/// A container as its shim knows it; also the contents of `exit.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Status {
    pub id: String,
    /// On the host; 0 when it does not run.
    pub pid: u32,
    /// Nanoseconds since 1970, 0 while it has not happened.
    pub started_at: i64,
    pub finished_at: i64,
    pub exit_code: i32,
    pub signal: i32,
    pub oom_killed: bool,
    pub user: Option<(u32, u32, Vec<u32>)>,
    pub warnings: Vec<String>,
}
