//! One pass over the raw JSON of a built-in kind, or of a patch: syntax, types, unknown and duplicate fields.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use apimachinery::schema::Schema;
use facts::{Type, Value};

use super::leaf::{self, Wrong};
use super::lexer::{Begin, Lexer, Scalar};
use crate::schema::BuiltIn;

/// As in Go: deeper documents are refused.
const DEPTH_MAX: usize = 10_000;
/// As in Go: more are not reported.
const STRICT_MAX: usize = 100;

/// What the pass has found in a well-formed document.
#[derive(Default)]
pub(super) struct Findings {
    /// Of the document itself, as far as they are strings.
    pub api_version: Option<String>,
    pub kind: Option<String>,
    /// apiVersion, kind or the whole document has a wrong type.
    pub type_meta_error: Option<String>,
    /// The first wrong type.
    pub type_error: Option<String>,
    /// Unknown and duplicate fields, each once, in the document's order.
    pub strict: Vec<String>,
    /// Places that Go reads as something else: nulls in lists and maps, halves of characters; and what it leaves out when it
    /// writes: emptied lists and maps, zeros. Ascending.
    pub edits: Vec<(Range<usize>, &'static str)>,
}

/// Reads all of `text`. The error is Go's text for bad syntax.
pub(super) fn check(root: BuiltIn, text: &str) -> Result<Findings, String> {
    let pass = Pass::new(text, None).run(Some(root))?;
    let mut found = pass.found;
    let surrogates = pass.lexer.lone_surrogates;
    if !surrogates.is_empty() {
        found.edits.extend(surrogates.into_iter().map(|at| (at, "\\ufffd")));
        found.edits.sort_by_key(|(at, _)| at.start);
    }
    Ok(found)
}

/// Reads a text that is of no kind, where every object's keys count. The objects in the outermost list have only the
/// fields `of_elements`, unless there are none. The error is Go's text for bad syntax, the result the strict findings.
pub(super) fn untyped(text: &str, of_elements: &[&str]) -> Result<Vec<String>, String> {
    Ok(Pass::new(text, Some(of_elements)).run(None)?.found.strict)
}

struct Pass<'a> {
    /// Keys count where no type is known, too; and those that the elements of an outermost list have.
    untyped: Option<&'a [&'a str]>,
    lexer: Lexer<'a>,
    frames: Vec<Frame<'a>>,
    found: Findings,
    /// What `found.strict` has, to say it once.
    strict: HashSet<String>,
}

/// An object or list that is open.
struct Frame<'a> {
    of: Of,
    object: bool,
    key: Cow<'a, str>,
    index: usize,
    /// Of a struct: a bit for each field already seen.
    seen: u128,
    /// Of a map: the keys already seen.
    keys: HashSet<Cow<'a, str>>,
}

/// What is known of an open object or list.
#[derive(Clone, Copy)]
enum Of {
    Struct(&'static Type),
    Map(BuiltIn),
    List(BuiltIn),
    /// Whatever is in it does not matter.
    Unknown,
}

impl<'a> Pass<'a> {
    fn new(text: &'a str, untyped: Option<&'a [&'a str]>) -> Self {
        let (found, strict) = (Findings::default(), HashSet::new());
        Pass { untyped, lexer: Lexer::new(text), frames: Vec::new(), found, strict }
    }

    /// Reads the whole text, whose outermost value is of `place`.
    fn run(mut self, mut place: Option<BuiltIn>) -> Result<Self, String> {
        loop {
            // One value, or the start of one.
            self.lexer.peek();
            let start = self.lexer.position();
            if self.value(place)? {
                let frame = self.top();
                let (object, close) = if frame.object { (true, b'}') } else { (false, b']') };
                if self.lexer.peek() != Some(close) {
                    place = if object { self.key()? } else { self.element() };
                    continue;
                }
                self.lexer.take();
                self.frames.pop();
                if place.is_some_and(|place| place.struct_type().is_none()) {
                    self.leave_out(place, start);
                }
            }
            // A value is complete, and with it perhaps what contains it.
            match self.after_value()? {
                Next::Value(next) => place = next,
                Next::End => return Ok(self),
            }
        }
    }

    fn top(&mut self) -> &mut Frame<'a> {
        // Only called after a push or a check that it is not empty.
        let Some(frame) = self.frames.last_mut() else { unreachable!("no open container") };
        frame
    }

    /// Goes on to the next key or element, closing what ends here.
    fn after_value(&mut self) -> Result<Next, String> {
        loop {
            let byte = self.lexer.peek();
            let Some(frame) = self.frames.last_mut() else {
                return match byte {
                    None => Ok(Next::End),
                    Some(_) => Err(self.lexer.unexpected("after top-level value")),
                };
            };
            match (frame.object, byte) {
                (true, Some(b'}')) | (false, Some(b']')) => {
                    self.lexer.take();
                    self.frames.pop();
                }
                (true, Some(b',')) => {
                    self.lexer.take();
                    return self.key().map(Next::Value);
                }
                (false, Some(b',')) => {
                    self.lexer.take();
                    frame.index += 1;
                    return Ok(Next::Value(self.element()));
                }
                (true, _) => return Err(self.lexer.unexpected("after object key:value pair")),
                (false, _) => return Err(self.lexer.unexpected("after array element")),
            }
        }
    }

    /// A key of the open object, and what belongs there.
    fn key(&mut self) -> Result<Option<BuiltIn>, String> {
        let key = self.lexer.key()?;
        let untyped = self.untyped.is_some();
        let frame = self.top();
        frame.key = key.clone();
        let (place, repeated) = match frame.of {
            Of::Struct(t) => match t.fields().binary_search_by(|f| f.name.cmp(&key)) {
                Ok(at) => {
                    let bit = 1u128 << (at % 128);
                    let repeated = frame.seen & bit != 0;
                    frame.seen |= bit;
                    (Some(crate::schema::of_field(&t.fields()[at])), repeated)
                }
                Err(_) => {
                    self.strict_error("unknown");
                    (None, false)
                }
            },
            Of::Map(value) => (Some(value), !frame.keys.insert(key)),
            Of::Unknown if untyped => {
                let repeated = !frame.keys.insert(key.clone());
                if self.foreign(&key) {
                    self.strict_error("unknown");
                }
                (None, repeated)
            }
            Of::List(_) | Of::Unknown => (None, false),
        };
        if repeated {
            self.strict_error("duplicate");
        }
        Ok(place)
    }

    /// Whether the key does not belong into an element of an untyped list.
    fn foreign(&self, key: &str) -> bool {
        let known = self.untyped.unwrap_or_default();
        self.frames.len() == 2 && !known.is_empty() && !known.contains(&key)
    }

    fn element(&mut self) -> Option<BuiltIn> {
        match self.top().of {
            Of::List(element) => Some(element),
            _ => None,
        }
    }

    /// Reads a scalar, or opens an object or list and says so.
    fn value(&mut self, place: Option<BuiltIn>) -> Result<bool, String> {
        let begin = self.lexer.begin()?;
        let of = match begin {
            Begin::Scalar => {
                let start = self.lexer.position();
                let scalar = self.lexer.scalar()?;
                self.scalar(place, scalar, start);
                return Ok(false);
            }
            Begin::Object => self.open(place, "object"),
            Begin::Array => self.open(place, "array"),
        };
        if self.frames.len() == DEPTH_MAX {
            return Err("exceeded max depth".into());
        }
        self.frames.push(Frame {
            of,
            object: matches!(begin, Begin::Object),
            key: Cow::Borrowed(""),
            index: 0,
            seen: 0,
            keys: HashSet::new(),
        });
        Ok(true)
    }

    fn open(&mut self, place: Option<BuiltIn>, container: &'static str) -> Of {
        let Some(place) = place else {
            self.type_meta(container);
            return Of::Unknown;
        };
        match (place.struct_type(), place.value(), container) {
            (Some(t), _, "object") => Of::Struct(t),
            (None, Value::Map { .. }, "object") => place.field("").map_or(Of::Unknown, Of::Map),
            (None, Value::Array { .. }, "array") => Of::List(place.element()),
            (None, Value::Any | Value::Raw, _) => Of::Unknown,
            _ => {
                self.type_meta(container);
                match leaf::own_decoder(place.value(), container) {
                    Some(message) if place.struct_type().is_none() => self.type_error(|_| message),
                    _ => self.wrong_type(place, container),
                }
                Of::Unknown
            }
        }
    }

    fn scalar(&mut self, place: Option<BuiltIn>, scalar: Scalar<'a>, start: usize) {
        self.type_meta_scalar(&scalar);
        let Some(place) = place else { return };
        let container =
            place.struct_type().is_some() || matches!(place.value(), Value::Map { .. } | Value::Array { .. });
        if scalar == Scalar::Null {
            // Go reads a null in a list or a map as the zero value; a null field as absent.
            if matches!(self.frames.last().map(|f| f.of), Some(Of::List(_) | Of::Map(_)))
                && let Some(zero) = zero(place)
            {
                self.found.edits.push((start..self.lexer.position(), zero));
            }
            return;
        }
        let wrong = match container {
            true => Wrong::Type(scalar_name(&scalar).into()),
            false => match leaf::check(place.value(), &scalar, self.lexer.since(start)) {
                Ok(()) => {
                    if matches!(self.lexer.since(start), "\"\"" | "0" | "false") {
                        self.leave_out(Some(place), start);
                    }
                    return;
                }
                Err(wrong) => wrong,
            },
        };
        match wrong {
            Wrong::Type(what) => self.wrong_type(place, &what),
            Wrong::Message(message) => self.type_error(|_| message),
        }
    }

    /// The empty value that began at `start` is none, if its field is one that Go leaves out then.
    fn leave_out(&mut self, place: Option<BuiltIn>, start: usize) {
        let Some(Of::Struct(parent)) = self.frames.last().map(|f| f.of) else { return };
        if place.and_then(BuiltIn::led_by).is_some_and(|field| parent.leaves_out(field)) {
            self.found.edits.push((start..self.lexer.position(), "null"));
        }
    }

    /// The name of the type-meta field of the document that comes next.
    fn type_meta_field(&self) -> Option<&'static str> {
        match &self.frames[..] {
            [frame] if frame.key == "apiVersion" => Some("apiVersion"),
            [frame] if frame.key == "kind" => Some("kind"),
            _ => None,
        }
    }

    fn type_meta_scalar(&mut self, scalar: &Scalar<'a>) {
        match (self.type_meta_field(), scalar) {
            (Some("apiVersion"), Scalar::String(text)) => self.found.api_version = Some(text.to_string()),
            (Some(_), Scalar::String(text)) => self.found.kind = Some(text.to_string()),
            (_, Scalar::Null) => {}
            _ => self.type_meta(scalar_name(scalar)),
        }
    }

    /// A value of the wrong type as the document itself, its apiVersion or its kind.
    fn type_meta(&mut self, what: &str) {
        let message = match self.type_meta_field() {
            Some(field) => {
                format!("json: cannot unmarshal {what} into Go struct field .{field} of type string")
            }
            None if self.frames.is_empty() => format!(
                "json: cannot unmarshal {what} into Go value of type struct {{ APIVersion string \
                 \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }}"
            ),
            None => return,
        };
        self.found.type_meta_error.get_or_insert(message);
    }

    fn wrong_type(&mut self, place: BuiltIn, what: &str) {
        let what = what.to_owned();
        self.type_error(|pass| {
            let of = go_type(place);
            let fields: Vec<(&Type, &str)> = pass.frames.iter().filter_map(Frame::struct_field).collect();
            match fields.last() {
                Some((inner, _)) => {
                    let path: Vec<&str> = fields.iter().map(|(_, name)| *name).collect();
                    let (inner, path) = (inner.short_name(), path.join("."));
                    format!("json: cannot unmarshal {what} into Go struct field {inner}.{path} of type {of}")
                }
                None => format!("json: cannot unmarshal {what} into Go value of type {of}"),
            }
        });
    }

    fn type_error(&mut self, message: impl FnOnce(&Self) -> String) {
        if self.found.type_error.is_none() {
            self.found.type_error = Some(message(self));
        }
    }

    /// Notes the current key as `unknown` or `duplicate`.
    fn strict_error(&mut self, what: &str) {
        if self.found.strict.len() == STRICT_MAX {
            return;
        }
        let mut path = String::new();
        for frame in &self.frames {
            match frame.object {
                true if path.is_empty() => path.push_str(&frame.key),
                true => path.extend([".", &frame.key]),
                false => path.push_str(&format!("[{}]", frame.index)),
            }
        }
        let message = format!("{what} field {path:?}");
        if self.strict.insert(message.clone()) {
            self.found.strict.push(message);
        }
    }
}

enum Next {
    Value(Option<BuiltIn>),
    End,
}

impl Frame<'_> {
    fn struct_field(&self) -> Option<(&'static Type, &str)> {
        match self.of {
            Of::Struct(t) => Some((t, &self.key)),
            _ => None,
        }
    }
}

fn scalar_name(scalar: &Scalar<'_>) -> &'static str {
    match scalar {
        Scalar::Null => "null",
        Scalar::Bool => "bool",
        Scalar::Number(_) => "number",
        Scalar::String(_) => "string",
    }
}

/// The JSON text of Go's zero value, where null does not mean the same to us.
fn zero(place: BuiltIn) -> Option<&'static str> {
    if place.struct_type().is_some() {
        return Some("{}");
    }
    match place.value() {
        Value::Any | Value::Raw => None,
        Value::Bool => Some("false"),
        Value::Int32 | Value::Int64 | Value::Double | Value::IntOrString => Some("0"),
        Value::String | Value::Bytes => Some("\"\""),
        Value::Quantity => Some("\"0\""),
        Value::Time | Value::MicroTime => None,
        Value::Struct(_) | Value::Map { .. } => Some("{}"),
        Value::Array { .. } => Some("[]"),
    }
}

/// As Go prints a type.
fn go_type(place: BuiltIn) -> String {
    if let Some(t) = place.struct_type() {
        return t.go_name().into();
    }
    match place.value() {
        Value::Any | Value::Struct(_) => "interface {}".into(),
        Value::Bool => "bool".into(),
        Value::Int32 => "int32".into(),
        Value::Int64 => "int64".into(),
        Value::Double => "float64".into(),
        Value::String => "string".into(),
        Value::Bytes => "[]uint8".into(),
        Value::Quantity => "resource.Quantity".into(),
        Value::IntOrString => "intstr.IntOrString".into(),
        Value::Time => "v1.Time".into(),
        Value::MicroTime => "v1.MicroTime".into(),
        Value::Raw => "runtime.RawExtension".into(),
        Value::Map { of, .. } if matches!(facts::value(*of), Value::Quantity) => "v1.ResourceList".into(),
        Value::Map { .. } => format!("map[string]{}", place.field("").map(go_type).unwrap_or_default()),
        Value::Array { .. } => format!("[]{}", go_type(place.element())),
    }
}
