//! A line that moves while one waits, on stderr; gone when something else is said. Start at [`Progress::tick`].

use std::io::Write as _;
use std::time::Duration;

use serde_json::Value;
use stdx::{Clock, SystemClock};

use crate::session::Session;

/// A wait that people see.
pub struct Progress {
    on: bool,
    started: Duration,
    text: String,
    frames: usize,
    drawn: bool,
}

const WHEEL: [char; 4] = ['|', '/', '-', '\\'];
const BAR: usize = 20;

impl Progress {
    pub fn new(session: &Session, text: impl Into<String>) -> Self {
        Progress {
            on: super::errors_at_terminal(session) && super::at_terminal(session) && super::can_draw(),
            started: SystemClock.monotonic(),
            text: text.into(),
            frames: 0,
            drawn: false,
        }
    }

    /// What is waited for now.
    pub fn say(&mut self, text: impl Into<String>) {
        self.text = text.into();
    }

    /// Waits for the next frame and draws it; where nobody looks, it never comes.
    pub async fn tick(&mut self) {
        if !self.on {
            return std::future::pending().await;
        }
        super::frame().await;
        let seconds = (SystemClock.monotonic() - self.started).as_secs();
        let wheel = WHEEL[self.frames % WHEEL.len()];
        self.frames += 1;
        self.drawn = true;
        eprint!("\r\x1b[K\x1b[2m{wheel} {} {seconds}s\x1b[0m", self.text);
        let _ = std::io::stderr().flush();
    }

    /// Takes the line away, before something else is said.
    pub fn clear(&mut self) {
        if std::mem::replace(&mut self.drawn, false) {
            eprint!("\r\x1b[K");
            let _ = std::io::stderr().flush();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// How far a rollout is: `web [#####.....] 1/2 ready`.
pub fn rollout(object: &Value, name: &str) -> String {
    let (spec, status) = (&object["spec"], &object["status"]);
    let number = |v: &Value| v.as_u64().unwrap_or_default();
    let wanted = match object["kind"].as_str() {
        Some("DaemonSet") => number(&status["desiredNumberScheduled"]),
        _ => spec["replicas"].as_u64().unwrap_or(1),
    };
    let (new, ready) = match object["kind"].as_str() {
        Some("DaemonSet") => (number(&status["updatedNumberScheduled"]), number(&status["numberAvailable"])),
        Some("StatefulSet") => (number(&status["updatedReplicas"]), number(&status["readyReplicas"])),
        _ => (number(&status["updatedReplicas"]), number(&status["availableReplicas"])),
    };
    let done = new.min(ready).min(wanted);
    let full = usize::try_from(done * BAR as u64 / wanted.max(1)).unwrap_or(BAR);
    format!("{name} [{}{}] {done}/{wanted} new and ready", "#".repeat(full), ".".repeat(BAR - full))
}
