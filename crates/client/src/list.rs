//! A list's JSON taken apart without building a tree: its metadata, and each item's own bytes.

use apimachinery::Status;
use apimachinery::status::ListMeta;
use bytes::Bytes;

/// A list as it came: metadata and the undecoded items.
#[derive(Clone, Debug, Default)]
pub struct RawList {
    /// Such as `PodList`.
    pub kind: String,
    pub api_version: String,
    pub meta: ListMeta,
    /// Slices of the one body.
    pub items: Vec<Bytes>,
}

/// Splits the body of a list. Items are not checked here: whoever decodes one finds out.
pub fn split(body: &Bytes) -> Result<RawList, Status> {
    let mut list = RawList::default();
    let mut scan = Scan { json: body, at: 0 };
    scan.object(|scan, key| {
        match key {
            b"metadata" => {
                let (start, end) = scan.value()?;
                list.meta = serde_json::from_slice(&body[start..end]).ok()?;
            }
            b"kind" => list.kind = scan.text(body)?,
            b"apiVersion" => list.api_version = scan.text(body)?,
            b"items" if scan.peek()? == b'[' => {
                scan.array(|scan| {
                    let (start, end) = scan.value()?;
                    list.items.push(body.slice(start..end));
                    Some(())
                })?;
            }
            _ => {
                scan.value()?;
            }
        }
        Some(())
    })
    .ok_or_else(|| Status::internal("the answer is not a list"))?;
    Ok(list)
}

impl RawList {
    /// An item as an object on its own, in memory of its own: items of lists leave out what the list says of them all.
    pub fn whole(&self, item: &Bytes) -> Bytes {
        let members = item.strip_prefix(b"{").unwrap_or(item);
        let kind = self.kind.strip_suffix("List").unwrap_or_default();
        if says_what_it_is(item) || kind.is_empty() || members.trim_ascii_start().starts_with(b"}") {
            return Bytes::copy_from_slice(item);
        }
        let head = format!("{{\"kind\":{kind:?},\"apiVersion\":{:?},", self.api_version);
        [head.as_bytes(), members].concat().into()
    }
}

/// Whether the object names its kind itself, wherever among its members.
fn says_what_it_is(item: &Bytes) -> bool {
    let mut says = false;
    let mut scan = Scan { json: item, at: 0 };
    // Something that is no object is left for whoever decodes it. `None` ends the scan at the first sign.
    let _ = scan.object(|scan, key| {
        says |= matches!(key, b"kind" | b"apiVersion");
        if says {
            return None;
        }
        scan.value().map(drop)
    });
    says
}

/// One line of a watch.
#[derive(Debug)]
pub(crate) struct Frame {
    pub kind: String,
    pub object: Bytes,
}

/// Splits a watch event into its type and its object, which gets memory of its own.
pub(crate) fn frame(line: &Bytes) -> Option<Frame> {
    let mut frame = Frame { kind: String::new(), object: Bytes::new() };
    let mut scan = Scan { json: line, at: 0 };
    scan.object(|scan, key| {
        match key {
            b"type" => frame.kind = scan.text(line)?,
            b"object" => {
                let (start, end) = scan.value()?;
                frame.object = Bytes::copy_from_slice(&line[start..end]);
            }
            _ => drop(scan.value()?),
        }
        Some(())
    })?;
    Some(frame)
}

/// A cursor in JSON that knows only where values begin and end. `None` means the text ended or is not JSON.
struct Scan<'a> {
    json: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn peek(&mut self) -> Option<u8> {
        while self.json.get(self.at)?.is_ascii_whitespace() {
            self.at += 1;
        }
        Some(self.json[self.at])
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn object(&mut self, mut field: impl FnMut(&mut Self, &'a [u8]) -> Option<()>) -> Option<()> {
        self.expect(b'{')?;
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            let (start, end) = self.value()?;
            let json = self.json;
            let key = json.get(start + 1..end - 1)?;
            self.expect(b':')?;
            field(self, key)?;
            if !self.more(b'}')? {
                return Some(());
            }
        }
    }

    fn array(&mut self, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.expect(b'[')?;
        if self.peek()? == b']' {
            self.at += 1;
            return Some(());
        }
        loop {
            item(self)?;
            if !self.more(b']')? {
                return Some(());
            }
        }
    }

    /// Steps over a comma (true) or the closing byte (false).
    fn more(&mut self, close: u8) -> Option<bool> {
        let byte = self.peek()?;
        self.at += 1;
        match byte {
            b',' => Some(true),
            b if b == close => Some(false),
            _ => None,
        }
    }

    /// Steps over one value; its bounds.
    fn value(&mut self) -> Option<(usize, usize)> {
        self.peek()?;
        let start = self.at;
        let mut depth = 0usize;
        loop {
            match *self.json.get(self.at)? {
                b'"' => self.string()?,
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                _ => self.at += 1,
            }
            let ended = match self.json.get(self.at) {
                None => true,
                Some(b) => matches!(b, b',' | b'}' | b']' | b':') || b.is_ascii_whitespace(),
            };
            if depth == 0 && (ended || matches!(self.json[self.at - 1], b'"' | b'}' | b']')) {
                return Some((start, self.at));
            }
        }
    }

    /// The value as a string.
    fn text(&mut self, json: &[u8]) -> Option<String> {
        let (start, end) = self.value()?;
        serde_json::from_slice(&json[start..end]).ok()
    }

    fn string(&mut self) -> Option<()> {
        self.at += 1;
        loop {
            match *self.json.get(self.at)? {
                b'\\' => self.at += 2,
                b'"' => {
                    self.at += 1;
                    return Some(());
                }
                _ => self.at += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(json: &str) -> Option<Vec<String>> {
        let list = split(&Bytes::copy_from_slice(json.as_bytes())).ok()?;
        Some(list.items.iter().map(|b| String::from_utf8_lossy(b).into_owned()).collect())
    }

    #[test]
    fn items_keep_their_bytes() {
        let json = r#" {"kind":"PodList", "metadata":{"resourceVersion":"7","continue":"x"},
            "items" : [ {"a":"}],\"{["}, 1 ,[2,{}],"s" ] , "more":true}"#;
        assert_eq!(
            items(json).as_deref(),
            Some(&[r#"{"a":"}],\"{["}"#, "1", "[2,{}]", r#""s""#].map(String::from)[..])
        );
        let list = split(&Bytes::from_static(json.as_bytes())).expect("a list");
        assert_eq!((list.meta.resource_version.as_str(), list.meta.continue_token.as_str()), ("7", "x"));
    }

    #[test]
    fn items_are_made_whole_once() {
        let check = |item: &'static str, expected: &str| {
            let list = RawList { kind: "PodList".into(), api_version: "v1".into(), ..RawList::default() };
            assert_eq!(list.whole(&Bytes::from_static(item.as_bytes())), expected.as_bytes());
        };
        check(r#"{"spec":{"kind":"x"}}"#, r#"{"kind":"Pod","apiVersion":"v1","spec":{"kind":"x"}}"#);
        check(r#"{"a":{},"apiVersion":"v1","kind":"Pod"}"#, r#"{"a":{},"apiVersion":"v1","kind":"Pod"}"#);
        check("{}", "{}");
    }

    #[test]
    fn null_and_empty_items_are_empty() {
        assert_eq!(items(r#"{"items":null}"#), Some(vec![]));
        assert_eq!(items(r#"{"items":[]}"#), Some(vec![]));
        assert_eq!(items("{}"), Some(vec![]));
    }

    #[test]
    fn broken_text_is_an_error() {
        for json in ["", "[", "{", r#"{"items":[1"#, r#"{"items":[1 2]}"#, r#"{"items":["}"#, "}"] {
            assert_eq!(items(json), None, "{json}");
        }
    }
}
