//! The tables as Rust source.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use anyhow::{Context, Result};

use super::schema::{Field, List, Model, Value};

/// `crates/facts/src/tables.rs`.
pub fn tables(model: &Model) -> Result<String> {
    let index = Index::new(model);
    let mut out = String::from(
        "//! Written by `cargo xtask codegen` from Kubernetes 1.37; do not edit.\n\n\
         use crate::Value::*;\nuse crate::{Field, Kind, List, Type, Value, field as f, keyed as k};\n\n",
    );
    writeln!(out, "pub(crate) static VALUES: [Value; {}] = [", index.values.len())?;
    for value in index.values.keys() {
        writeln!(out, "    {},", index.value(value)?)?;
    }
    let count: usize = model.types.iter().map(|t| t.fields.len()).sum();
    writeln!(out, "];\n\npub(crate) static FIELDS: [Field; {count}] = [")?;
    for t in &model.types {
        writeln!(out, "    // {}", t.name)?;
        for field in &t.fields {
            writeln!(out, "    {},", index.field(field)?)?;
        }
    }
    writeln!(out, "];\n\npub(crate) static TYPES: [Type; {}] = [", model.types.len())?;
    let mut start = 0;
    for t in &model.types {
        let end = start + t.fields.len();
        writeln!(
            out,
            "    Type {{ name: {:?}, atomic: {}, first: {start}, end: {end} }},",
            t.name, t.atomic
        )?;
        start = end;
    }
    writeln!(out, "];\n\npub(crate) static KINDS: [Kind; {}] = [", model.kinds.len())?;
    for ((group, version, kind), at) in &model.kinds {
        writeln!(out, "    Kind {{ group: {group:?}, version: {version:?}, kind: {kind:?}, of: {at} }},")?;
    }
    out.push_str("];\n");
    Ok(out)
}

/// The list of fields that have no protobuf number.
pub fn json_only(missing: &BTreeSet<String>) -> String {
    let mut out = String::from(
        "# Fields without a known protobuf number. Kinds that hold one speak JSON only.\n\
         # Written by `cargo xtask codegen`.\n",
    );
    for field in missing {
        out.push_str(field);
        out.push('\n');
    }
    out
}

/// Where everything stands in the tables.
struct Index<'a> {
    types: BTreeMap<&'a str, usize>,
    values: BTreeMap<&'a Value, usize>,
}

impl<'a> Index<'a> {
    fn new(model: &'a Model) -> Self {
        let types = model.types.iter().enumerate().map(|(at, t)| (t.name.as_str(), at)).collect();
        let mut values = BTreeMap::new();
        for field in model.types.iter().flat_map(|t| &t.fields) {
            let mut value = &field.value;
            loop {
                values.insert(value, 0);
                match value {
                    Value::Map { of, .. } | Value::List { of, .. } => value = of,
                    _ => break,
                }
            }
        }
        for (at, place) in values.values_mut().enumerate() {
            *place = at;
        }
        Index { types, values }
    }

    fn at(&self, value: &Value) -> Result<usize> {
        self.values.get(value).copied().context("find a value")
    }

    fn value(&self, value: &Value) -> Result<String> {
        Ok(match value {
            Value::Any => "Any".into(),
            Value::Bool => "Bool".into(),
            Value::Int32 => "Int32".into(),
            Value::Int64 => "Int64".into(),
            Value::Double => "Double".into(),
            Value::String => "String".into(),
            Value::Bytes => "Bytes".into(),
            Value::Quantity => "Quantity".into(),
            Value::IntOrString => "IntOrString".into(),
            Value::Time => "Time".into(),
            Value::MicroTime => "MicroTime".into(),
            Value::Raw => "Raw".into(),
            Value::Struct(name) => {
                let at = self.types.get(name.as_str()).with_context(|| format!("find type {name}"))?;
                format!("Struct({at})")
            }
            Value::Map { of, atomic } => format!("Map {{ of: {}, atomic: {atomic} }}", self.at(of)?),
            Value::List { of, kind } => {
                let kind = match kind {
                    List::Atomic => "List::Atomic".into(),
                    List::Set => "List::Set".into(),
                    List::Map(keys) => format!("List::Map(&{keys:?})"),
                };
                format!("Array {{ of: {}, kind: {kind} }}", self.at(of)?)
            }
        })
    }

    fn field(&self, field: &Field) -> Result<String> {
        let value = self.at(&field.value)?;
        let flags = u8::from(field.required)
            | u8::from(field.patch_merge) << 1
            | u8::from(field.retain_keys) << 2
            | u8::from(field.atomic == Some(true)) << 3
            | u8::from(field.atomic == Some(false)) << 4
            | u8::from(field.always_there) << 5;
        let common = format!("{:?}, {value}, {flags}, {:?}", field.name, field.numbers);
        Ok(match (field.merge_key.as_str(), field.default) {
            ("", "") => format!("f({common})"),
            (merge_key, default) => format!("k({common}, {merge_key:?}, {default:?})"),
        })
    }
}
