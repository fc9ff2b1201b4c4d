use super::*;

/// A message of (number, bytes) fields.
fn fields(list: &[(u32, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, bytes) in list {
        out.push((number << 3 | 2) as u8);
        // Shorter than 128 bytes in these tests.
        out.push(bytes.len() as u8);
        out.extend_from_slice(bytes);
    }
    out
}

fn body(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let type_meta = fields(&[(1, api_version.as_bytes()), (2, kind.as_bytes())]);
    [MAGIC, &fields(&[(1, &type_meta), (2, raw), (3, b""), (4, b"")])].concat()
}

fn check(body: &[u8], expected: Result<Value, &str>) {
    let got =
        to_json(body).map(|json| serde_json::from_slice::<Value>(&json).unwrap()).map_err(|s| s.message);
    match (got, expected) {
        (Ok(got), Ok(expected)) => assert_eq!(got, expected),
        (Err(got), Err(expected)) => assert!(got.contains(expected), "{got}"),
        (got, expected) => panic!("{got:?} {expected:?}"),
    }
}

#[test]
fn a_config_map() {
    let meta = fields(&[(1, b"a"), (2, b""), (3, b"default"), (8, b"")]);
    let entry = fields(&[(1, b"k"), (2, b"v")]);
    let binary = fields(&[(1, b"b"), (2, b"hi!!")]);
    let raw = fields(&[(1, &meta), (2, &entry), (3, &binary)]);
    let expected = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"},
        "data": {"k": "v"}, "binaryData": {"b": "aGkhIQ=="},
    });
    check(&body("v1", "ConfigMap", &raw), Ok(expected));
}

#[test]
fn times_numbers_and_inlined_messages() {
    let time = [0x08, 0x80, 0xa3, 0xe5, 0xd4, 0x06];
    let meta = fields(&[(1, b"p"), (8, &time)]);
    // volumes: name 1, source 2 { emptyDir 2 { medium 1 } }
    let volume = fields(&[(1, b"v"), (2, &fields(&[(2, &fields(&[(1, b"Memory")]))]))]);
    let mut spec = fields(&[(1, &volume)]);
    // terminationGracePeriodSeconds (4), a pointer: zero is kept. hostNetwork (11): zero is absent.
    spec.extend([4 << 3, 0, 11 << 3, 0]);
    let raw = fields(&[(1, &meta), (2, &spec)]);
    let expected = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "p", "creationTimestamp": "2027-07-21T22:15:28Z"},
        "spec": {"volumes": [{"name": "v", "emptyDir": {"medium": "Memory"}}], "terminationGracePeriodSeconds": 0},
    });
    let mut got: Value = serde_json::from_slice(&to_json(&body("v1", "Pod", &raw)).unwrap()).unwrap();
    let stamp = got["metadata"]["creationTimestamp"].take();
    assert!(stamp.as_str().is_some_and(|s| s.ends_with('Z') && s.len() == 20), "{stamp}");
    got["metadata"]["creationTimestamp"] = expected["metadata"]["creationTimestamp"].clone();
    assert_eq!(got, expected);
}

#[test]
fn bad_bodies() {
    check(b"{}", Err("does not appear to be a protobuf message"));
    check(&body("v1", "Nothing", b""), Err("no kind \"Nothing\" is registered"));
    check(&body("v1", "Pod", &[0x0a, 0x05, 1]), Err("unexpected EOF"));
    check(&body("v1", "Pod", &[0x0b]), Err("wire type 3 is not supported"));
}

/// An object of a type with something in every field that has a number, and in one only that JSON shows.
fn filled(of: &'static Type, depth: usize) -> Value {
    let mut object = Map::new();
    for field in of.fields().iter().filter(|f| !f.numbers().is_empty()) {
        if let Some(value) = sample(field.value(), depth) {
            object.insert(field.name.to_owned(), value);
        }
    }
    Value::Object(object)
}

fn sample(holds: &'static Holds, depth: usize) -> Option<Value> {
    Some(match holds {
        Holds::Struct(_) if depth == 0 => return None,
        Holds::Struct(at) => filled(facts::struct_type(*at), depth - 1),
        Holds::Map { of, .. } => {
            json!({"k": sample(facts::value(*of), depth)?, "": sample(facts::value(*of), depth)?})
        }
        Holds::Array { of, .. } => {
            json!([sample(facts::value(*of), depth)?, sample(facts::value(*of), depth)?])
        }
        plain => sample::plain(plain)?,
    })
}

#[test]
fn every_kind_goes_there_and_back() {
    let mut seen = 0;
    for kind in facts::kinds() {
        let Some(message) = Message::named(kind.group, kind.version, kind.kind) else { continue };
        let mut object = filled(kind.type_of(), 5);
        let api_version = [kind.group, kind.version].join("/");
        object["apiVersion"] = json!(api_version.trim_start_matches('/'));
        object["kind"] = json!(kind.kind);
        let body = message.encode(&serde_json::to_vec(&object).unwrap()).unwrap();
        let back: Value = serde_json::from_slice(&to_json(&body).unwrap()).unwrap();
        assert_eq!(back, object, "{} {}", api_version, kind.kind);
        seen += 1;
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn bytes_are_as_go_writes_them() {
    let message = Message::named("", "v1", "ConfigMap").unwrap();
    let json = br#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","nope":[1,{"x":null}]},"immutable":null,"data":{"k":"v"}}"#;
    let meta = fields(&[(1, b"a")]);
    let entry = fields(&[(1, b"k"), (2, b"v")]);
    assert_eq!(message.encode(json).unwrap(), body("v1", "ConfigMap", &fields(&[(1, &meta), (2, &entry)])));
    // Lengths of more than a byte; the inlined source of a volume is one message, whatever lies between.
    let long = "x".repeat(300);
    let json = json!({"spec": {"volumes": [{"emptyDir": {"medium": long}, "name": "v"}], "terminationGracePeriodSeconds": 0}});
    let encoded = Message::named("", "v1", "Pod").unwrap().encode(json.to_string().as_bytes()).unwrap();
    let back: Value = serde_json::from_slice(&to_json(&encoded).unwrap()).unwrap();
    assert_eq!(back["spec"], json["spec"]);
}

#[test]
fn a_watch_is_framed() {
    let frame = watch_frame("ADDED", b"k8s\0x");
    assert_eq!(frame[..4], u32::try_from(frame.len() - 4).unwrap().to_be_bytes());
    assert_eq!(frame[4..], fields(&[(1, b"ADDED"), (2, &fields(&[(1, b"k8s\0x")]))]));
}

#[test]
fn what_has_no_form_has_no_message() {
    assert!(Message::named("meta.k8s.io", "v1", "Table").is_none());
    assert!(Message::named("example.com", "v1", "Thing").is_none());
}
