//! JSON's tokens, with Go's words for what is wrong with them.

use std::borrow::Cow;
use std::ops::Range;

/// Reads tokens from a text that is UTF-8.
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// Escapes that stand for half a character; Go reads them as U+FFFD, serde_json not at all.
    pub lone_surrogates: Vec<Range<usize>>,
}

/// A scalar.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar<'a> {
    Null,
    Bool,
    Number(&'a str),
    String(Cow<'a, str>),
}

/// What begins at a value's first byte.
pub(super) enum Begin {
    Object,
    Array,
    Scalar,
}

impl<'a> Lexer<'a> {
    pub fn new(text: &'a str) -> Self {
        Lexer { text, at: 0, lone_surrogates: Vec::new() }
    }

    pub fn position(&self) -> usize {
        self.at
    }

    pub fn since(&self, start: usize) -> &'a str {
        &self.text[start..self.at]
    }

    /// The next byte that is no space, not taken.
    pub fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.byte() {
            self.at += 1;
        }
        self.byte()
    }

    /// Takes the byte [`Lexer::peek`] saw.
    pub fn take(&mut self) {
        self.at += 1;
    }

    /// An error about the next byte, or about the end.
    pub fn unexpected(&self, context: &str) -> String {
        match self.byte() {
            Some(byte) => format!("invalid character {} {context}", quoted(byte)),
            None => "unexpected end of JSON input".into(),
        }
    }

    /// What kind of value comes next; the bracket that opens a container is taken.
    pub fn begin(&mut self) -> Result<Begin, String> {
        match self.peek() {
            Some(b'{') => {
                self.take();
                Ok(Begin::Object)
            }
            Some(b'[') => {
                self.take();
                Ok(Begin::Array)
            }
            Some(b'"' | b't' | b'f' | b'n' | b'-' | b'0'..=b'9') => Ok(Begin::Scalar),
            _ => Err(self.unexpected("looking for beginning of value")),
        }
    }

    /// The scalar that [`Lexer::begin`] saw.
    pub fn scalar(&mut self) -> Result<Scalar<'a>, String> {
        match self.byte() {
            Some(b'"') => Ok(Scalar::String(self.string()?)),
            Some(b't') => self.literal("true", Scalar::Bool),
            Some(b'f') => self.literal("false", Scalar::Bool),
            Some(b'n') => self.literal("null", Scalar::Null),
            _ => Ok(Scalar::Number(self.number()?)),
        }
    }

    /// A key and the colon after it.
    pub fn key(&mut self) -> Result<Cow<'a, str>, String> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("looking for beginning of object key string"));
        }
        let key = self.string()?;
        if self.peek() != Some(b':') {
            return Err(self.unexpected("after object key"));
        }
        self.take();
        Ok(key)
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn literal(&mut self, word: &str, means: Scalar<'a>) -> Result<Scalar<'a>, String> {
        for expected in word.bytes() {
            if self.byte() != Some(expected) {
                let context = format!("in literal {word} (expecting {})", quoted(expected));
                return Err(self.unexpected(&context));
            }
            self.at += 1;
        }
        Ok(means)
    }

    fn number(&mut self) -> Result<&'a str, String> {
        let start = self.at;
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        match self.byte() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits("")?,
            _ => return Err(self.unexpected("in numeric literal")),
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits("after decimal point in numeric literal")?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.at += 1;
            }
            self.digits("in exponent of numeric literal")?;
        }
        Ok(self.since(start))
    }

    /// One digit or more.
    fn digits(&mut self, context: &str) -> Result<(), String> {
        if !self.byte().is_some_and(|b| b.is_ascii_digit()) {
            return Err(self.unexpected(context));
        }
        while self.byte().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    fn string(&mut self) -> Result<Cow<'a, str>, String> {
        self.at += 1;
        let start = self.at;
        while let Some(byte) = self.byte() {
            match byte {
                b'"' => {
                    let text = self.since(start);
                    self.at += 1;
                    return Ok(Cow::Borrowed(text));
                }
                b'\\' => return self.escaped_string(start).map(Cow::Owned),
                0..=0x1f => break,
                _ => self.at += 1,
            }
        }
        Err(self.unexpected("in string literal"))
    }

    /// The rest of a string that has escapes.
    fn escaped_string(&mut self, start: usize) -> Result<String, String> {
        let mut out = String::from(self.since(start));
        loop {
            let from = self.at;
            while self.byte().is_some_and(|b| !matches!(b, b'"' | b'\\' | 0..=0x1f)) {
                self.at += 1;
            }
            out.push_str(self.since(from));
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                _ => return Err(self.unexpected("in string literal")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, String> {
        let start = self.at;
        self.at += 1;
        let plain = match self.byte() {
            Some(b @ (b'"' | b'\\' | b'/')) => char::from(b),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(start),
            _ => return Err(self.unexpected("in string escape code")),
        };
        self.at += 1;
        Ok(plain)
    }

    /// `\uXXXX`, or two of them that make one character.
    fn unicode_escape(&mut self, start: usize) -> Result<char, String> {
        let first = self.hex()?;
        if let Some(c) = char::from_u32(first) {
            return Ok(c);
        }
        let end = self.at;
        if first < 0xDC00 && self.text[end..].starts_with("\\u") {
            self.at += 1;
            let second = self.hex()?;
            if (0xDC00..0xE000).contains(&second) {
                let code = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = end;
        }
        self.lone_surrogates.push(start..end);
        Ok(char::REPLACEMENT_CHARACTER)
    }

    /// The four digits after the `u` that stands here.
    fn hex(&mut self) -> Result<u32, String> {
        self.at += 1;
        let mut code = 0;
        for _ in 0..4 {
            let Some(digit) = self.byte().and_then(|b| char::from(b).to_digit(16)) else {
                return Err(self.unexpected("in \\u hexadecimal character escape"));
            };
            code = code * 16 + digit;
            self.at += 1;
        }
        Ok(code)
    }
}

/// A byte as Go's decoder shows it.
fn quoted(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".into(),
        b'"' => "'\"'".into(),
        0x07 => r"'\a'".into(),
        0x08 => r"'\b'".into(),
        0x0b => r"'\v'".into(),
        0x0c => r"'\f'".into(),
        b'\t' | b'\n' | b'\r' | b'\\' => format!("'{}'", char::from(byte).escape_default()),
        0..=0x1f | 0x7f => format!(r"'\x{byte:02x}'"),
        0x80..=0x9f => format!(r"'\u{byte:04x}'"),
        _ => format!("'{}'", char::from(byte)),
    }
}
