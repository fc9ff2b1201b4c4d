//! `proxy`: the API server (and files) at a local address, without credentials. Start at [`run`].
//!
//! Whoever reaches the address acts as the user of the kubeconfig: so only requests that [`Filter`] accepts get through.

mod files;
mod filter;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use client::wire::Wire;
use futures::stream::{FuturesUnordered, StreamExt};
use http::header::{
    CONNECTION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, LOCATION, UPGRADE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::SendRequest;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use stdx::Tasks;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};

use crate::error::{Error, Result, reason};
use crate::session::Session;
use filter::Filter;

/// What a client may send in one request; the API server itself takes 3 MiB.
const LARGEST: usize = 64 << 20;

type Reply = Response<UnsyncBoxBody<Bytes, hyper::Error>>;

/// What every connection needs.
struct Proxy {
    wire: Arc<Wire>,
    /// Who we are, for requests that do not say it themselves.
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Before each path, when the user asked for it.
    server_path: String,
    /// Between slashes.
    api_prefix: String,
    www_prefix: String,
    www: Option<PathBuf>,
    /// None: everything is let through.
    filter: Option<Filter>,
    tasks: Tasks,
}

pub fn run(session: &Session) -> Result<()> {
    let call = &session.call;
    let socket = call.text("unix-socket");
    if !socket.is_empty() && call.int("port") != 8001 {
        return Err(Error::text("cannot set --unix-socket and --port at the same time"));
    }
    if call.text("keepalive") != "0s" && !call.duration("keepalive").is_zero() {
        return Err(Error::text("--keepalive is not there yet: leave it at 0"));
    }
    let proxy = Arc::new(proxy(session)?);
    session.block_on(async {
        if socket.is_empty() {
            let port = u16::try_from(call.int("port")).map_err(|_| {
                Error::text(format!("listen tcp: address {}: invalid port", call.int("port")))
            })?;
            let address = call.text("address").trim_matches(['[', ']']);
            let shown = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
            let listener = TcpListener::bind((address, port))
                .await
                .map_err(|e| Error::text(format!("listen tcp {shown}:{port}: bind: {}", reason(&e))))?;
            session.println(&format!("Starting to serve on {}", listener.local_addr()?))?;
            serve(&proxy, async || listener.accept().await.map(|(stream, _)| stream)).await
        } else {
            let listener = unix(socket)?;
            session.println(&format!("Starting to serve on {socket}"))?;
            serve(&proxy, async || listener.accept().await.map(|(stream, _)| stream)).await
        }
    })?
}

fn proxy(session: &Session) -> Result<Proxy> {
    let call = &session.call;
    let www = Some(call.text("www")).filter(|w| !w.is_empty()).map(PathBuf::from);
    if let Some(dir) = &www
        && !dir.is_dir()
    {
        session.note(&format!("Static file directory {} is not a directory", dir.display()));
    }
    let filter = match call.is("disable-filter") {
        false => Some(Filter::of(call)?),
        true => {
            if call.text("unix-socket").is_empty() {
                // A log line, as stock's is.
                let now = stdx::Clock::now(&stdx::SystemClock).strftime("%m%d %H:%M:%S.%6f");
                eprintln!(
                    "W{now} {:7} proxy.rs:1] Request filter disabled, your proxy is vulnerable to XSRF attacks, please be cautious",
                    std::process::id()
                );
            }
            None
        }
    };
    let access = session.access()?;
    let mut headers = Vec::new();
    for (name, value) in &access.headers {
        let bad = |_| Error::text(format!("the header {name} has characters that no header can have"));
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|e| bad(e.to_string()))?;
        headers.push((name, HeaderValue::from_str(value).map_err(|e| bad(e.to_string()))?));
    }
    Ok(Proxy {
        wire: Arc::new(Wire::new(access.target.clone(), session.tasks.clone())),
        headers,
        server_path: if call.is("append-server-path") { access.prefix.clone() } else { String::new() },
        api_prefix: slashes(call.text("api-prefix")),
        www_prefix: slashes(call.text("www-prefix")),
        www,
        filter,
        tasks: session.tasks.clone(),
    })
}

/// With a slash at both ends.
fn slashes(prefix: &str) -> String {
    match prefix.trim_matches('/') {
        "" => "/".to_owned(),
        inner => format!("/{inner}/"),
    }
}

/// A socket for this user alone; one that was left over gives way.
fn unix(path: &str) -> Result<UnixListener> {
    use nix::sys::stat::{Mode, umask};
    use std::os::unix::fs::FileTypeExt;
    if std::fs::metadata(path).is_ok_and(|m| m.file_type().is_socket()) {
        std::fs::remove_file(path)?;
    }
    let before = umask(Mode::from_bits_truncate(0o077));
    let bound = UnixListener::bind(path);
    umask(before);
    bound.map_err(|e| Error::text(format!("listen unix {path}: bind: {}", reason(&e))))
}

/// Accepts for ever; connections live side by side on this thread.
async fn serve<S>(proxy: &Arc<Proxy>, mut accept: impl AsyncFnMut() -> std::io::Result<S>) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut connections = FuturesUnordered::new();
    loop {
        tokio::select! {
            accepted = accept() => {
                let proxy = proxy.clone();
                let service = service_fn(move |request| {
                    let proxy = proxy.clone();
                    async move { Ok::<_, Infallible>(proxy.answer(request).await) }
                });
                connections.push(
                    http1::Builder::new().serve_connection(TokioIo::new(accepted?), service).with_upgrades(),
                );
            }
            // A connection that breaks is its client's matter.
            Some(_) = connections.next(), if !connections.is_empty() => {}
        }
    }
}

impl Proxy {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        let path = request.uri().path().to_owned();
        // What is compared and what the server makes of it must be the same path.
        let Some(decoded) = files::decoded(&path) else {
            return text(StatusCode::BAD_REQUEST, "400 Bad Request\n");
        };
        let clean = clean(&path);
        if clean != path {
            let query = request.uri().query().map(|q| format!("?{q}")).unwrap_or_default();
            return redirection(&(clean + &query));
        }
        let www = self.www.as_ref().map(|dir| (dir, &self.www_prefix));
        for prefix in www.map(|(_, prefix)| prefix).into_iter().chain([&self.api_prefix]) {
            if path.len() + 1 == prefix.len() && prefix.starts_with(&path) {
                return redirection(prefix);
            }
        }
        if let Some((dir, prefix)) = www.filter(|(_, prefix)| path.starts_with(*prefix)) {
            return whole(files::serve(dir, prefix, &path));
        }
        let Some(stripped) = self.strip(&path) else {
            return text(StatusCode::NOT_FOUND, "404 page not found\n");
        };
        let host = request.headers().get(HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
        let shown = self.strip(&decoded).unwrap_or_default();
        let method = request.method().as_str();
        let accepted = self.filter.as_ref().is_none_or(|f| f.accepts(method, &shown, host));
        if !accepted {
            return text(StatusCode::FORBIDDEN, "Forbidden\n");
        }
        match self.pass(request, &stripped).await {
            Ok(reply) => reply,
            Err(why) => {
                eprintln!("Error while proxying request: {why}");
                text(StatusCode::INTERNAL_SERVER_ERROR, &format!("{why}\n"))
            }
        }
    }

    /// The server's path of a path of ours.
    fn strip(&self, path: &str) -> Option<String> {
        let inner = path.strip_prefix(&self.api_prefix)?;
        // `--api-prefix=/api/` means that part of the API, not the API elsewhere.
        Some(if self.api_prefix.starts_with("/api") { path.to_owned() } else { format!("/{inner}") })
    }

    async fn pass(&self, mut request: Request<Incoming>, path: &str) -> std::result::Result<Reply, String> {
        let query = request.uri().query().map(|q| format!("?{q}")).unwrap_or_default();
        let uri: Uri =
            format!("{}{path}{query}", self.server_path).parse().map_err(|e| format!("parse {path}: {e}"))?;
        let protocol = upgrade_of(request.headers());
        let ours = protocol.is_some().then(|| hyper::upgrade::on(&mut request));
        let (mut head, body) = request.into_parts();
        head.uri = uri;
        end_to_end(&mut head.headers);
        let theirs = head.headers.clone();
        let known = |name: &HeaderName| match name.as_str().starts_with("impersonate-") {
            true => theirs.contains_key("impersonate-user"),
            false => theirs.contains_key(name),
        };
        for (name, value) in self.headers.iter().filter(|(name, _)| !known(name)) {
            head.headers.append(name, value.clone());
        }
        if let Some(protocol) = protocol {
            head.headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
            head.headers.insert(UPGRADE, protocol);
        }
        let Some(ours) = ours else {
            let body = Limited::new(body, LARGEST).collect().await.map_err(|e| e.to_string())?.to_bytes();
            return self.ordinary(Request::from_parts(head, body)).await;
        };
        let asked = Request::from_parts(head, Bytes::new());
        let mut response = self.wire.upgrade(asked).await.map_err(|e| e.to_string())?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let theirs = hyper::upgrade::on(&mut response);
            self.tasks.spawn_until_shutdown(async move {
                // Either end may go at any time: then the other goes, too.
                if let (Ok(ours), Ok(theirs)) = tokio::join!(ours, theirs) {
                    let (mut ours, mut theirs) = (TokioIo::new(ours), TokioIo::new(theirs));
                    let _ = tokio::io::copy_bidirectional(&mut ours, &mut theirs).await;
                }
            });
        }
        let (mut head, body) = response.into_parts();
        if head.status != StatusCode::SWITCHING_PROTOCOLS {
            end_to_end(&mut head.headers);
        }
        Ok(Response::from_parts(head, body.boxed_unsync()))
    }

    async fn ordinary(&self, request: Request<Bytes>) -> std::result::Result<Reply, String> {
        let answer = self.wire.send(request).await.map_err(|e| e.to_string())?;
        let (mut head, body) = answer.response.into_parts();
        end_to_end(&mut head.headers);
        let body = Passing { body, sender: Some(answer.sender), wire: self.wire.clone() };
        Ok(Response::from_parts(head, body.boxed_unsync()))
    }
}

/// The path without empty steps, `.` and `..`, however they are written.
fn clean(path: &str) -> String {
    let mut steps: Vec<&str> = Vec::new();
    let mut folder = true;
    for step in path.split('/') {
        let decoded = files::decoded(step).unwrap_or_default();
        folder = matches!(decoded.as_str(), "" | "." | "..");
        match decoded.as_str() {
            "" | "." => {}
            ".." => drop(steps.pop()),
            _ => steps.push(step),
        }
    }
    let end = if folder && !steps.is_empty() { "/" } else { "" };
    format!("/{}{end}", steps.join("/"))
}

fn upgrade_of(headers: &HeaderMap) -> Option<HeaderValue> {
    let listed = headers.get_all(CONNECTION).iter().filter_map(|v| v.to_str().ok());
    let asked = listed.flat_map(|v| v.split(',')).any(|v| v.trim().eq_ignore_ascii_case("upgrade"));
    headers.get(UPGRADE).filter(|_| asked).cloned()
}

/// Takes away what is between two neighbours only (RFC 9110, 7.6.1); the body's framing is made anew.
fn end_to_end(headers: &mut HeaderMap) {
    let named: Vec<String> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .map(|v| v.trim().to_lowercase())
        .collect();
    let fixed =
        ["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];
    for name in named.iter().map(String::as_str).chain(fixed) {
        headers.remove(name);
    }
}

/// A body on its way; its connection serves again when it has come to its end.
struct Passing {
    body: Incoming,
    sender: Option<SendRequest<Full<Bytes>>>,
    wire: Arc<Wire>,
}

impl Body for Passing {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(context);
        if let Poll::Ready(None) = &polled
            && let Some(sender) = this.sender.take()
        {
            this.wire.keep(sender);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn redirection(to: &str) -> Reply {
    let mut reply =
        text(StatusCode::TEMPORARY_REDIRECT, &format!("<a href=\"{to}\">Temporary Redirect</a>.\n\n"));
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    if let Ok(to) = HeaderValue::from_str(to) {
        reply.headers_mut().insert(LOCATION, to);
    }
    reply
}

fn text(status: StatusCode, text: &str) -> Reply {
    let mut reply = Response::new(Bytes::copy_from_slice(text.as_bytes()));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    whole(reply)
}

fn whole(reply: Response<Bytes>) -> Reply {
    reply.map(|body| Full::new(body).map_err(|never| match never {}).boxed_unsync())
}
