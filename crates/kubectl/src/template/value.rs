//! The values templates reckon with: what Go's reflection would see.

use std::borrow::Cow;

use serde_json::{Map, Value as Json};

/// A value of a template, with Go's type.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// No value at all: a missing field, a null, a template called without one.
    Nothing,
    /// What stands in a map or a list: an `interface {}`. See [`Value::open`].
    Boxed(&'a Json),
    Bool(bool),
    Int(i64),
    Int64(i64),
    Byte(u8),
    Float(f64),
    /// Go's strings are bytes.
    Text(Cow<'a, [u8]>),
    List(&'a [Json]),
    Map(&'a Map<String, Json>),
}

impl<'a> Value<'a> {
    pub fn of(json: &'a Json) -> Self {
        match json {
            Json::Null => Value::Nothing,
            Json::Bool(is) => Value::Bool(*is),
            Json::Number(n) => match n.as_i64() {
                Some(n) => Value::Int64(n),
                None => Value::number(n.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Value::text(text),
            Json::Array(list) => Value::List(list),
            Json::Object(map) => Value::Map(map),
        }
    }

    /// A number with a fraction. Objects reach templates through Go's encoder, which writes `3.0` as `3`: a whole number.
    fn number(n: f64) -> Self {
        const TOO_LARGE: f64 = 9_223_372_036_854_775_808.0;
        match n.fract() == 0.0 && (-TOO_LARGE..TOO_LARGE).contains(&n) {
            true => Value::Int64(n as i64),
            false => Value::Float(n),
        }
    }

    pub fn text(text: &'a str) -> Self {
        Value::Text(Cow::Borrowed(text.as_bytes()))
    }

    pub fn owned(text: impl Into<Vec<u8>>) -> Self {
        Value::Text(Cow::Owned(text.into()))
    }

    /// The value in an `interface {}`; another as it is.
    pub fn open(self) -> Self {
        match self {
            Value::Boxed(json) => Value::of(json),
            other => other,
        }
    }

    /// Go's name of its type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Nothing => "<nil>",
            Value::Boxed(_) => "interface {}",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Int64(_) => "int64",
            Value::Byte(_) => "uint8",
            Value::Float(_) => "float64",
            Value::Text(_) => "string",
            Value::List(_) => "[]interface {}",
            Value::Map(_) => "map[string]interface {}",
        }
    }

    pub fn is_true(&self) -> bool {
        match self.clone().open() {
            Value::Nothing | Value::Boxed(_) => false,
            Value::Bool(is) => is,
            Value::Int(n) | Value::Int64(n) => n != 0,
            Value::Byte(n) => n != 0,
            Value::Float(n) => n != 0.0,
            Value::Text(text) => !text.is_empty(),
            Value::List(list) => !list.is_empty(),
            Value::Map(map) => !map.is_empty(),
        }
    }

    /// Whole numbers.
    pub fn whole(&self) -> Option<i64> {
        match self {
            Value::Int(n) | Value::Int64(n) => Some(*n),
            Value::Byte(n) => Some(i64::from(*n)),
            _ => None,
        }
    }
}

/// A map's entries in the order of their keys.
pub fn sorted(map: &Map<String, Json>) -> Vec<(&String, &Json)> {
    let mut all: Vec<_> = map.iter().collect();
    all.sort_by(|a, b| a.0.cmp(b.0));
    all
}
