//! The generated tables, seen as a [`Schema`].

use apimachinery::Gvk;
use apimachinery::schema::{Keys, List, Patch, Schema, Shape};
use facts::{Field, Type, Value};

#[cfg(test)]
mod tests;

/// A place in a built-in kind: what it holds, and the field that led there.
#[derive(Clone, Copy, Debug)]
pub struct BuiltIn {
    value: &'static Value,
    field: Option<&'static Field>,
    /// For the root, which no field led to.
    root: Option<&'static Type>,
}

/// The whole object of a built-in kind; none for other kinds.
pub fn of_kind(gvk: &Gvk) -> Option<BuiltIn> {
    facts::kind(&gvk.group, &gvk.version, &gvk.kind).map(of_type)
}

/// The value of a type.
pub fn of_type(root: &'static Type) -> BuiltIn {
    BuiltIn { value: &Value::Any, field: None, root: Some(root) }
}

/// The value of a field.
pub fn of_field(field: &'static Field) -> BuiltIn {
    BuiltIn { value: field.value(), field: Some(field), root: None }
}

/// A value that no field led to, such as a list's element.
pub fn of_value(value: &'static Value) -> BuiltIn {
    BuiltIn::of(value)
}

impl BuiltIn {
    fn of(value: &'static Value) -> Self {
        BuiltIn { value, field: None, root: None }
    }

    /// The struct type that stands here.
    pub fn struct_type(self) -> Option<&'static Type> {
        match (self.root, self.value) {
            (Some(root), _) => Some(root),
            (None, Value::Struct(at)) => Some(facts::struct_type(*at)),
            _ => None,
        }
    }

    /// The field that led here.
    pub fn led_by(self) -> Option<&'static Field> {
        self.field
    }

    /// What stands here, when it is no struct.
    pub fn value(self) -> &'static Value {
        self.value
    }
}

impl Schema<'static> for BuiltIn {
    fn shape(self) -> Shape<'static> {
        if let Some(t) = self.struct_type() {
            let overridden = self.field.and_then(Field::atomic);
            return Shape::Struct { atomic: overridden.unwrap_or(t.atomic) };
        }
        match self.value {
            Value::Any | Value::Raw => Shape::Unknown,
            Value::Map { atomic, .. } => Shape::Map { atomic: *atomic },
            Value::Array { kind, .. } => Shape::List(match kind {
                facts::List::Atomic => List::Atomic,
                facts::List::Set => List::Set,
                facts::List::Map(keys) => List::Map(Keys::Table(keys)),
            }),
            _ => Shape::Scalar,
        }
    }

    fn field(self, name: &str) -> Option<Self> {
        if let Some(t) = self.struct_type() {
            return t.field(name).map(of_field);
        }
        match self.value {
            Value::Map { of, .. } => Some(Self::of(facts::value(*of))),
            Value::Any | Value::Raw => Some(Self::of(&Value::Any)),
            _ => None,
        }
    }

    fn element(self) -> Self {
        match self.value {
            Value::Array { of, .. } if self.root.is_none() => Self::of(facts::value(*of)),
            _ => self,
        }
    }

    fn patch(self) -> Patch<'static> {
        let Some(field) = self.field else { return Patch::default() };
        Patch {
            merge: field.patch_merge(),
            retain_keys: field.retain_keys(),
            merge_key: (!field.merge_key.is_empty()).then_some(field.merge_key),
        }
    }

    fn zero(self) -> Option<&'static str> {
        let field = self.field?;
        match self.value {
            Value::Struct(_) if field.always_there() => Some("{}"),
            // What is required has no `omitempty` in Go.
            Value::Struct(_) | Value::Array { .. } | Value::Map { .. } if field.required() => Some("null"),
            _ => None,
        }
    }

    fn key_default(self, name: &str) -> Option<&'static str> {
        let default = self.struct_type()?.field(name)?.default;
        (!default.is_empty()).then_some(default)
    }
}
