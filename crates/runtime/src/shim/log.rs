//! Container logs in CRI's format: `TIME STREAM TAG LINE`, where the tag is `P` for a piece of a line and `F` for its
//! end.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

/// Longer lines are cut into pieces, as containerd's default is.
pub(crate) const MAX_LINE: usize = 16 << 10;

/// An open log file.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    file: File,
}

impl LogFile {
    /// Opens or creates it, with its directory.
    pub fn open(path: &Path) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let file = std::fs::OpenOptions::new().create(true).append(true).mode(0o640).open(path)?;
        Ok(LogFile { path: path.to_path_buf(), file })
    }

    /// Goes on in a new file, after the old one was moved away.
    pub fn reopen(&mut self) -> io::Result<()> {
        *self = Self::open(&self.path)?;
        Ok(())
    }

    /// A container must not stop because the disk is full: what cannot be written is lost.
    pub fn write(&mut self, records: &[u8]) {
        drop(self.file.write_all(records));
    }
}

/// One output stream on its way into lines.
#[derive(Debug)]
pub(crate) struct Lines {
    stream: &'static str,
    /// The begun line, shorter than [`MAX_LINE`].
    partial: Vec<u8>,
}

impl Lines {
    pub fn new(stream: &'static str) -> Self {
        Lines { stream, partial: Vec::new() }
    }

    /// Appends the records for `data` to `out`.
    pub fn push(&mut self, mut data: &[u8], now: Timestamp, out: &mut Vec<u8>) {
        while !data.is_empty() {
            let room = MAX_LINE - self.partial.len();
            let end = data.iter().take(room + 1).position(|b| *b == b'\n');
            match end {
                Some(end) => {
                    self.record("F", &data[..end], now, out);
                    data = &data[end + 1..];
                }
                None if data.len() > room => {
                    self.record("P", &data[..room], now, out);
                    data = &data[room..];
                }
                None => {
                    self.partial.extend_from_slice(data);
                    return;
                }
            }
        }
    }

    /// At the end of the stream: a last line without its newline is kept as a piece.
    pub fn finish(&mut self, now: Timestamp, out: &mut Vec<u8>) {
        if !self.partial.is_empty() {
            self.record("P", &[], now, out);
        }
        self.partial = Vec::new();
    }

    fn record(&mut self, tag: &str, rest: &[u8], now: Timestamp, out: &mut Vec<u8>) {
        let time = now.strftime("%Y-%m-%dT%H:%M:%S%.9fZ");
        out.extend_from_slice(format!("{time} {} {tag} ", self.stream).as_bytes());
        out.extend_from_slice(&self.partial);
        out.extend_from_slice(rest);
        out.push(b'\n');
        self.partial.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pieces: &[&str], expected: &str) {
        let now: Timestamp = "2016-10-06T00:17:09.669794202Z".parse().unwrap();
        let mut lines = Lines::new("stdout");
        let mut out = Vec::new();
        pieces.iter().for_each(|piece| lines.push(piece.as_bytes(), now, &mut out));
        lines.finish(now, &mut out);
        let shown = String::from_utf8(out).unwrap().replace("2016-10-06T00:17:09.669794202Z", "T");
        assert_eq!(shown, expected);
    }

    #[test]
    fn lines_are_whole_or_marked_as_pieces() {
        check(&["one\ntwo\n"], "T stdout F one\nT stdout F two\n");
        check(&["o", "ne\n", "\n"], "T stdout F one\nT stdout F \n");
        check(&["no newline"], "T stdout P no newline\n");
        let long = "x".repeat(MAX_LINE);
        check(&[&long, "y\n"], &format!("T stdout P {long}\nT stdout F y\n"));
        check(&[&format!("{long}\n")], &format!("T stdout F {long}\n"));
    }
}
