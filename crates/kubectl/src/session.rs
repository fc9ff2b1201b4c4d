//! One run of kubectl: the call, the configuration, the way to the server. Start at [`Session`].
//!
//! Everything is opened when it is first needed: `version --client` reads no file and starts no runtime.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeSet;
use std::io::Write;
use std::time::Duration;

use apimachinery::Status;
use bytes::Bytes;
use client::wire::{Failure, Wire};
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use stdx::{Clock, SystemClock, Tasks};

use crate::command::Call;
use crate::config::Config;
use crate::config::access::{self, Access};
use crate::discovery::Discovery;
use crate::error::{Error, Result};

/// What a command works with.
pub struct Session {
    pub call: Call,
    config: OnceCell<Config>,
    access: OnceCell<Access>,
    runtime: OnceCell<tokio::runtime::Runtime>,
    wire: OnceCell<Wire>,
    discovery: OnceCell<Discovery>,
    pub tasks: Tasks,
    warned: RefCell<BTreeSet<String>>,
    pub warnings: RefCell<usize>,
    /// `describe` leaves events out.
    pub hide_events: std::cell::Cell<bool>,
}

/// A request. The path may carry a query.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: Method,
    pub path: String,
    pub accept: &'static str,
    pub content_type: &'static str,
    pub body: Bytes,
}

pub const JSON: &str = "application/json";
pub const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";

impl Request {
    pub fn get(path: impl Into<String>) -> Self {
        Request {
            method: Method::GET,
            path: path.into(),
            accept: JSON,
            content_type: JSON,
            body: Bytes::new(),
        }
    }

    pub fn with(method: Method, path: impl Into<String>, body: &Value) -> Self {
        Request { method, body: body.to_string().into(), ..Request::get(path) }
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub body: Bytes,
}

impl Session {
    pub fn new(call: Call) -> Self {
        Session {
            call,
            config: OnceCell::new(),
            access: OnceCell::new(),
            runtime: OnceCell::new(),
            wire: OnceCell::new(),
            discovery: OnceCell::new(),
            tasks: Tasks::new(),
            warned: RefCell::default(),
            warnings: RefCell::new(0),
            hide_events: std::cell::Cell::new(false),
        }
    }

    pub fn config(&self) -> Result<&Config> {
        if let Some(config) = self.config.get() {
            return Ok(config);
        }
        let loaded = Config::load(&self.call)?;
        Ok(self.config.get_or_init(|| loaded))
    }

    /// For `config`: a file that was named and is not there is an empty one.
    pub fn config_lenient(&self) -> Result<&Config> {
        let named = self.call.text("kubeconfig");
        if !named.is_empty() && !std::path::Path::new(named).exists() {
            return Ok(self.config.get_or_init(Config::default));
        }
        self.config()
    }

    pub fn access(&self) -> Result<&Access> {
        if let Some(access) = self.access.get() {
            return Ok(access);
        }
        self.timeout()?;
        let made = access::access(self.config()?, &self.call)?;
        Ok(self.access.get_or_init(|| made))
    }

    /// The namespace to work in, and whether the user named it.
    pub fn namespace(&self) -> Result<(String, bool)> {
        Ok(access::namespace(self.config()?, &self.call))
    }

    pub fn discovery(&self) -> Result<&Discovery> {
        if let Some(discovery) = self.discovery.get() {
            return Ok(discovery);
        }
        let loaded = Discovery::load(self)?;
        Ok(self.discovery.get_or_init(|| loaded))
    }

    pub fn runtime(&self) -> Result<&tokio::runtime::Runtime> {
        if let Some(runtime) = self.runtime.get() {
            return Ok(runtime);
        }
        let made = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(self.runtime.get_or_init(|| made))
    }

    pub fn block_on<F: Future>(&self, future: F) -> Result<F::Output> {
        Ok(self.runtime()?.block_on(future))
    }

    /// Waits. (A sleep must be made where the runtime is entered.)
    pub fn pause(&self, time: Duration) -> Result<()> {
        self.block_on(async { SystemClock.sleep(time).await })
    }

    pub fn wire(&self) -> Result<&Wire> {
        if let Some(wire) = self.wire.get() {
            return Ok(wire);
        }
        let target = self.access()?.target.clone();
        Ok(self.wire.get_or_init(|| Wire::new(target, self.tasks.clone())))
    }

    /// How long a request may take; none: as long as it takes.
    pub fn timeout(&self) -> Result<Option<Duration>> {
        let text = self.call.text("request-timeout");
        if text.is_empty() || text == "0" {
            return Ok(None);
        }
        let seconds = text.parse::<u64>().ok().map(Duration::from_secs);
        match seconds.or_else(|| crate::text::duration::parse(text).ok()) {
            Some(time) => Ok(Some(time).filter(|t| !t.is_zero())),
            None => Err(Error::text(
                "Invalid timeout value. Timeout must be a single integer in seconds, or an integer followed by a corresponding time unit (e.g. 1s | 2m | 3h)",
            )),
        }
    }

    /// The request as HTTP, with who we are.
    pub fn build(&self, request: &Request) -> Result<http::Request<Bytes>> {
        let access = self.access()?;
        let mut builder = http::Request::builder()
            .method(request.method.clone())
            .uri(format!("{}{}", access.prefix, request.path))
            .header("User-Agent", concat!("kubectl/v1.37.1 (knarr ", env!("CARGO_PKG_VERSION"), ")"))
            .header("Accept", request.accept);
        if !request.body.is_empty() {
            builder = builder.header("Content-Type", request.content_type);
        }
        for (name, value) in &access.headers {
            builder = builder.header(name, value);
        }
        builder.body(request.body.clone()).map_err(|e| Error::text(format!("build the request: {e}")))
    }

    /// Sends a request and reads the answer, whatever it says.
    pub fn exchange(&self, request: &Request) -> Result<Reply> {
        let started = SystemClock.monotonic();
        let built = self.build(request)?;
        let wire = self.wire()?;
        let timeout = self.timeout()?;
        let exchange = async {
            let answer = wire.send(built).await?;
            let (head, body) = answer.response.into_parts();
            let body = body.collect().await.map_err(|_| Failure::Http(CUT.into()))?.to_bytes();
            wire.keep(answer.sender);
            Ok((head, body))
        };
        let late = async {
            match timeout {
                Some(time) => SystemClock.sleep(time).await,
                None => std::future::pending().await,
            }
        };
        let done = self.block_on(async {
            tokio::select! {
                done = exchange => done,
                () = late => Err(Failure::Http("context deadline exceeded (Client.Timeout exceeded while awaiting headers)".into())),
            }
        })?;
        let (head, body) = done.map_err(|e| self.failed(request, &e))?;
        self.warn(&head.headers);
        if self.call.int("v") >= 6 {
            let took = (SystemClock.monotonic() - started).as_millis();
            eprintln!(
                "\"Response\" verb=\"{}\" url=\"{}\" status=\"{}\" milliseconds={took}",
                request.method,
                self.url(&request.path),
                head.status
            );
        }
        if self.call.int("v") >= 8 {
            eprintln!("\"Response Body\" body={}", crate::text::quote(&String::from_utf8_lossy(&body)));
        }
        Ok(Reply { status: head.status, body })
    }

    pub fn url(&self, path: &str) -> String {
        let server = self.access().map(|a| a.target.server.to_string()).unwrap_or_default();
        format!("{}{path}", server.trim_end_matches('/'))
    }

    /// What goes wrong below HTTP, as stock tells it.
    pub fn failed(&self, request: &Request, failure: &Failure) -> Error {
        let place = || {
            let server = self.access().map(|a| a.target.server.clone()).unwrap_or_default();
            server.authority().map(|a| a.to_string()).unwrap_or_default()
        };
        match failure {
            Failure::Refused(_) => Error::Connection(format!(
                "The connection to the server {} was refused - did you specify the right host or port?",
                place()
            )),
            Failure::Target(text) => Error::Text(text.clone()),
            // Go asks the cause, whoever refused.
            Failure::Dial(text) if text.ends_with("connection refused") => Error::Connection(format!(
                "The connection to the server {} was refused - did you specify the right host or port?",
                place()
            )),
            Failure::Dial(text) | Failure::Tls(text) => {
                Error::Connection(format!("Unable to connect to the server: {text}"))
            }
            Failure::Http(text) if text.starts_with("context deadline") => {
                Error::Connection(format!("Unable to connect to the server: {text}"))
            }
            Failure::Http(text) => {
                let method = crate::text::title(&request.method.as_str().to_lowercase());
                let url = self.url(&request.path);
                match text.as_str() {
                    CUT => Error::text(CUT),
                    "EOF" => Error::Connection("Unable to connect to the server: EOF".to_string()),
                    text => Error::Text(format!("{method} \"{url}\": {text}")),
                }
            }
        }
    }

    /// Sends; an answer that says no is an error.
    pub fn send(&self, request: &Request) -> Result<Reply> {
        let mut patience = 5;
        loop {
            let reply = self.exchange(request)?;
            if reply.status.is_success() {
                return Ok(reply);
            }
            let error = refusal(&reply, request);
            let retry = error
                .status()
                .filter(|s| s.code == 429)
                .and_then(|s| s.details.as_ref())
                .map(|d| d.retry_after_seconds);
            match retry {
                Some(seconds) if seconds > 0 && patience > 0 && !request.path.contains("/eviction") => {
                    patience -= 1;
                    self.pause(Duration::from_secs(u64::from(seconds)))?;
                }
                _ => return Err(error),
            }
        }
    }

    pub fn value(&self, request: &Request) -> Result<Value> {
        let reply = self.send(request)?;
        serde_json::from_slice(&reply.body).map_err(|e| {
            let start: String = String::from_utf8_lossy(&reply.body).chars().take(60).collect();
            Error::text(format!(
                "the server's answer is no JSON ({e}): {start:?}: is {} a Kubernetes API server?",
                self.url("")
            ))
        })
    }

    pub fn get(&self, path: &str) -> Result<Value> {
        self.value(&Request::get(path))
    }

    /// Warning headers go to stderr, each text once.
    pub fn warn(&self, headers: &http::HeaderMap) {
        for value in headers.get_all("warning") {
            let Some(text) = value.to_str().ok().and_then(warning_text) else { continue };
            *self.warnings.borrow_mut() += 1;
            if self.warned.borrow_mut().insert(text.clone()) {
                self.note(&text);
            }
        }
    }

    /// `Warning: …`, in yellow on a terminal.
    pub fn note(&self, text: &str) {
        let colour = nix::unistd::isatty(std::io::stderr()).unwrap_or(false)
            && std::env::var_os("NO_COLOR").is_none()
            && std::env::var("TERM").is_ok_and(|t| t != "dumb");
        match colour {
            true => eprintln!("\x1b[33;1mWarning:\x1b[0m {text}"),
            false => eprintln!("Warning: {text}"),
        }
    }

    pub fn stdout(&self) -> std::io::StdoutLock<'static> {
        std::io::stdout().lock()
    }

    /// Prints a text as it is.
    pub fn print(&self, text: &str) -> Result<()> {
        let mut out = self.stdout();
        out.write_all(text.as_bytes())?;
        Ok(out.flush()?)
    }

    pub fn println(&self, text: &str) -> Result<()> {
        self.print(&format!("{text}\n"))
    }
}

/// What is said of an answer that ends before it is whole.
pub const CUT: &str = "unexpected EOF";

/// What a path is about, as stock tells it: `(get pods name)`. Nothing for other paths.
fn about(request: &Request) -> String {
    let bare = request.path.split('?').next().unwrap_or_default();
    let mut parts = bare.trim_start_matches('/').split('/').peekable();
    let group = match parts.next() {
        Some("api") => "",
        Some("apis") => parts.next().unwrap_or_default(),
        _ => return String::new(),
    };
    let version = parts.next();
    let mut rest: Vec<&str> = parts.collect();
    if rest.len() > 2 && rest[0] == "namespaces" {
        rest.drain(..2);
    }
    let (Some(_), [resource, names @ ..]) = (version, &rest[..]) else { return String::new() };
    let resource = if group.is_empty() { (*resource).to_owned() } else { format!("{resource}.{group}") };
    let name = names.first().map(|n| format!(" {n}")).unwrap_or_default();
    format!(" ({} {resource}{name})", request.method.as_str().to_lowercase())
}

/// The quoted text of `299 - "text"`.
fn warning_text(header: &str) -> Option<String> {
    let (_, rest) = header.split_once('"')?;
    let (mut text, mut chars) = (String::new(), rest.chars());
    while let Some(c) = chars.next() {
        match c {
            '"' => return Some(text),
            '\\' => text.extend(chars.next()),
            c => text.push(c),
        }
    }
    None
}

/// The error that an answer is.
pub fn refusal(reply: &Reply, request: &Request) -> Error {
    if let Ok(status) = serde_json::from_slice::<Status>(&reply.body)
        && status.kind == "Status"
        && !status.message.is_empty()
    {
        return status.into();
    }
    let verb = request.method.as_str();
    let (reason, message) = match reply.status.as_u16() {
        400 => ("BadRequest", "the server rejected our request for an unknown reason"),
        401 => ("Unauthorized", "the server has asked for the client to provide credentials"),
        403 => ("Forbidden", "unknown"),
        404 => ("NotFound", "the server could not find the requested resource"),
        405 => ("MethodNotAllowed", "the server does not allow this method on the requested resource"),
        406 => {
            ("NotAcceptable", "the server was unable to respond with a content type that the client supports")
        }
        409 => match verb {
            "POST" => ("AlreadyExists", "the server reported a conflict"),
            _ => ("Conflict", "the server reported a conflict"),
        },
        410 => ("Gone", "the server reports that the resource is gone"),
        413 => ("RequestEntityTooLarge", "the request is too large"),
        415 => ("UnsupportedMediaType", "the body of the request was in an unknown format"),
        422 => ("Invalid", "the server rejected our request due to an error in our request"),
        429 => (
            "TooManyRequests",
            "the server has received too many requests and has asked us to try again later",
        ),
        503 => ("ServiceUnavailable", "the server is currently unable to handle the request"),
        504 => (
            "Timeout",
            "the server was unable to return a response in the time allotted, but may still be processing the request",
        ),
        500.. => {
            ("InternalError", "an error on the server (unknown) has prevented the request from succeeding")
        }
        _ => ("", "the server responded with an unknown status"),
    };
    let mut message = message.to_owned();
    if reply.status.as_u16() == 403 && !reply.body.is_empty() {
        message = String::from_utf8_lossy(&reply.body).trim().to_owned();
    }
    if reply.status.as_u16() >= 500 && reason == "InternalError" {
        let body: String = String::from_utf8_lossy(&reply.body).trim().chars().take(2048).collect();
        let shown = if body.is_empty() { "unknown".to_owned() } else { crate::text::quote(&body) };
        message = format!("an error on the server ({shown}) has prevented the request from succeeding");
    }
    message.push_str(&about(request));
    Status::failure(reply.status.as_u16(), reason, message).into()
}
