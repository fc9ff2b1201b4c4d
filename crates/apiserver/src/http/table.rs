//! Objects as a `meta.k8s.io/v1` Table, and as metadata only.

use std::borrow::Cow;

use apimachinery::Status;
use jiff::Timestamp;
use resources::Resource;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Which object a row carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IncludeObject {
    None,
    Metadata,
    Object,
}

impl IncludeObject {
    /// Parses the `includeObject` parameter.
    pub fn parse(text: &str) -> Result<Self, Status> {
        match text {
            "" | "Metadata" => Ok(Self::Metadata),
            "None" => Ok(Self::None),
            "Object" => Ok(Self::Object),
            other => Err(Status::bad_request(format!(
                "Unable to convert to Table as requested: includeObject: Invalid value: {other:?}: must be 'Metadata', \
                 'Object', 'None', or empty"
            ))),
        }
    }
}

/// How to make a table.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub include: IncludeObject,
    /// Column definitions are part of the answer; later events of a watch leave them out.
    pub headers: bool,
    pub now: Timestamp,
}

#[derive(Serialize)]
struct Table<'a> {
    kind: &'static str,
    #[serde(rename = "apiVersion")]
    api_version: &'static str,
    metadata: Value,
    #[serde(rename = "columnDefinitions")]
    columns: Option<Value>,
    rows: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    cells: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<Cow<'a, RawValue>>,
}

/// A table of whole objects. `metadata` is the list's.
pub fn table<'a>(
    resource: &Resource,
    metadata: Value,
    objects: impl Iterator<Item = &'a [u8]>,
    options: Options,
) -> Result<Vec<u8>, Status> {
    let rows = objects.map(|json| row(resource, json, options)).collect::<Result<Vec<_>, _>>()?;
    let columns = options.headers.then(|| columns(resource));
    let table = Table { kind: "Table", api_version: "meta.k8s.io/v1", metadata, columns, rows };
    serde_json::to_vec(&table).map_err(Status::internal)
}

fn columns(resource: &Resource) -> Value {
    let definition = |c: &resources::strategy::Column| {
        json!({
            "name": c.name, "type": c.kind, "format": c.format,
            "description": c.description, "priority": c.priority,
        })
    };
    resource.strategy.columns().iter().map(definition).collect()
}

fn row<'a>(resource: &Resource, json: &'a [u8], options: Options) -> Result<Row<'a>, Status> {
    let object = resource.strategy.decode(json).map_err(Status::internal)?;
    let cells = resource.strategy.row(&*object, options.now);
    let object = match options.include {
        IncludeObject::None => None,
        IncludeObject::Object => Some(match resource.shown(json) {
            None => Cow::Borrowed(serde_json::from_slice::<&RawValue>(json).map_err(Status::internal)?),
            Some(shown) => Cow::Owned(raw(shown.map_err(Status::internal)?)?),
        }),
        IncludeObject::Metadata => Some(Cow::Owned(raw(partial(json)?)?)),
    };
    Ok(Row { cells, object })
}

fn raw(json: Vec<u8>) -> Result<Box<RawValue>, Status> {
    let text = String::from_utf8(json).map_err(Status::internal)?;
    RawValue::from_string(text).map_err(Status::internal)
}

/// The object's metadata as a `PartialObjectMetadata`.
pub fn partial(json: &[u8]) -> Result<Vec<u8>, Status> {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(borrow)]
        metadata: &'a RawValue,
    }
    let head: Head<'_> = serde_json::from_slice(json).map_err(Status::internal)?;
    let prefix = r#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":"#;
    Ok([prefix, head.metadata.get(), "}"].concat().into_bytes())
}
