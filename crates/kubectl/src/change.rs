//! What commands that change objects share: dry runs, field managers, and saying what was done. Start at [`Change`].

use http::Method;
use serde_json::{Value, json};

use crate::command::Call;
use crate::discovery::{Resource, query};
use crate::error::{Error, Result};
use crate::print::{Format, Printer, json as text_json};
use crate::session::{Request, Session};

/// Whether anything is really done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DryRun {
    None,
    Client,
    Server,
}

pub fn dry_run(call: &Call) -> Result<DryRun> {
    if !call.has_flag("dry-run") {
        return Ok(DryRun::None);
    }
    match call.text("dry-run") {
        "none" | "false" => Ok(DryRun::None),
        "client" => Ok(DryRun::Client),
        "server" => Ok(DryRun::Server),
        "unchanged" | "true" => {
            eprintln!("Warning: --dry-run is deprecated and can be replaced with --dry-run=client.");
            Ok(DryRun::Client)
        }
        other => Err(Error::text(format!(
            "Invalid dry-run value ({other}). Must be \"none\", \"server\", or \"client\"."
        ))),
    }
}

/// What the server is asked to say of fields it does not know.
fn validation(call: &Call) -> Result<&'static str> {
    if !call.has_flag("validate") {
        return Ok("");
    }
    match call.text("validate") {
        "strict" | "true" => Ok("Strict"),
        "warn" => Ok("Warn"),
        "ignore" | "false" => Ok("Ignore"),
        other => Err(Error::text(format!(
            "invalid - validate option \"{other}\"; must be one of: strict (or true), warn, ignore (or false)"
        ))),
    }
}

/// One command's way of changing objects.
pub struct Change<'s> {
    pub session: &'s Session,
    pub dry_run: DryRun,
    validation: &'static str,
    manager: String,
    printer: Printer,
}

impl<'s> Change<'s> {
    /// `operation` is what is said to have happened: `created`.
    pub fn new(session: &'s Session, operation: &str) -> Result<Self> {
        let call = &session.call;
        let dry_run = dry_run(call)?;
        let validation = validation(call)?;
        let mut printer = match Printer::of(call, false)? {
            Some(printer) => printer,
            None => {
                let mut printer = Printer::simple(Format::Name);
                operation.clone_into(&mut printer.operation);
                printer
            }
        };
        if !printer.operation.is_empty() {
            printer.operation.push_str(match dry_run {
                DryRun::None => "",
                DryRun::Client => " (dry run)",
                DryRun::Server => " (server dry run)",
            });
        }
        let manager = if call.has_flag("field-manager") { call.text("field-manager") } else { "" };
        Ok(Change { session, dry_run, validation, manager: manager.to_owned(), printer })
    }

    /// Objects are Go's types here: their order, and what these never leave out.
    pub fn typed(mut self) -> Self {
        self.printer.typed = true;
        self
    }

    /// Says that something else happened than was thought.
    pub fn operation(&mut self, operation: &str) {
        if !self.printer.operation.is_empty() {
            let suffix =
                self.printer.operation.find(" (").map_or("", |at| &self.printer.operation[at..]).to_owned();
            self.printer.operation = format!("{operation}{suffix}");
        }
    }

    /// Says nothing of a dry run.
    pub fn without_suffix(&mut self) {
        if let Some(at) = self.printer.operation.find(" (") {
            self.printer.operation.truncate(at);
        }
    }

    /// The next object is printed as the first one is.
    pub fn restart(&mut self) {
        self.printer.restart();
    }

    /// Whether what happened is said in words (not by `-o`).
    pub fn in_words(&self) -> bool {
        !self.printer.operation.is_empty()
    }

    pub fn manager(mut self, manager: &str) -> Self {
        self.manager = manager.to_owned();
        self
    }

    fn parameters(&self, validated: bool, more: &[(&str, &str)]) -> String {
        let dry = if self.dry_run == DryRun::Server { "All" } else { "" };
        let validation = if validated { self.validation } else { "" };
        let mut pairs =
            vec![("dryRun", dry), ("fieldManager", self.manager.as_str()), ("fieldValidation", validation)];
        pairs.extend_from_slice(more);
        query(&pairs)
    }

    pub fn create(&self, resource: &Resource, namespace: &str, object: &Value) -> Result<Value> {
        let path = resource.path(namespace, "") + &self.parameters(true, &[]);
        self.session.value(&Request::with(Method::POST, path, object))
    }

    pub fn update(&self, path: &str, object: &Value) -> Result<Value> {
        let path = path.to_owned() + &self.parameters(true, &[]);
        self.session.value(&Request::with(Method::PUT, path, object))
    }

    /// `content_type` says of which kind the patch is.
    pub fn patch(&self, path: &str, content_type: &'static str, patch: &Value) -> Result<Value> {
        let path = path.to_owned() + &self.parameters(false, &[]);
        self.session.value(&Request { content_type, ..Request::with(Method::PATCH, path, patch) })
    }

    /// The same, of a text as it is.
    pub fn patch_text(&self, path: &str, content_type: &'static str, patch: Vec<u8>) -> Result<Value> {
        let path = path.to_owned() + &self.parameters(false, &[]);
        let request =
            Request { method: Method::PATCH, content_type, body: patch.into(), ..Request::get(path) };
        self.session.value(&request)
    }

    /// Server-side apply.
    pub fn apply(&self, path: &str, object: &Value, force: bool) -> Result<Value> {
        let force = if force { "true" } else { "false" };
        let path = path.to_owned() + &self.parameters(true, &[("force", force)]);
        self.session.value(&Request { content_type: APPLY, ..Request::with(Method::PATCH, path, object) })
    }

    /// Server-side apply by a manager of another name.
    pub fn apply_as(&self, manager: &str, path: &str, object: &Value, force: bool) -> Result<Value> {
        let own = Change { manager: manager.to_owned(), printer: Printer::simple(Format::Name), ..*self };
        own.apply(path, object, force)
    }

    /// Says what happened to an object, or shows it.
    pub fn show(&mut self, object: &Value) -> Result<()> {
        let mut shown = object.clone();
        if self.printer.typed {
            crate::print::typed::normalise(&mut shown);
        }
        let text = self.printer.text(&shown)?;
        self.session.print(&text)
    }
}

pub const STRATEGIC: &str = "application/strategic-merge-patch+json";
pub const MERGE: &str = "application/merge-patch+json";
pub const JSON_PATCH: &str = "application/json-patch+json";
pub const APPLY: &str = "application/apply-patch+yaml";

pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The configuration that apply remembers: the object without that annotation. `typed`: in the order of Go's types.
pub fn last_applied(object: &Value, typed: bool) -> String {
    let mut object = object.clone();
    if !object["metadata"]["annotations"].is_object() && !typed {
        object["metadata"]["annotations"] = json!({});
    }
    let annotations = object.get_mut("metadata").and_then(|m| m.get_mut("annotations"));
    if let Some(annotations) = annotations.and_then(Value::as_object_mut) {
        annotations.remove(LAST_APPLIED);
    }
    if typed {
        crate::print::typed::normalise(&mut object);
    }
    let text = if typed { text_json::compact_typed(&object) } else { text_json::compact(&object) };
    text + "\n"
}

/// Writes the configuration into the object's annotation.
pub fn remember(object: &mut Value, typed: bool) {
    let text = last_applied(object, typed);
    object["metadata"]["annotations"][LAST_APPLIED] = Value::String(text);
}

/// The type of patch that suits a kind: strategic where Go knows its type.
pub fn patch_type(resource: &Resource) -> &'static str {
    match facts::kind(&resource.group, &resource.version, &resource.kind) {
        Some(_) => STRATEGIC,
        None => MERGE,
    }
}
