//! The second version's document as protobuf, for clients that read nothing else (kubectl, when a kind is in no document of
//! the third).
//!
//! Contract: gnostic's `openapi.v2.Document`; only the messages and fields that our documents have.

use serde_json::{Map, Value};

/// What is answered, and how clients ask for it: also in an older spelling, which is no media type by Go's own rules.
pub const TYPES: [&str; 2] = [
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
];

/// A message being written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.0.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.0.push(n as u8);
    }

    fn bytes(&mut self, field: u32, bytes: &[u8]) {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// Nothing for an absent or empty string, as proto3 has it.
    fn text(&mut self, field: u32, value: Option<&Value>) {
        if let Some(text) = value.and_then(Value::as_str).filter(|t| !t.is_empty()) {
            self.bytes(field, text.as_bytes());
        }
    }

    fn flag(&mut self, field: u32, value: Option<&Value>) {
        if value.and_then(Value::as_bool) == Some(true) {
            self.varint(u64::from(field) << 3);
            self.varint(1);
        }
    }

    fn message(&mut self, field: u32, message: Message) {
        self.bytes(field, &message.0);
    }

    fn texts(&mut self, field: u32, values: Option<&Value>) {
        for text in values.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            self.bytes(field, text.as_bytes());
        }
    }
}

/// The document's bytes.
pub fn document(json: &Value) -> Vec<u8> {
    let mut out = Message::default();
    out.text(1, json.get("swagger"));
    let mut info = Message::default();
    info.text(1, json.pointer("/info/title"));
    info.text(2, json.pointer("/info/version"));
    out.message(2, info);
    let mut paths = Message::default();
    each(json.get("paths"), |path, item| paths.message(2, named(path, path_item(item))));
    out.message(8, paths);
    let mut definitions = Message::default();
    each(json.get("definitions"), |name, value| definitions.message(1, named(name, schema(value))));
    out.message(9, definitions);
    out.0
}

fn each(value: Option<&Value>, mut f: impl FnMut(&str, &Value)) {
    for (key, value) in value.and_then(Value::as_object).into_iter().flatten() {
        f(key, value);
    }
}

/// `{name, value}`, as maps are written.
fn named(name: &str, value: Message) -> Message {
    let mut pair = Message::default();
    pair.bytes(1, name.as_bytes());
    pair.message(2, value);
    pair
}

/// An `Any` that carries YAML; JSON is YAML.
fn any(value: &Value) -> Message {
    let mut any = Message::default();
    any.bytes(2, value.to_string().as_bytes());
    any
}

fn extensions(out: &mut Message, field: u32, json: &Value) {
    each(Some(json), |key, value| {
        if key.starts_with("x-") {
            out.message(field, named(key, any(value)));
        }
    });
}

const METHODS: [(&str, u32); 7] =
    [("get", 2), ("put", 3), ("post", 4), ("delete", 5), ("options", 6), ("head", 7), ("patch", 8)];

fn path_item(json: &Value) -> Message {
    let mut out = Message::default();
    for (method, field) in METHODS {
        if let Some(found) = json.get(method) {
            out.message(field, operation(found));
        }
    }
    parameters(&mut out, 9, json);
    extensions(&mut out, 10, json);
    out
}

fn operation(json: &Value) -> Message {
    let mut out = Message::default();
    out.texts(1, json.get("tags"));
    out.text(3, json.get("description"));
    out.text(5, json.get("operationId"));
    out.texts(6, json.get("produces"));
    out.texts(7, json.get("consumes"));
    parameters(&mut out, 8, json);
    let mut responses = Message::default();
    each(json.get("responses"), |code, value| responses.message(1, named(code, response(value))));
    out.message(9, responses);
    extensions(&mut out, 13, json);
    out
}

/// A `ResponseValue` that holds a `Response` that holds a `SchemaItem`.
fn response(json: &Value) -> Message {
    let mut plain = Message::default();
    plain.text(1, json.get("description"));
    if let Some(found) = json.get("schema") {
        let mut item = Message::default();
        item.message(1, schema(found));
        plain.message(2, item);
    }
    let mut out = Message::default();
    out.message(1, plain);
    out
}

fn parameters(out: &mut Message, field: u32, json: &Value) {
    for parameter in json.get("parameters").and_then(Value::as_array).into_iter().flatten() {
        let mut wrapped = Message::default();
        match parameter.get("in").and_then(Value::as_str) {
            Some("body") => wrapped.message(1, body(parameter)),
            Some("query") => wrapped.message(2, simple(parameter, 3, 6)),
            Some("path") => wrapped.message(2, simple(parameter, 4, 5)),
            _ => continue,
        }
        let mut item = Message::default();
        item.message(1, wrapped);
        out.message(field, item);
    }
}

fn body(json: &Value) -> Message {
    let mut out = Message::default();
    out.text(1, json.get("description"));
    out.text(2, json.get("name"));
    out.text(3, json.get("in"));
    out.flag(4, json.get("required"));
    if let Some(found) = json.get("schema") {
        out.message(5, schema(found));
    }
    out
}

/// A query or path parameter, wrapped as a `NonBodyParameter`; `kind` is the field of its type.
fn simple(json: &Value, wrapper: u32, kind: u32) -> Message {
    let mut inner = Message::default();
    inner.flag(1, json.get("required"));
    inner.text(2, json.get("in"));
    inner.text(3, json.get("description"));
    inner.text(4, json.get("name"));
    inner.text(kind, json.get("type"));
    let mut out = Message::default();
    out.message(wrapper, inner);
    out
}

fn schema(json: &Value) -> Message {
    let mut out = Message::default();
    out.text(1, json.get("$ref"));
    out.text(2, json.get("format"));
    out.text(4, json.get("description"));
    if let Some(default) = json.get("default") {
        out.message(5, any(default));
    }
    out.texts(19, json.get("required"));
    for value in json.get("enum").and_then(Value::as_array).into_iter().flatten() {
        out.message(20, any(value));
    }
    match json.get("additionalProperties") {
        Some(Value::Object(of)) => {
            let mut item = Message::default();
            item.message(1, schema(&Value::Object(of.clone())));
            out.message(21, item);
        }
        flag @ Some(Value::Bool(_)) => {
            let mut item = Message::default();
            item.flag(2, flag);
            out.message(21, item);
        }
        _ => {}
    }
    if json.get("type").is_some() {
        let mut kind = Message::default();
        kind.text(1, json.get("type"));
        out.message(22, kind);
    }
    if let Some(of) = json.get("items") {
        let mut items = Message::default();
        items.message(1, schema(of));
        out.message(23, items);
    }
    for part in json.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        out.message(24, schema(part));
    }
    if json.get("properties").and_then(Value::as_object).is_some_and(|p: &Map<_, _>| !p.is_empty()) {
        let mut properties = Message::default();
        each(json.get("properties"), |name, value| properties.message(1, named(name, schema(value))));
        out.message(25, properties);
    }
    extensions(&mut out, 31, json);
    out
}
