//! Objects and patches.

use std::sync::LazyLock;

use apimachinery::Status;
use apimachinery::managed::{Writer, nowhere};
use codec::decode::{self, Content, Strictness};
use codec::managed::Apply;
use codec::{AnyObject, schema};
use jiff::Timestamp;
use resources::Resource;
use resources::strategy::Part;
use serde_json::Value;

static RESOURCES: LazyLock<Vec<Resource>> = LazyLock::new(resources::table::all);

/// What patches are applied to: an object with lists, maps and numbers of every sort.
static DEPLOYMENT: LazyLock<Value> = LazyLock::new(|| {
    let text = include_bytes!("../../corpus/json/deployment");
    serde_json::from_slice(text).unwrap_or_else(|e| panic!("the deployment of the corpus: {e}"))
});

fn resource(kind: &str) -> &'static Resource {
    let found = RESOURCES.iter().find(|r| *r.gvk.kind == *kind && r.conversion.is_none());
    found.unwrap_or_else(|| panic!("no resource of kind {kind}"))
}

/// The resource that the body says it is, or pods.
fn resource_of(body: &[u8]) -> &'static Resource {
    let said: Option<Value> = serde_json::from_slice(body).ok();
    let kind = said.as_ref().and_then(|v| v["kind"].as_str()).unwrap_or("Pod");
    RESOURCES.iter().find(|r| *r.gvk.kind == *kind).unwrap_or_else(|| resource("Pod"))
}

fn message(status: Status) -> String {
    status.message
}

/// Everything that is done with a body before it is stored.
pub fn json(input: &[u8]) -> String {
    body(input, resource_of(input), Content::Json)
}

/// The same of YAML; what was read, written and read again is the same.
pub fn yaml(input: &[u8]) -> String {
    if let Ok(stream) = std::str::from_utf8(input) {
        let _ = codec::yaml::documents(stream);
    }
    let value = match codec::yaml::to_value(input) {
        Ok(value) => value,
        Err(e) => return e,
    };
    let text = codec::yaml::from_value(&value);
    let again = codec::yaml::to_value(text.as_bytes());
    assert_eq!(again.as_ref(), Ok(&value), "YAML written and read again:\n{text}");
    body(input, resource_of(value.to_string().as_bytes()), Content::Yaml)
}

fn body(input: &[u8], resource: &Resource, content: Content) -> String {
    let lenient = match decode::decode(&resource.gvk, input, content, Strictness::Warn) {
        Ok(decoded) => decoded,
        Err(status) => return message(status),
    };
    let strict = decode::decode(&resource.gvk, input, content, Strictness::Strict);
    assert_eq!(strict.is_ok(), lenient.warnings.is_empty(), "what is warned of is refused when asked to");
    let mut object = match resource.read(&lenient.json) {
        Ok(object) => object,
        Err(e) => panic!("decoded, but not read: {e}\n{}", String::from_utf8_lossy(&lenient.json)),
    };
    let strategy = &resource.strategy;
    strategy.default(&mut *object);
    strategy.prepare_create(&mut *object);
    let errors = strategy.validate(&*object);
    let old = object.clone_box();
    for part in [Part::Main, Part::Status] {
        let mut new = object.clone_box();
        strategy.prepare_update(&mut *new, &*old, part);
        let _ = strategy.validate_update(&*new, &*old, part);
    }
    let _ = (strategy.warnings(&*object), strategy.fields(&*object), strategy.scale(&*object));
    let _ = (strategy.row(&*object, Timestamp::UNIX_EPOCH), strategy.row_conditions(&*object));
    let stored = object.encode();
    let again = resource.strategy.decode(&stored);
    let again =
        again.unwrap_or_else(|e| panic!("stored, but not read: {e}\n{}", String::from_utf8_lossy(&stored)));
    assert_eq!(again.encode(), stored, "what is stored stays as it is");
    codec::meta::parse(&stored).unwrap_or_else(|e| panic!("stored without metadata: {e}"));
    match errors.iter().next() {
        Some(error) => error.to_string(),
        None => format!("a good {}", resource.gvk.kind),
    }
}

/// From protobuf to the JSON that the same is.
pub fn protobuf(input: &[u8]) -> String {
    match codec::protobuf::to_json(input) {
        Ok(json) => {
            let value: Result<Value, _> = serde_json::from_slice(&json);
            assert!(value.is_ok(), "no JSON: {}", String::from_utf8_lossy(&json));
            body(&json, resource_of(&json), Content::Json)
        }
        Err(status) => message(status),
    }
}

pub fn json_patch(input: &[u8]) -> String {
    let read = decode::operations(input);
    let done = apimachinery::patch::json_patch(DEPLOYMENT.clone(), input);
    assert!(read.is_ok() || done.is_err() || refused_only_by_type(&read), "applied, but not read: {read:?}");
    patched(done)
}

/// A field of an operation that is no string: applying looks only at what the operation needs.
fn refused_only_by_type(read: &Result<Vec<String>, String>) -> bool {
    read.as_ref().is_err_and(|e| e.starts_with("json: cannot unmarshal"))
}

pub fn merge_patch(input: &[u8]) -> String {
    let read = decode::merge_patch(input);
    let done = apimachinery::patch::merge_patch(DEPLOYMENT.clone(), input);
    assert!(read.is_ok() || done.is_err(), "applied, but not read: {read:?}");
    patched(done)
}

pub fn strategic_merge_patch(input: &[u8]) -> String {
    let Some(schema) = schema::of_kind(&resource("Deployment").gvk) else { panic!("no schema") };
    patched(apimachinery::patch::strategic_merge_patch(DEPLOYMENT.clone(), input, schema))
}

/// What becomes of a patched object.
fn patched(done: Result<Value, Status>) -> String {
    match done {
        Ok(value) => body(value.to_string().as_bytes(), resource("Deployment"), Content::Json),
        Err(status) => message(status),
    }
}

/// Applied to nothing, to the result (which changes nothing), and by somebody else.
pub fn server_side_apply(input: &[u8]) -> String {
    let deployment = resource("Deployment");
    let apply = Apply { gvk: &deployment.gvk, body: input, strictness: Strictness::Warn, force: false };
    let run = |live: Option<&dyn AnyObject>, manager: &str| {
        let writer = Writer {
            manager,
            api_version: "apps/v1",
            subresource: "",
            ignored: &["status"],
            now: Timestamp::UNIX_EPOCH,
        };
        codec::managed::apply(&apply, live, &writer, &nowhere)
    };
    let first = match run(None, "first") {
        Ok(done) => done.json,
        Err(status) => return message(status),
    };
    let Ok(object) = deployment.read(&first) else { return "applied, but no Deployment".into() };
    let encoded = object.encode();
    if let Ok(again) = run(Some(&*object), "first") {
        let object = deployment.read(&again.json);
        let object = object.unwrap_or_else(|e| panic!("applied twice, not read: {e}"));
        assert_eq!(
            String::from_utf8_lossy(&object.encode()),
            String::from_utf8_lossy(&encoded),
            "applied twice is as applied once"
        );
    }
    match run(Some(&*object), "second") {
        Ok(_) => "applied by both".into(),
        Err(status) => message(status),
    }
}
