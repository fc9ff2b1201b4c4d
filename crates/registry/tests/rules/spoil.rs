//! What can be done to one field of an object, as the tables of fields know it: left out where it is required, given a value
//! that no rule of form accepts, repeated, emptied; or only changed, to see whether it may.

use apimachinery::schema::{List, Schema, Shape};
use codec::schema::BuiltIn;
use serde_json::{Value, json};

/// An object with one thing done to it.
pub struct Spoilt {
    /// As `spec.containers[0].image removed`
    pub what: String,
    /// The place that was touched, as a JSON pointer.
    pub pointer: String,
    /// As in field paths.
    pub field: String,
    /// A required field was left out or emptied.
    pub required: bool,
    pub object: Value,
}

/// Which things are done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Those that a rule may refuse in any object.
    Bad,
    /// Those that an update may not do to a good one: another value of the same form.
    Changed,
}

/// Every spoilt form of the fields below `top` (`spec`, `status`, or any other but the type and metadata).
pub fn all(object: &Value, schema: BuiltIn, manner: Manner, top: impl Fn(&str) -> bool) -> Vec<Spoilt> {
    let mut walk = Walk { object, manner, found: Vec::new() };
    let fields = object.as_object().into_iter().flatten();
    for (name, value) in fields.filter(|(name, _)| !matches!(&***name, "apiVersion" | "kind" | "metadata")) {
        if top(name) {
            walk.field(schema, name, value, &Place::default());
        }
    }
    walk.found
}

#[derive(Clone, Default)]
struct Place {
    pointer: String,
    field: String,
}

impl Place {
    fn child(&self, name: &str) -> Place {
        let escaped = name.replace('~', "~0").replace('/', "~1");
        let dot = if self.field.is_empty() { "" } else { "." };
        Place { pointer: format!("{}/{escaped}", self.pointer), field: format!("{}{dot}{name}", self.field) }
    }

    fn key(&self, key: &str) -> Place {
        Place { field: format!("{}[{key}]", self.field), ..self.child(key) }
    }

    fn item(&self, at: usize) -> Place {
        Place { pointer: format!("{}/{at}", self.pointer), field: format!("{}[{at}]", self.field) }
    }
}

struct Walk<'a> {
    object: &'a Value,
    manner: Manner,
    found: Vec<Spoilt>,
}

impl Walk<'_> {
    fn field(&mut self, parent: BuiltIn, name: &str, value: &Value, above: &Place) {
        let Some(schema) = parent.field(name) else { panic!("{}.{name} is not a field", above.field) };
        let place = above.child(name);
        let required = parent.struct_type().and_then(|t| t.field(name)).is_some_and(|f| f.required());
        if required && self.manner == Manner::Bad {
            self.removed(&place, above, name);
        }
        self.value(schema, value, &place, required);
    }

    fn value(&mut self, schema: BuiltIn, value: &Value, place: &Place, required: bool) {
        match (schema.shape(), value) {
            (Shape::Struct { .. }, Value::Object(fields)) => {
                fields.iter().for_each(|(name, value)| self.field(schema, name, value, place));
            }
            (Shape::Map { .. }, Value::Object(fields)) => self.map(schema, fields, place),
            (Shape::List(kind), Value::Array(items)) => self.list(schema, kind, items, place, required),
            (Shape::Scalar, value) => self.scalar(schema, value, place),
            // Anything goes; whether it may be another thing, an update tells.
            (Shape::Unknown, Value::Object(_)) if self.manner == Manner::Changed => {
                self.set(place, "= {\"other\":1}", json!({"other": 1}));
            }
            _ => {}
        }
    }

    fn map(&mut self, schema: BuiltIn, fields: &serde_json::Map<String, Value>, place: &Place) {
        for (name, value) in fields {
            if let Some(of) = schema.field(name) {
                self.value(of, value, &place.key(name), false);
            }
        }
        if let (Manner::Bad, Some(any)) = (self.manner, fields.values().next()) {
            self.set(&place.key("bad key!"), "added", any.clone());
        }
    }

    fn list(&mut self, schema: BuiltIn, kind: List<'_>, items: &[Value], place: &Place, required: bool) {
        for (at, item) in items.iter().enumerate() {
            self.value(schema.element(), item, &place.item(at), false);
        }
        let Some(first) = items.first() else { return };
        match self.manner {
            // What has no key may well come twice.
            Manner::Bad if kind != List::Atomic || first.is_string() => {
                self.set(&place.item(items.len()), "repeats the first", first.clone());
            }
            Manner::Bad if required => {}
            Manner::Bad => return,
            Manner::Changed => self.set(place, "loses its last", Value::from(&items[..items.len() - 1])),
        }
        if required && self.manner == Manner::Bad {
            self.set(place, "emptied", json!([]));
        }
    }

    fn scalar(&mut self, schema: BuiltIn, value: &Value, place: &Place) {
        let shape = format!("{:?}", schema.value());
        let new = match (self.manner, &*shape, value) {
            (_, "Time" | "MicroTime", _) | (Manner::Bad, "Bytes", _) => return,
            (Manner::Changed, "Bytes", _) => json!("eHg="),
            (Manner::Bad, "Quantity", _) => json!("-1"),
            (Manner::Bad, _, Value::String(_)) => json!("no such value!"),
            (Manner::Bad, _, Value::Number(_)) => json!(-1),
            (Manner::Changed, "Quantity", _) => json!("7"),
            (Manner::Changed, _, Value::String(text)) => json!(format!("{text}x")),
            (Manner::Changed, _, Value::Number(number)) => json!(number.as_i64().unwrap_or(0) + 1),
            (Manner::Changed, _, Value::Bool(is)) => json!(!is),
            _ => return,
        };
        let what = format!("= {new}");
        self.set(place, &what, new);
    }

    fn removed(&mut self, place: &Place, above: &Place, name: &str) {
        let mut object = self.object.clone();
        if let Some(fields) = object.pointer_mut(&above.pointer).and_then(Value::as_object_mut) {
            fields.remove(name);
        }
        self.push(place, "removed", object);
    }

    fn set(&mut self, place: &Place, what: &str, value: Value) {
        let mut object = self.object.clone();
        let (above, last) = place.pointer.rsplit_once('/').unwrap_or_default();
        match object.pointer_mut(above) {
            Some(Value::Object(fields)) => {
                fields.insert(last.replace("~1", "/").replace("~0", "~"), value);
            }
            Some(Value::Array(items)) => match last.parse::<usize>() {
                Ok(at) if at < items.len() => items[at] = value,
                _ => items.push(value),
            },
            other => panic!("{above} is {other:?}"),
        }
        self.push(place, what, object);
    }

    fn push(&mut self, place: &Place, what: &str, object: Value) {
        self.found.push(Spoilt {
            what: format!("{} {what}", place.field),
            pointer: place.pointer.clone(),
            field: place.field.clone(),
            required: matches!(what, "removed" | "emptied"),
            object,
        });
    }
}
