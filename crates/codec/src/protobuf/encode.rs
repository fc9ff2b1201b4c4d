//! Objects in Kubernetes' protobuf, from their JSON, in one pass and without a tree.
//!
//! Zero values that Go would write for fields that are no pointers are left out: protobuf reads an absent field as zero.

use std::borrow::Cow;
use std::fmt;

use apimachinery::Status;
use facts::{Field, Type, Value as Holds};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::MAGIC;
use super::wire::{put_bytes, put_double, put_length, put_message, put_number};

/// The type of an object that can be said in protobuf.
#[derive(Clone, Copy)]
pub struct Message {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    of: &'static Type,
}

impl Message {
    /// `None` for a kind that has no protobuf form (custom resources, Table).
    pub fn named(group: &str, version: &str, kind: &str) -> Option<Message> {
        let kinds = facts::kinds();
        let at =
            kinds.binary_search_by(|k| (k.group, k.version, k.kind).cmp(&(group, version, kind))).ok()?;
        let found = &kinds[at];
        let of = found.type_of();
        // A type none of whose fields has a number would be encoded as nothing at all.
        of.fields().iter().any(|f| !f.numbers().is_empty()).then_some(Message {
            group: found.group,
            version: found.version,
            kind: found.kind,
            of,
        })
    }

    /// The object's JSON as a whole body: prefix, type and message. 500 when `json` is not as the type says: what is stored is.
    pub fn encode(&self, json: &[u8]) -> Result<Vec<u8>, Status> {
        Ok(self.whole(&self.message(json)?))
    }

    /// The message alone, as [`Message::whole`] and lists carry it. 500 when `json` is not as the type says.
    pub fn message(&self, json: &[u8]) -> Result<Vec<u8>, Status> {
        let mut out = Vec::with_capacity(json.len() * 3 / 4);
        object(self.of, json, &mut out)
            .map_err(|e| Status::internal(format!("{} cannot be written as protobuf: {e}", self.kind)))?;
        Ok(out)
    }

    /// A whole body around a message of this type.
    pub fn whole(&self, message: &[u8]) -> Vec<u8> {
        let mut out = self.head(message.len());
        out.reserve(message.len() + TAIL.len());
        out.extend_from_slice(message);
        out.extend_from_slice(TAIL);
        out
    }

    /// What stands before a message of so many bytes in a whole body; [`TAIL`] stands after it.
    pub fn head(&self, length: usize) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        let api_version = match self.group {
            "" => Cow::Borrowed(self.version),
            group => Cow::Owned(format!("{group}/{}", self.version)),
        };
        // Nothing here can fail.
        let Ok(()) = put_message(&mut out, 1, |out| {
            put_bytes(out, 1, api_version.as_bytes());
            put_bytes(out, 2, self.kind.as_bytes());
            Ok::<(), std::convert::Infallible>(())
        });
        put_length(&mut out, 2, length);
        out
    }
}

/// The end of every whole body: contentEncoding and contentType are always there, empty.
pub const TAIL: &[u8] = &[3 << 3 | 2, 0, 4 << 3 | 2, 0];

/// What stands before each item of `length` bytes in a list's message.
pub fn item_head(length: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(6);
    put_length(&mut out, 2, length);
    out
}

/// One event of a watch: its length (four bytes, big endian) and a WatchEvent with `object`, a whole body.
pub fn watch_frame(kind: &str, object: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 4];
    put_bytes(&mut out, 1, kind.as_bytes());
    // A RawExtension; nothing here can fail.
    let Ok(()) = put_message(&mut out, 2, |out| {
        put_bytes(out, 1, object);
        Ok::<(), std::convert::Infallible>(())
    });
    let length = u32::try_from(out.len() - 4).unwrap_or(u32::MAX);
    out[..4].copy_from_slice(&length.to_be_bytes());
    out
}

fn object(of: &'static Type, json: &[u8], out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    Fields { of, out }.deserialize(&mut reader)?;
    reader.end()
}

/// The fields of a message, from a JSON object.
struct Fields<'o> {
    of: &'static Type,
    out: &'o mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object ({})", self.of.name)
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        // Messages that JSON shows inlined: their fields may come in any order, but are one message.
        let mut inlined: Vec<(u16, Vec<u8>)> = Vec::new();
        while let Some(field) = map.next_key_seed(Name(self.of))? {
            let Some((field, numbers)) = field.map(|f| (f, f.numbers())).filter(|(_, n)| !n.is_empty())
            else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            match numbers {
                [number] => map.next_value_seed(One::of_field(field, *number, self.out))?,
                [outer, rest @ ..] => {
                    let at = inlined.iter().position(|(n, _)| n == outer).unwrap_or_else(|| {
                        inlined.push((*outer, Vec::new()));
                        inlined.len() - 1
                    });
                    into_inlined(&mut map, field, rest, &mut inlined[at].1)?;
                }
                [] => {}
            }
        }
        for (number, message) in inlined {
            put_bytes(self.out, number, &message);
        }
        Ok(())
    }
}

/// A field of the type by its name, which is not copied.
struct Name(&'static Type);

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<&'static Field>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<&'static Field>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.field(name))
    }
}

/// A field that lies deeper: repeated messages are merged by whoever reads them.
fn into_inlined<'de, A: MapAccess<'de>>(
    map: &mut A,
    field: &'static Field,
    path: &[u16],
    out: &mut Vec<u8>,
) -> Result<(), A::Error> {
    match path {
        [number] => map.next_value_seed(One::of_field(field, *number, out)),
        [outer, rest @ ..] => put_message(out, *outer, |out| into_inlined(map, field, rest, out)),
        [] => Ok(()),
    }
}

/// One value under its number; nothing for null.
struct One<'o> {
    holds: &'static Holds,
    number: u16,
    out: &'o mut Vec<u8>,
}

impl<'o> One<'o> {
    fn of_field(field: &'static Field, number: u16, out: &'o mut Vec<u8>) -> Self {
        One { holds: field.value(), number, out }
    }
}

impl<'de> DeserializeSeed<'de> for One<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.holds {
            Holds::Any | Holds::Raw => {
                let value: serde_json::Value = serde::Deserialize::deserialize(deserializer)?;
                if value.is_null() {
                    return Ok(());
                }
                let json = serde_json::to_vec(&value).map_err(D::Error::custom)?;
                put_message(self.out, self.number, |out| {
                    put_bytes(out, 1, &json);
                    Ok(())
                })
            }
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for One<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.holds)
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        put_number(self.out, self.number, value.into());
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        match self.holds {
            Holds::Double => put_double(self.out, self.number, value as f64),
            Holds::Quantity => return self.visit_str(&value.to_string()),
            Holds::IntOrString => {
                return put_message(self.out, self.number, |out| {
                    put_number(out, 1, 0);
                    put_number(out, 2, value as u64);
                    put_bytes(out, 3, b"");
                    Ok(())
                });
            }
            // Negative numbers take ten bytes, whatever their type.
            _ => put_number(self.out, self.number, value as u64),
        }
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.visit_i64(i64::try_from(value).map_err(E::custom)?)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        match self.holds {
            Holds::Double => put_double(self.out, self.number, value),
            Holds::Quantity => return self.visit_str(&value.to_string()),
            // The table checks have let it through, so it is whole.
            _ => put_number(self.out, self.number, value as i64 as u64),
        }
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let One { holds, number, out } = self;
        match holds {
            Holds::Bytes => put_bytes(out, number, &base64(text).ok_or_else(|| E::custom("not base64"))?),
            Holds::Quantity => put_message(out, number, |out| {
                put_bytes(out, 1, text.as_bytes());
                Ok(())
            })?,
            Holds::IntOrString => put_message(out, number, |out| {
                put_number(out, 1, 1);
                put_number(out, 2, 0);
                put_bytes(out, 3, text.as_bytes());
                Ok(())
            })?,
            Holds::Time | Holds::MicroTime => {
                let at: jiff::Timestamp = text.parse().map_err(E::custom)?;
                put_message(out, number, |out| {
                    put_number(out, 1, at.as_second() as u64);
                    put_number(out, 2, at.subsec_nanosecond() as u64);
                    Ok(())
                })?;
            }
            _ => put_bytes(out, number, text.as_bytes()),
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let One { holds, number, out } = self;
        match holds {
            Holds::Struct(at) => {
                let of = facts::struct_type(*at);
                put_message(out, number, |out| Fields { of, out }.visit_map(map))
            }
            Holds::Map { of, .. } => {
                let of = facts::value(*of);
                while let Some(key) = map.next_key::<String>()? {
                    put_message(out, number, |out| {
                        put_bytes(out, 1, key.as_bytes());
                        map.next_value_seed(Entry { holds: of, out })
                    })?;
                }
                Ok(())
            }
            _ => Err(A::Error::custom("an object where none belongs")),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let One { holds, number, out } = self;
        let Holds::Array { of, .. } = holds else {
            return Err(A::Error::custom("a list where none belongs"));
        };
        let of = facts::value(*of);
        while list.next_element_seed(One { holds: of, number, out: &mut *out })?.is_some() {}
        Ok(())
    }
}

/// A map's value, number 2 of its entry. Lists there are messages of their own (Go's named slice types).
struct Entry<'o> {
    holds: &'static Holds,
    out: &'o mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Entry<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.holds {
            Holds::Array { .. } => put_message(self.out, 2, |out| {
                One { holds: self.holds, number: 1, out }.deserialize(deserializer)
            }),
            holds => One { holds, number: 2, out: self.out }.deserialize(deserializer),
        }
    }
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0u32, 0);
    for byte in text.bytes().filter(|b| !matches!(b, b'\n' | b'\r')) {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => continue,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    Some(out)
}
