//! Decoding of request bodies as upstream's `fieldValidation` wants it. Start at [`decode`].
//!
//! The result is JSON that [`crate::Kind::from_json`] reads the way Go would have read the body.

mod check;
mod leaf;
mod lexer;
mod patch;
#[cfg(test)]
mod tests;

use apimachinery::{Gvk, Status};

use crate::schema::{self, BuiltIn};
use crate::yaml;

pub use patch::{merge_patch, operations};

/// What a body is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    Json,
    Yaml,
}

/// What becomes of unknown and duplicate fields: the query parameter `fieldValidation`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strictness {
    Ignore,
    Warn,
    #[default]
    Strict,
}

impl Strictness {
    /// From the parameter's value; empty is upstream's default for requests without it, a warning.
    pub fn parse(value: &str) -> Option<Self> {
        match value {
            "Ignore" => Some(Strictness::Ignore),
            "" | "Warn" => Some(Strictness::Warn),
            "Strict" => Some(Strictness::Strict),
            _ => None,
        }
    }
}

/// A body that can be decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// Unknown fields included.
    pub json: Vec<u8>,
    /// Texts for `Warning` headers.
    pub warnings: Vec<String>,
}

/// Checks `body`, which should be one object of the built-in kind `expected`. An absent apiVersion or kind means the
/// expected one. Errors are 400s in upstream's words.
pub fn decode(
    expected: &Gvk,
    body: &[u8],
    content: Content,
    strictness: Strictness,
) -> Result<Decoded, Status> {
    let Some(root) = schema::of_kind(expected) else {
        return Err(cannot_be_handled(expected, expected, &no_kind(expected)));
    };
    let (mut text, strict) = match content {
        // Go reads bytes that are no UTF-8 as U+FFFD.
        Content::Json => (String::from_utf8_lossy(body).into_owned(), Vec::new()),
        Content::Yaml => yaml::to_json_strict(body).map_err(|e| unrecognized(expected, body, &e))?,
    };
    // To Go, null is an object of which nothing is said.
    if text.trim() == "null" {
        text = "{}".into();
    }
    read(expected, root, text, strict, strictness).map_err(|failure| match failure {
        Failure::Unrecognized(why) => unrecognized(expected, body, &why),
        Failure::CannotBeHandled(given, why) => cannot_be_handled(&given, expected, &why),
        Failure::OtherVersion(why) => Status::bad_request(why),
    })
}

/// Checks what a patch made of an object. `strict` is what is wrong with the patch itself. The error is Go's text, for the
/// caller to say of which patch.
pub fn patched(
    expected: &Gvk,
    json: Vec<u8>,
    strict: Vec<String>,
    strictness: Strictness,
) -> Result<Decoded, String> {
    let not_utf8 = |_| "couldn't get version/kind".to_owned();
    let text = String::from_utf8(json).map_err(not_utf8)?;
    let root = schema::of_kind(expected).ok_or_else(|| no_kind(expected))?;
    read(expected, root, text, strict, strictness).map_err(|failure| match failure {
        Failure::Unrecognized(why) | Failure::CannotBeHandled(_, why) | Failure::OtherVersion(why) => why,
    })
}

/// Why a text is not the object it should be.
enum Failure {
    Unrecognized(String),
    /// Of the kind that it says it is.
    CannotBeHandled(Gvk, String),
    OtherVersion(String),
}

fn read(
    expected: &Gvk,
    root: BuiltIn,
    text: String,
    mut strict: Vec<String>,
    strictness: Strictness,
) -> Result<Decoded, Failure> {
    let unreadable = |e: &str| format!("couldn't get version/kind; json parse error: {e}");
    let found = check::check(root, &text).map_err(|e| Failure::Unrecognized(unreadable(&e)))?;
    if let Some(e) = &found.type_meta_error {
        return Err(Failure::Unrecognized(unreadable(e)));
    }
    let given = given_gvk(expected, &found).map_err(Failure::Unrecognized)?;
    same_kind(expected, &given, root)?;
    if let Some(e) = found.type_error {
        return Err(Failure::CannotBeHandled(given, e));
    }
    strict.extend(found.strict);
    if strictness == Strictness::Strict && !strict.is_empty() {
        let why = format!("strict decoding error: {}", strict.join(", "));
        return Err(Failure::CannotBeHandled(given, why));
    }
    if strictness == Strictness::Ignore {
        strict.clear();
    }
    Ok(Decoded { json: edited(text, &found.edits), warnings: strict })
}

/// The body's own kind, with the expected one for what it leaves out.
fn given_gvk(expected: &Gvk, found: &check::Findings) -> Result<Gvk, String> {
    let api_version = found.api_version.as_deref().unwrap_or_default();
    let (group, version) = match api_version.split('/').collect::<Vec<_>>()[..] {
        [""] => (&*expected.group, &*expected.version),
        [version] => ("", version),
        [group, version] => (group, version),
        _ => return Err(format!("unexpected GroupVersion string: {api_version}")),
    };
    let kind = found.kind.as_deref().filter(|k| !k.is_empty()).unwrap_or(&expected.kind);
    Ok(Gvk::new(group, version, kind))
}

fn same_kind(expected: &Gvk, given: &Gvk, root: BuiltIn) -> Result<(), Failure> {
    let cannot = |why| Err(Failure::CannotBeHandled(given.clone(), why));
    let Some(given_root) = schema::of_kind(given) else { return cannot(no_kind(given)) };
    let name = |t: BuiltIn| t.struct_type().map_or("", |t| t.name);
    // Some types, such as DeleteOptions, belong to every group.
    if given == expected || name(given_root) == name(root) {
        return Ok(());
    }
    if given.kind != expected.kind {
        let from = given_root.struct_type().map_or("", |t| t.go_name());
        let package = internal_package(&expected.group);
        return cannot(format!("converting ({from}) to ({package}.{}): unknown conversion", expected.kind));
    }
    Err(Failure::OtherVersion(format!(
        "the API version in the data ({}) does not match the expected API version ({})",
        given.api_version(),
        expected.api_version()
    )))
}

/// The Go package of a group's internal types.
fn internal_package(group: &str) -> &str {
    match group {
        "" => "core",
        group => group.split('.').next().unwrap_or(group),
    }
}

fn no_kind(given: &Gvk) -> String {
    let (kind, version) = (&given.kind, given.api_version());
    format!(
        "no kind {kind:?} is registered for version {version:?} in scheme \"pkg/api/legacyscheme/scheme.go:30\""
    )
}

fn cannot_be_handled(given: &Gvk, expected: &Gvk, why: &str) -> Status {
    let (kind, version) = (&given.kind, &given.version);
    Status::bad_request(format!(
        "{kind} in version \"{version}\" cannot be handled as a {}: {why}",
        expected.kind
    ))
}

/// For bodies that do not even say what they are.
fn unrecognized(expected: &Gvk, body: &[u8], why: &str) -> Status {
    let kind = &expected.kind;
    let shown = summary(body);
    Status::bad_request(format!(
        "the object provided is unrecognized (must be of type {kind}): {why} ({shown})"
    ))
}

/// The start of a body: as text when it looks like JSON, else as hexadecimal.
fn summary(body: &[u8]) -> String {
    const MAX: usize = 30;
    let start = &body[..body.len().min(MAX)];
    let dots = if body.len() > MAX { " ..." } else { "" };
    match start.first() {
        None => "<empty>".into(),
        Some(b'{') => format!("{}{dots}", String::from_utf8_lossy(start)),
        Some(_) => {
            let hex: String = start.iter().map(|b| format!("{b:02x}")).collect();
            format!("{hex}{dots}")
        }
    }
}

fn edited(text: String, edits: &[(std::ops::Range<usize>, &str)]) -> Vec<u8> {
    if edits.is_empty() {
        return text.into_bytes();
    }
    let mut out = Vec::with_capacity(text.len());
    let mut from = 0;
    for (at, replacement) in edits {
        out.extend_from_slice(&text.as_bytes()[from..at.start]);
        out.extend_from_slice(replacement.as_bytes());
        from = at.end;
    }
    out.extend_from_slice(&text.as_bytes()[from..]);
    out
}
