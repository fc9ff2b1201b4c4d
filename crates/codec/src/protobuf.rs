//! Kubernetes' protobuf: bodies as JSON ([`to_json`]) and objects as bodies ([`Message::encode`]).
//!
//! Contract: <https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding>. The tables know every
//! field's number; fields without one are not read, as no client can have sent them.

use apimachinery::Status;
use facts::{Field, Type, Value as Holds};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

mod encode;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;
mod wire;

pub use encode::{Message, TAIL, item_head, watch_frame};

use wire::{Entry, Wire};

pub const CONTENT_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// What every body begins with.
const MAGIC: &[u8] = b"k8s\0";
/// Deeper messages are refused.
const DEPTH_MAX: usize = 64;

/// Go writes fields that are no pointers even when they are zero, and reads zero as absent. In JSON it leaves them
/// out, which is what everything behind this expects.
const ZERO_IS_ABSENT: &[&str] = &[
    "failureThreshold",
    "generation",
    "healthCheckNodePort",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "hostPort",
    "initialDelaySeconds",
    "minReadySeconds",
    "nodePort",
    "observedGeneration",
    "paused",
    "periodSeconds",
    "publishNotReadyAddresses",
    "readOnly",
    "stdin",
    "stdinOnce",
    "successThreshold",
    "timeoutSeconds",
    "tty",
    "unschedulable",
];
/// Strings that are pointers in Go: empty means something else than absent.
const EMPTY_IS_MEANT: &[&str] = &["storageClassName", "volumeAttributesClassName"];

/// A body as JSON, apiVersion and kind first; 400 when it cannot be read.
pub fn to_json(body: &[u8]) -> Result<Vec<u8>, Status> {
    decode(body).map_err(|why| Status::bad_request(format!("the object provided is unrecognized: {why}")))
}

fn decode(body: &[u8]) -> Result<Vec<u8>, String> {
    let unknown = body.strip_prefix(MAGIC).ok_or("provided data does not appear to be a protobuf message")?;
    let unknown = wire::entries(unknown)?;
    let type_meta = wire::entries(last_bytes(&unknown, 1).unwrap_or_default())?;
    let text = |number| last_bytes(&type_meta, number).map(String::from_utf8_lossy).unwrap_or_default();
    let (api_version, kind) = (text(1), text(2));
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    let of = facts::kind(group, version, &kind)
        .ok_or_else(|| format!("no kind {kind:?} is registered for version {api_version:?}"))?;
    let mut object = message(of, last_bytes(&unknown, 2).unwrap_or_default(), 0)?;
    object.insert("apiVersion".into(), json!(api_version));
    object.insert("kind".into(), json!(kind));
    serde_json::to_vec(&object).map_err(|e| e.to_string())
}

fn last_bytes<'a>(entries: &[Entry<'a>], number: u16) -> Option<&'a [u8]> {
    entries.iter().rev().find(|e| e.number == u32::from(number)).and_then(|e| e.wire.bytes())
}

fn message(of: &'static Type, bytes: &[u8], depth: usize) -> Result<Map<String, Value>, String> {
    if depth > DEPTH_MAX {
        return Err("the message is nested too deeply".into());
    }
    let entries = wire::entries(bytes)?;
    let mut object = Map::new();
    for field in of.fields() {
        let found = along(&entries, field.numbers())?;
        if found.is_empty() {
            continue;
        }
        if let Some(value) = field_value(field, &found, depth)? {
            object.insert(field.name.to_owned(), value);
        }
    }
    Ok(object)
}

/// The values at a path of numbers: messages that JSON shows inlined are stepped into.
fn along<'a>(entries: &[Entry<'a>], path: &[u16]) -> Result<Vec<Wire<'a>>, String> {
    let Some((first, rest)) = path.split_first() else { return Ok(Vec::new()) };
    let here = entries.iter().filter(|e| e.number == u32::from(*first)).map(|e| e.wire);
    if rest.is_empty() {
        return Ok(here.collect());
    }
    let mut found = Vec::new();
    for wire in here {
        found.extend(along(&wire::entries(wire.bytes().unwrap_or_default())?, rest)?);
    }
    Ok(found)
}

/// `None`: left out, as Go would leave it out of JSON.
fn field_value(field: &'static Field, found: &[Wire<'_>], depth: usize) -> Result<Option<Value>, String> {
    let value = whole(field.value(), found, depth)?;
    let absent = match &value {
        Value::Null => true,
        Value::String(text) => text.is_empty() && !field.required() && !EMPTY_IS_MEANT.contains(&field.name),
        Value::Number(n) => {
            n.as_i64() == Some(0) && !field.required() && ZERO_IS_ABSENT.contains(&field.name)
        }
        Value::Bool(b) => !b && !field.required() && ZERO_IS_ABSENT.contains(&field.name),
        _ => false,
    };
    Ok((!absent).then_some(value))
}

/// A field's value: all entries of a list or map, the last one of anything else.
fn whole(holds: &'static Holds, found: &[Wire<'_>], depth: usize) -> Result<Value, String> {
    match holds {
        Holds::Array { of, .. } => {
            let of = facts::value(*of);
            let mut items = Vec::with_capacity(found.len());
            for wire in found {
                match (wire, of) {
                    (Wire::Bytes(packed), Holds::Int32 | Holds::Int64 | Holds::Bool) => {
                        for number in wire::varints(packed)? {
                            items.push(one(of, Wire::Varint(number), depth)?);
                        }
                    }
                    (wire, of) => items.push(one(of, *wire, depth)?),
                }
            }
            Ok(Value::Array(items))
        }
        Holds::Map { of, .. } => {
            let mut map = Map::new();
            for wire in found {
                let entry = wire::entries(wire.bytes().unwrap_or_default())?;
                let key = String::from_utf8_lossy(last_bytes(&entry, 1).unwrap_or_default()).into_owned();
                let value: Vec<Wire<'_>> = entry.iter().filter(|e| e.number == 2).map(|e| e.wire).collect();
                let of = facts::value(*of);
                let value = match of {
                    // Go's named slice types are messages with one field.
                    Holds::Array { .. } => {
                        let list = wire::entries(last_bytes(&entry, 2).unwrap_or_default())?;
                        whole(of, &along(&list, &[1])?, depth + 1)?
                    }
                    of if value.is_empty() => zero(of),
                    of => whole(of, &value, depth + 1)?,
                };
                map.insert(key, value);
            }
            Ok(Value::Object(map))
        }
        _ => found.last().map_or(Ok(Value::Null), |wire| one(holds, *wire, depth)),
    }
}

fn zero(holds: &Holds) -> Value {
    match holds {
        Holds::Bool => json!(false),
        Holds::Int32 | Holds::Int64 | Holds::Double => json!(0),
        Holds::Struct(_) | Holds::Map { .. } => json!({}),
        Holds::Array { .. } => json!([]),
        Holds::Quantity => json!("0"),
        _ => json!(""),
    }
}

fn one(holds: &'static Holds, wire: Wire<'_>, depth: usize) -> Result<Value, String> {
    let bytes = wire.bytes().unwrap_or_default();
    Ok(match holds {
        Holds::Bool => json!(wire.number()? != 0),
        Holds::Int32 => json!(wire.number()? as i32),
        Holds::Int64 => json!(wire.number()? as i64),
        Holds::Double => json!(wire.double()?),
        Holds::String => json!(std::str::from_utf8(bytes).map_err(|e| e.to_string())?),
        Holds::Bytes => json!(base64(bytes)),
        Holds::Quantity => {
            let text = last_bytes(&wire::entries(bytes)?, 1).unwrap_or_default();
            json!(if text.is_empty() { "0".into() } else { String::from_utf8_lossy(text) })
        }
        Holds::IntOrString => int_or_string(bytes)?,
        Holds::Time => time(bytes, 0)?,
        Holds::MicroTime => time(bytes, 6)?,
        Holds::Any | Holds::Raw => match last_bytes(&wire::entries(bytes)?, 1) {
            None => Value::Null,
            Some(raw) => serde_json::from_slice(raw).map_err(|e| e.to_string())?,
        },
        Holds::Struct(at) => Value::Object(message(facts::struct_type(*at), bytes, depth + 1)?),
        Holds::Map { .. } | Holds::Array { .. } => whole(holds, &[wire], depth + 1)?,
    })
}

fn int_or_string(bytes: &[u8]) -> Result<Value, String> {
    let entries = wire::entries(bytes)?;
    let number = |wanted: u32| entries.iter().rev().find(|e| e.number == wanted).map(|e| e.wire.number());
    match number(1).transpose()?.unwrap_or(0) {
        0 => Ok(json!(number(2).transpose()?.unwrap_or(0) as i32)),
        _ => Ok(json!(String::from_utf8_lossy(last_bytes(&entries, 3).unwrap_or_default()))),
    }
}

/// An empty message is the zero time, which JSON leaves out.
fn time(bytes: &[u8], digits: u8) -> Result<Value, String> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let entries = wire::entries(bytes)?;
    let number = |wanted: u32| match entries.iter().rev().find(|e| e.number == wanted) {
        Some(entry) => entry.wire.number().map(|n| n as i64),
        None => Ok(0),
    };
    let nanos = if digits == 0 { 0 } else { i32::try_from(number(2)?).map_err(|e| e.to_string())? };
    let at = Timestamp::new(number(1)?, nanos).map_err(|e| e.to_string())?;
    let printer = jiff::fmt::temporal::DateTimePrinter::new().precision(Some(digits));
    Ok(json!(printer.timestamp_to_string(&at)))
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, b| bits << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for at in 0..4 {
            match at <= chunk.len() {
                true => out.push(ALPHABET[(bits >> (18 - 6 * at)) as usize & 63] as char),
                false => out.push('='),
            }
        }
    }
    out
}
