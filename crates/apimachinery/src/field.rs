//! Field paths and the errors that name them, worded as upstream's `field.Error`.

use std::fmt;

use crate::status::Cause;

/// A path such as `spec.containers[0].ports[web].hostPort`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(String);

impl Path {
    /// Starts a path; `Path::new("spec")`.
    pub fn new(name: &str) -> Self {
        Path(name.into())
    }

    pub fn child(&self, name: &str) -> Self {
        if self.0.is_empty() { Path(name.into()) } else { Path(format!("{}.{name}", self.0)) }
    }

    pub fn index(&self, index: usize) -> Self {
        Path(format!("{}[{index}]", self.0))
    }

    pub fn key(&self, key: &str) -> Self {
        Path(format!("{}[{key}]", self.0))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "<nil>" } else { &self.0 })
    }
}

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    NotFound,
    Required,
    Duplicate,
    Invalid,
    NotSupported,
    Forbidden,
    TooLong,
    TooMany,
    Internal,
    TypeInvalid,
}

/// One thing wrong with one field.
#[derive(Clone, Debug, PartialEq)]
pub struct Error {
    pub kind: ErrorKind,
    pub field: Path,
    /// As Go prints it with %v or %q; strings come quoted. Empty where the kind shows none.
    pub value: String,
    pub detail: String,
}

impl Error {
    pub fn required(field: &Path, detail: impl Into<String>) -> Self {
        Error { kind: ErrorKind::Required, field: field.clone(), value: String::new(), detail: detail.into() }
    }

    /// `value` is shown as [`Shown`] renders it.
    pub fn invalid(field: &Path, value: impl Shown, detail: impl Into<String>) -> Self {
        Error { kind: ErrorKind::Invalid, field: field.clone(), value: value.shown(), detail: detail.into() }
    }

    pub fn type_invalid(field: &Path, value: impl Shown, detail: impl Into<String>) -> Self {
        Error { kind: ErrorKind::TypeInvalid, ..Self::invalid(field, value, detail) }
    }

    pub fn duplicate(field: &Path, value: impl Shown) -> Self {
        Error { kind: ErrorKind::Duplicate, ..Self::invalid(field, value, "") }
    }

    pub fn not_found(field: &Path, value: impl Shown) -> Self {
        Error { kind: ErrorKind::NotFound, ..Self::invalid(field, value, "") }
    }

    pub fn forbidden(field: &Path, detail: impl Into<String>) -> Self {
        Error {
            kind: ErrorKind::Forbidden,
            field: field.clone(),
            value: String::new(),
            detail: detail.into(),
        }
    }

    /// `supported` is listed quoted, in the order given.
    pub fn not_supported(field: &Path, value: impl Shown, supported: &[&str]) -> Self {
        let detail = match supported {
            [] => String::new(),
            list => format!(
                "supported values: {}",
                list.iter().map(|s| format!("{s:?}")).collect::<Vec<_>>().join(", ")
            ),
        };
        Error { kind: ErrorKind::NotSupported, ..Self::invalid(field, value, detail) }
    }

    pub fn too_long(field: &Path, max_bytes: usize) -> Self {
        Error {
            kind: ErrorKind::TooLong,
            field: field.clone(),
            value: String::new(),
            detail: format!("may not be more than {max_bytes} bytes"),
        }
    }

    pub fn too_many(field: &Path, actual: usize, max_items: usize) -> Self {
        Error {
            kind: ErrorKind::TooMany,
            field: field.clone(),
            value: actual.to_string(),
            detail: format!("must have at most {max_items} items"),
        }
    }

    fn reason(&self) -> &'static str {
        match self.kind {
            ErrorKind::NotFound => "FieldValueNotFound",
            ErrorKind::Required => "FieldValueRequired",
            ErrorKind::Duplicate => "FieldValueDuplicate",
            ErrorKind::Invalid => "FieldValueInvalid",
            ErrorKind::NotSupported => "FieldValueNotSupported",
            ErrorKind::Forbidden => "FieldValueForbidden",
            ErrorKind::TooLong => "FieldValueTooLong",
            ErrorKind::TooMany => "FieldValueTooMany",
            ErrorKind::Internal => "InternalError",
            ErrorKind::TypeInvalid => "FieldValueTypeInvalid",
        }
    }

    /// The text without the field, as in `details.causes[].message`.
    pub fn body(&self) -> String {
        let what = match self.kind {
            ErrorKind::NotFound => "Not found",
            ErrorKind::Required => "Required value",
            ErrorKind::Duplicate => "Duplicate value",
            ErrorKind::Invalid | ErrorKind::TypeInvalid => "Invalid value",
            ErrorKind::NotSupported => "Unsupported value",
            ErrorKind::Forbidden => "Forbidden",
            ErrorKind::TooLong => "Too long",
            ErrorKind::TooMany => "Too many",
            ErrorKind::Internal => "Internal error",
        };
        let mut text = what.to_owned();
        if !self.value.is_empty() {
            text.push_str(": ");
            text.push_str(&self.value);
        }
        if !self.detail.is_empty() {
            text.push_str(": ");
            text.push_str(&self.detail);
        }
        text
    }

    /// As a cause of a `Status`.
    pub fn cause(&self) -> Cause {
        Cause { reason: self.reason().into(), message: self.body(), field: self.field.to_string() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.body())
    }
}

/// How a bad value is shown: strings quoted, numbers and booleans bare.
pub trait Shown {
    fn shown(&self) -> String;
}

impl Shown for &str {
    fn shown(&self) -> String {
        format!("{self:?}")
    }
}

impl Shown for &String {
    fn shown(&self) -> String {
        format!("{self:?}")
    }
}

macro_rules! shown_bare {
    ($($t:ty),*) => {$(
        impl Shown for $t {
            fn shown(&self) -> String {
                self.to_string()
            }
        }
    )*};
}
shown_bare!(i32, i64, u16, u32, u64, usize, bool);

/// Already rendered; for structs and maps, which upstream shows as JSON.
pub struct Raw(pub String);

impl Shown for Raw {
    fn shown(&self) -> String {
        self.0.clone()
    }
}

/// Errors in the order they were found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ErrorList(Vec<Error>);

impl ErrorList {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn push(&mut self, error: Error) {
        self.0.push(error);
    }

    pub fn extend(&mut self, other: ErrorList) {
        self.0.extend(other.0);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Error> {
        self.0.iter()
    }

    /// One error bare, several in brackets, duplicates once: as Go's `errors.Aggregate` prints.
    pub fn aggregate(&self) -> String {
        let mut seen: Vec<String> = Vec::new();
        for error in &self.0 {
            let text = error.to_string();
            if !seen.contains(&text) {
                seen.push(text);
            }
        }
        match &seen[..] {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        }
    }
}

impl FromIterator<Error> for ErrorList {
    fn from_iter<I: IntoIterator<Item = Error>>(iter: I) -> Self {
        ErrorList(iter.into_iter().collect())
    }
}
