//! JSON read where it stands: fields and elements as slices, nothing decoded that nobody asks for.
//!
//! For text that is known to be JSON. On other text it stops early, and never panics.

use std::borrow::Cow;

#[cfg(test)]
mod tests;

/// The text of one JSON value, without space around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw<'a>(&'a str);

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

impl<'a> Raw<'a> {
    /// `text` holds one value.
    pub fn new(text: &'a str) -> Self {
        Raw(text.trim_matches([' ', '\t', '\r', '\n']))
    }

    pub fn text(self) -> &'a str {
        self.0
    }

    pub fn kind(self) -> Kind {
        match self.0.as_bytes().first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') | None => Kind::Null,
            Some(_) => Kind::Number,
        }
    }

    pub fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    /// An object's keys and values, in the text's order; nothing for other kinds.
    pub fn fields(self) -> Fields<'a> {
        Fields(Cursor::inside(self, Kind::Object))
    }

    /// An array's elements; nothing for other kinds.
    pub fn items(self) -> Items<'a> {
        Items(Cursor::inside(self, Kind::Array))
    }

    /// A field of an object.
    pub fn get(self, key: &str) -> Option<Raw<'a>> {
        self.fields().find(|(k, _)| k == key).map(|(_, v)| v)
    }

    /// The characters of the string at the end of `path`; empty when there is none.
    pub fn text_at(self, path: &[&str]) -> String {
        let at = path.iter().try_fold(self, |value, key| value.get(key));
        at.and_then(Raw::string).map(Cow::into_owned).unwrap_or_default()
    }

    /// Has no fields or elements.
    pub fn is_empty(self) -> bool {
        match self.kind() {
            Kind::Object | Kind::Array => {
                self.0[1..].trim_start_matches([' ', '\t', '\r', '\n']).starts_with(['}', ']'])
            }
            _ => true,
        }
    }

    /// A string's characters; none for other kinds.
    pub fn string(self) -> Option<Cow<'a, str>> {
        if self.kind() != Kind::String {
            return None;
        }
        match self.0.contains('\\') {
            false => self.0.get(1..self.0.len().checked_sub(1)?).map(Cow::Borrowed),
            true => serde_json::from_str(self.0).ok().map(Cow::Owned),
        }
    }

    /// As a tree; null for what is no JSON.
    pub fn value(self) -> serde_json::Value {
        serde_json::from_str(self.0).unwrap_or_default()
    }

    /// Means the same, however it is written.
    pub fn equals(self, other: Raw<'_>) -> bool {
        self.0 == other.0 || (self.kind() == other.kind() && self.value() == other.value())
    }
}

/// See [`Raw::fields`].
pub struct Fields<'a>(Cursor<'a>);

impl<'a> Iterator for Fields<'a> {
    type Item = (Cow<'a, str>, Raw<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.0.value()?.string()?;
        self.0.expect(b':')?;
        let value = self.0.value()?;
        self.0.separator();
        Some((key, value))
    }
}

/// See [`Raw::items`].
pub struct Items<'a>(Cursor<'a>);

impl<'a> Iterator for Items<'a> {
    type Item = Raw<'a>;

    fn next(&mut self) -> Option<Raw<'a>> {
        let value = self.0.value()?;
        self.0.separator();
        Some(value)
    }
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn inside(raw: Raw<'a>, kind: Kind) -> Self {
        let text = if raw.kind() == kind { &raw.0[1..] } else { "" };
        Cursor { text, at: 0 }
    }

    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = bytes.get(self.at) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn separator(&mut self) {
        if self.peek() == Some(b',') {
            self.at += 1;
        }
    }

    /// Skips one value. None at the end of the container, or where there is no value.
    fn value(&mut self) -> Option<Raw<'a>> {
        let start = match self.peek()? {
            b'}' | b']' | b',' | b':' => return None,
            _ => self.at,
        };
        let bytes = self.text.as_bytes();
        match bytes[start] {
            b'"' => self.skip_string(),
            b'{' | b'[' => self.skip_container(),
            _ => {
                let end = |b: &u8| matches!(b, b',' | b'}' | b']' | b':' | b' ' | b'\t' | b'\r' | b'\n');
                self.at = bytes[start..].iter().position(end).map_or(bytes.len(), |n| start + n);
            }
        }
        self.text.get(start..self.at).map(Raw)
    }

    fn skip_string(&mut self) {
        let bytes = self.text.as_bytes();
        self.at += 1;
        while let Some(byte) = bytes.get(self.at) {
            match byte {
                b'"' => {
                    self.at += 1;
                    return;
                }
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at = bytes.len();
    }

    fn skip_container(&mut self) {
        let bytes = self.text.as_bytes();
        let mut depth = 0usize;
        while let Some(byte) = bytes.get(self.at) {
            match byte {
                b'"' => {
                    self.skip_string();
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
    }
}
