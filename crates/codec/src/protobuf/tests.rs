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
