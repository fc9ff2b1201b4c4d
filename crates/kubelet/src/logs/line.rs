//! One line of a CRI log.

use jiff::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamName {
    Stdout,
    Stderr,
}

/// Parsed, still in its buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    pub time: Timestamp,
    pub time_text: &'a str,
    pub stream: StreamName,
    /// The next line goes on where this one stops.
    pub partial: bool,
    /// Without the newline.
    pub text: &'a [u8],
}

impl<'a> Line<'a> {
    /// `None` for what is no log line.
    pub fn parse(raw: &'a [u8]) -> Option<Line<'a>> {
        let raw = raw.strip_suffix(b"\n").unwrap_or(raw);
        let mut parts = raw.splitn(4, |b| *b == b' ');
        let time_text = std::str::from_utf8(parts.next()?).ok()?;
        let time = time_text.parse().ok()?;
        let stream = match parts.next()? {
            b"stdout" => StreamName::Stdout,
            b"stderr" => StreamName::Stderr,
            _ => return None,
        };
        let tags = parts.next()?;
        // Tags are separated by colons; the first is the one that is defined.
        let partial = tags.split(|b| *b == b':').next() == Some(b"P");
        Some(Line { time, time_text, stream, partial, text: parts.next().unwrap_or_default() })
    }
}
