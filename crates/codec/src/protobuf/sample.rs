//! For tests: a value that is not the empty one for everything that a field may hold, but for what holds others.

use facts::Value as Holds;
use serde_json::{Value, json};

pub fn plain(holds: &Holds) -> Option<Value> {
    Some(match holds {
        Holds::Bool => json!(true),
        Holds::Int32 => json!(-7),
        Holds::Int64 => json!(1_u64 << 40),
        Holds::Double => json!(1.5),
        Holds::String => json!("größer"),
        Holds::Bytes => json!("aGkhIQ=="),
        Holds::Quantity => json!("100m"),
        Holds::IntOrString => json!("50%"),
        Holds::Time => json!("2027-07-21T22:15:28Z"),
        Holds::MicroTime => json!("2027-07-21T22:15:28.123456Z"),
        Holds::Any | Holds::Raw => json!({"f:a": {}}),
        Holds::Struct(_) | Holds::Map { .. } | Holds::Array { .. } => return None,
    })
}
