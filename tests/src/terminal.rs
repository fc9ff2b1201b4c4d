//! A program on a real terminal: what a person at a keyboard does and sees.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::pty::{Winsize, openpty};

use crate::eventually;

/// How long words may take to appear.
const PATIENCE: Duration = Duration::from_secs(60);

/// The keyboard and the screen of a running program.
pub struct Terminal {
    keyboard: File,
    screen: Arc<Mutex<String>>,
    /// How much of the screen has been looked at.
    seen: usize,
    child: Child,
    reader: Option<JoinHandle<()>>,
}

impl Terminal {
    /// Runs the command on a terminal of its own, 100 columns wide and 30 rows high.
    pub fn run(command: &Command) -> Terminal {
        let size = Winsize { ws_row: 30, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None).expect("open a terminal");
        let slave = File::from(pty.slave);
        let clone = || slave.try_clone().expect("clone");
        // Its controlling terminal, so that ^C is a signal. (setsid becomes the program: nothing is left between.)
        let mut session = Command::new("setsid");
        session.arg("--ctty").arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            session.env(key, value.unwrap_or_default());
        }
        session.env("TERM", "dumb");
        let child = session.stdin(clone()).stdout(clone()).stderr(clone()).spawn().expect("start a command");
        drop((slave, session));
        let keyboard = File::from(pty.master);
        let mut output = keyboard.try_clone().expect("clone");
        let screen = Arc::new(Mutex::new(String::new()));
        let to = screen.clone();
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The last to close the other end makes it an error: the end.
            while let Ok(len @ 1..) = output.read(&mut buffer) {
                to.lock().expect("screen").push_str(&String::from_utf8_lossy(&buffer[..len]));
            }
        });
        Terminal { keyboard, screen, seen: 0, child, reader: Some(reader) }
    }

    /// Types.
    pub fn keys(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("type");
    }

    /// Everything on the screen so far.
    pub fn screen(&self) -> String {
        self.screen.lock().expect("screen").clone()
    }

    /// Waits until the words appear after those that were waited for before, and returns all in between.
    #[track_caller]
    #[allow(clippy::disallowed_methods, reason = "tests watch real machines in real time")]
    pub fn sees(&mut self, words: &str) -> String {
        let found = |screen: &str, seen: usize| screen[seen..].find(words).map(|at| seen + at + words.len());
        let start = std::time::Instant::now();
        while start.elapsed() < PATIENCE * crate::patience() {
            let screen = self.screen();
            if let Some(end) = found(&screen, self.seen) {
                let between = screen[self.seen..end].to_owned();
                self.seen = end;
                return between;
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        panic!("never saw {words:?} after {:?}", self.screen());
    }

    /// Waits for the program's end.
    #[track_caller]
    pub fn ends(&mut self) -> ExitStatus {
        let mut status = None;
        eventually(PATIENCE, "the program on the terminal ends", || {
            status = self.child.try_wait().expect("wait");
            status.is_some()
        });
        status.expect("a status")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|s| s.is_none()) {
            let _ = self.child.kill();
            let _ = self.child.wait();
            // What it started may hold the terminal; the reader ends with the test then.
            self.reader.take();
        }
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}
