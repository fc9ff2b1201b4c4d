//! What a person sees while a server starts.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use stdx::clock::SharedClock;

/// Prints a line per step to standard error, with the time it was reached; colours on terminals only.
#[derive(Debug)]
pub struct Progress {
    clock: SharedClock,
    started: Duration,
    colours: bool,
}

impl Progress {
    pub fn new(clock: SharedClock) -> Self {
        let started = clock.monotonic();
        let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Progress { clock, started, colours }
    }

    /// One step done.
    pub fn step(&self, what: &str) {
        let seconds = (self.clock.monotonic() - self.started).as_secs_f64();
        let (green, reset) = if self.colours { ("\x1b[32m", "\x1b[0m") } else { ("", "") };
        self.print(&format!("{green}✓{reset} {what} ({seconds:.2} s)\n"));
    }

    /// Text as it is.
    pub fn print(&self, text: &str) {
        // Nobody reading is no reason to fail.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}
