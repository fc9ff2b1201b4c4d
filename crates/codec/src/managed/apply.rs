//! Server-side apply of a body to a built-in kind.

use apimachinery::managed::{self, Conflicts, Elsewhere, Entry, Refusal, Writer};
use apimachinery::{Gvk, Status};
use serde_json::{Map, Value};

use super::{entries, last_applied, to_meta, typed};
use crate::decode::Strictness;
use crate::kind::AnyObject;
use crate::schema;
use crate::yaml;

/// What is applied, and how.
#[derive(Clone, Copy, Debug)]
pub struct Apply<'a> {
    /// Of the request: the version that it speaks.
    pub gvk: &'a Gvk,
    /// YAML or JSON.
    pub body: &'a [u8],
    /// About repeated keys only: fields that the type does not have are always refused.
    pub strictness: Strictness,
    /// Take over what others have.
    pub force: bool,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The whole new object as JSON of the request's version, managed fields included, not yet defaulted.
    pub json: Vec<u8>,
    /// Texts for `Warning` headers.
    pub warnings: Vec<String>,
}

/// Applies a body to the stored object, if there is one, as the request's version shows it. Errors are in upstream's words:
/// 400, 409, or a bare 500 for a body that does not fit the type.
pub fn apply(
    apply: &Apply<'_>,
    live: Option<&dyn AnyObject>,
    writer: &Writer<'_>,
    elsewhere: &Elsewhere<'_>,
) -> Result<Applied, Status> {
    let gvk = apply.gvk;
    let schema =
        schema::of_kind(gvk).ok_or_else(|| Status::internal(format!("no tables for {}", gvk.kind)))?;
    let (mut config, repeated) = configuration(apply)?;
    let (live, entries) = match live {
        Some(object) => stored(object)?,
        None => (Value::Object(Map::new()), Vec::new()),
    };
    last_applied::refresh(&mut config, &live, writer);
    let excused = last_applied::excused(&live, gvk, schema, writer);
    let conflicts = match (apply.force, &excused) {
        (true, _) => Conflicts::Force,
        (false, Some(set)) => Conflicts::Excuse(set),
        (false, None) => Conflicts::Refuse,
    };
    let done = managed::apply(entries, &live, &config, schema, writer, conflicts, elsewhere);
    let managed::Applied { mut object, entries } = done.map_err(|refusal| match refusal {
        Refusal::Conflict(status) => *status,
        Refusal::Invalid(why) => not_typed(gvk, &config, &why),
    })?;
    last_applied::set(&mut object, &live, &config, writer);
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        let fields = serde_json::to_value(to_meta(&entries)).map_err(Status::internal)?;
        metadata.insert("managedFields".into(), fields);
    }
    Ok(Applied { json: object.to_string().into_bytes(), warnings: strict(apply, repeated)? })
}

/// The body as JSON, checked against the kind's type, and what was repeated in it.
fn configuration(apply: &Apply<'_>) -> Result<(Value, Vec<String>), Status> {
    let gvk = apply.gvk;
    let bad = |why: String| Status::bad_request(format!("error decoding YAML: {why}"));
    let (text, repeated) =
        yaml::to_json_strict(apply.body).map_err(|e| bad(format!("error converting YAML to JSON: {e}")))?;
    let config: Value = serde_json::from_str(&text).map_err(Status::internal)?;
    if !config.is_object() {
        let what = typed::go_kind(&config);
        return Err(bad(format!(
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {what} into Go value of type \
             map[string]interface {{}}"
        )));
    }
    same_version(gvk, &config)?;
    if config.pointer("/metadata/managedFields").is_some_and(|f| !f.is_null()) {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    if let Some(schema) = schema::of_kind(gvk) {
        let errors = typed::errors(&config, schema);
        match &errors[..] {
            [] => {}
            [one] => return Err(not_typed(gvk, &config, one)),
            many => {
                return Err(not_typed(gvk, &config, &format!("errors:\n  {}", many.join("\n  "))));
            }
        }
    }
    Ok((config, repeated))
}

/// Unlike other bodies this one has to say what it is.
fn same_version(gvk: &Gvk, config: &Value) -> Result<(), Status> {
    let text = |name: &str| config.get(name).and_then(Value::as_str).unwrap_or_default();
    let (version, kind) = (text("apiVersion"), text("kind"));
    if version != gvk.api_version() {
        return Err(Status::bad_request(format!(
            "Incorrect version specified in apply patch. Specified patch version: {version}, expected: {}",
            gvk.api_version()
        )));
    }
    if kind != &*gvk.kind {
        return Err(Status::bad_request(format!(
            "Incorrect kind specified in apply patch. Specified patch kind: {kind}, expected: {}",
            gvk.kind
        )));
    }
    Ok(())
}

/// What a strict decoder says of a body that could be applied.
fn strict(apply: &Apply<'_>, repeated: Vec<String>) -> Result<Vec<String>, Status> {
    let texts = repeated.into_iter().map(|why| format!("error converting YAML to JSON: {why}"));
    match apply.strictness {
        Strictness::Ignore => Ok(Vec::new()),
        Strictness::Warn => Ok(texts.collect()),
        Strictness::Strict => match texts.into_iter().next() {
            None => Ok(Vec::new()),
            Some(why) => Err(Status::bad_request(format!("error strict decoding YAML: {why}"))),
        },
    }
}

/// The stored object without its managed fields, and those.
fn stored(object: &dyn AnyObject) -> Result<(Value, Vec<Entry>), Status> {
    let mut object = object.clone_box();
    let fields = object.object_meta_mut().managed_fields.take().unwrap_or_default();
    let live = serde_json::from_slice(&object.encode()).map_err(Status::internal)?;
    Ok((live, entries(&fields).unwrap_or_default()))
}

fn not_typed(gvk: &Gvk, config: &Value, why: &str) -> Status {
    let text = |path: &str| config.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
    let (version, kind) = (gvk.api_version(), &gvk.kind);
    let about = format!("{namespace}/{name}; {version}, Kind={kind}");
    Status::failure(500, "", format!("failed to create typed patch object ({about}): {why}"))
}
