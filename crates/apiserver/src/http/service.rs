//! One HTTP request from its head to its response. [`chain`] is the list of what every request passes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use apimachinery::Status;
use auth::authn::Credentials;
use auth::{Attributes, UserInfo};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;

use super::answers::{self, Owed};
use super::body::{self, Body, RequestBody};
use super::negotiate::{self, Accepted, Format, Offer, Shape};
use super::present::Presenter;
use super::table::IncludeObject;
use super::{decode, endpoints, gzip, proxy, websocket};
use crate::api::Api;
use crate::flow::Place;
use crate::pipeline::authorize::{authorize, resource_attributes};
use crate::pipeline::call::{Answer, Call, Verb};
use crate::pipeline::params::Params;
use crate::pipeline::path::{Path, ResourcePath};
use crate::pipeline::{self, absent, authenticate, computed, impersonate, virtuals};

/// What a connection knows before its first request.
#[derive(Debug, Default)]
pub struct Connection {
    /// As presented in the handshake; judged in authentication.
    pub certificates: Vec<Vec<u8>>,
    /// Of the insecure port: whoever comes is one of system:masters.
    pub unsecured: bool,
    /// There was a request.
    pub asked: AtomicBool,
    /// Requests that are not answered yet, but for those that last.
    pub owed: Arc<Owed>,
    /// Those of them whose large answers are on their way.
    pub large: Arc<Owed>,
}

/// A request on its way through the chain.
pub struct Exchange {
    pub request: Request<RequestBody>,
    pub path: Path,
    pub params: Params,
    pub user: UserInfo,
}

/// How long a request's body may take: upstream's `--request-timeout`.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// Answers one request, whatever it is.
pub async fn serve(api: Arc<Api>, connection: Arc<Connection>, request: Request<Incoming>) -> Response<Body> {
    let started = api.clock.monotonic();
    connection.asked.store(true, Ordering::Relaxed);
    let audit_id = audit_id(&api, request.headers());
    let method = request.method().clone();
    let path = Path::parse(request.uri().path());
    let presenter = Presenter {
        accepted: Accepted { format: Format::Json, shape: Shape::AsIs },
        pretty: pretty(&request),
        include: IncludeObject::Metadata,
        clock: api.clock.clone(),
        encodings: api.encodings.clone(),
        shutdown: api.tasks.shutdown(),
        watching: None,
    };
    let query = request.uri().query().unwrap_or_default();
    let label = api.metrics.label(&method, &path, query, request.headers());
    let _in_flight = api.metrics.begin(&label);
    let lasts = label.is_long_running();
    let debt = (!lasts).then(|| connection.owed.begin());
    let uri = request.uri().clone();
    let gzips = gzip::accepted(request.headers());
    let (head, incoming) = request.into_parts();
    let (body, unread) = body::kept(incoming);
    let mut place = None;
    let request = Request::from_parts(head, body);
    let mut response = match chain(&api, &connection, path, request, &mut place).await {
        Ok(response) => response,
        Err(status) => presenter.status(&status),
    };
    unread.drain(&api.clock).await;
    if gzips {
        response = gzip::compress(response).await;
    }
    if let Ok(id) = HeaderValue::from_str(&audit_id) {
        response.headers_mut().insert("audit-id", id);
    }
    if let Some(place) = &place {
        place.tell(response.headers_mut());
    }
    let (code, took) = (response.status(), api.clock.monotonic().saturating_sub(started));
    api.metrics.observe(&label, code.as_u16(), took, answers::size(&response));
    match code {
        StatusCode::INTERNAL_SERVER_ERROR if matches!(uri.path().get(..4), Some("/api")) => {
            tracing::warn!(%audit_id, verb = label.verb(), path = uri.path(), code = 500, ?took, "a request fails");
        }
        _ => {
            tracing::debug!(%audit_id, verb = label.verb(), path = uri.path(), code = code.as_u16(), ?took, "request")
        }
    }
    api.answers.hold(response, || (connection.large.begin(), debt)).await
}

/// Every request passes these, in this order; the first refusal is the answer. `place` is what is then told of its priority.
async fn chain(
    api: &Arc<Api>,
    connection: &Connection,
    path: Path,
    request: Request<RequestBody>,
    place: &mut Option<Place>,
) -> Result<Response<Body>, Status> {
    let credentials = credentials(connection, request.headers())?;
    let user = match connection.unsecured {
        true => UserInfo::new("system:unsecured", &["system:masters"]).authenticated(),
        false => authenticate::authenticate(&*api.authenticator, &credentials).await?,
    };
    let user = impersonate::impersonate(&*api.authorizer, user, request.headers()).await?;
    let params = Params::parse(request.uri().query().unwrap_or_default())?;
    let _seat = place.insert(api.flow.place(&user, request.method(), &path, &params)).enter().await?;
    let exchange = Exchange { request, path, params, user };
    match exchange.path.clone() {
        Path::Other(path) => other(api, exchange, &path).await,
        Path::Resource(path) => resource(api, exchange, path).await,
    }
}

async fn other(api: &Arc<Api>, exchange: Exchange, path: &str) -> Result<Response<Body>, Status> {
    let attributes = Attributes {
        user: exchange.user.clone(),
        verb: exchange.request.method().as_str().to_ascii_lowercase(),
        path: path.to_owned(),
        ..Attributes::default()
    };
    authorize(&*api.authorizer, &attributes).await?;
    endpoints::answer(api, &exchange, path).await
}

async fn resource(api: &Arc<Api>, exchange: Exchange, path: ResourcePath) -> Result<Response<Body>, Status> {
    let watch = path.watch || exchange.params.watch;
    match websocket::is_wanted(exchange.request.headers(), &path, watch) {
        true => websocket::answer(api, exchange, path).await,
        false => stream_answer(api, exchange, path).await,
    }
}

/// The answer whose body is sent as it comes, if it is one that goes on.
pub(super) async fn stream_answer(
    api: &Arc<Api>,
    exchange: Exchange,
    path: ResourcePath,
) -> Result<Response<Body>, Status> {
    if proxy::is_connect(&path) {
        return proxy::connect(api, exchange, path).await;
    }
    let verb = verb(exchange.request.method(), &path, &exchange.params)?;
    let attributes = resource_attributes(&exchange.user, verb.name(), &path, &exchange.params.field_selector);
    authorize(&*api.authorizer, &attributes).await?;
    if let Some(absent) = absent::answer(&api.registry, verb, &path) {
        return Ok(presenter(api, &exchange, &path)?.respond(absent?));
    }
    let served = api.registry.serves_version(&path.group, &path.version)
        || virtuals::serves_version(&api.virtuals, &path.group, &path.version)
        || computed::serves_version(&api.computed, &path.group, &path.version);
    if !served {
        return Ok(body::text(404, "404 page not found\n"));
    }
    let mut presenter = presenter(api, &exchange, &path)?;
    if verb == Verb::Watch {
        presenter.watching = Some(api.metrics.watching(&path));
    }
    let (head, incoming) = exchange.request.into_parts();
    let bytes = match verb {
        Verb::Get | Verb::List | Verb::Watch => Default::default(),
        _ => whole(api, incoming).await?,
    };
    let payload = decode::payload(verb, &head.headers, bytes)?;
    let default_manager = default_manager(&head.headers);
    let call = Call { user: exchange.user, verb, path, params: exchange.params, payload, default_manager };
    let outcome = match pipeline::answer(api, &call).await {
        Ok(outcome) => outcome,
        Err(status) => return Ok(presenter.status(&status)),
    };
    if matches!(&outcome.answer, Answer::List { listing, .. } if listing.items.len() > answers::FEW) {
        api.answers.leave(&api.clock).await?;
    }
    Ok(presenter.respond(outcome))
}

/// The request's body, which must come in time.
async fn whole(api: &Api, body: RequestBody) -> Result<Bytes, Status> {
    tokio::select! {
        biased;
        read = body::read(body) => read,
        () = api.clock.sleep(BODY_TIMEOUT) => Err(Status::failure(
            408,
            "Timeout",
            "the request's body did not come in time",
        )),
    }
}

fn presenter(api: &Api, exchange: &Exchange, path: &ResourcePath) -> Result<Presenter, Status> {
    let offer = match virtuals::is_virtual(&api.virtuals, path) {
        true => Offer::Reviews,
        false => Offer::Objects,
    };
    Ok(Presenter {
        accepted: negotiate::accept(accept_header(&exchange.request), offer)?,
        pretty: pretty(&exchange.request),
        include: IncludeObject::parse(&exchange.params.include_object)?,
        clock: api.clock.clone(),
        encodings: api.encodings.clone(),
        shutdown: api.tasks.shutdown(),
        watching: None,
    })
}

/// What the method means for this path.
pub(crate) fn verb(method: &Method, path: &ResourcePath, params: &Params) -> Result<Verb, Status> {
    let named = !path.name.is_empty();
    Ok(match *method {
        Method::GET | Method::HEAD if path.watch || (params.watch && !named) => Verb::Watch,
        Method::GET | Method::HEAD if named => Verb::Get,
        Method::GET | Method::HEAD => Verb::List,
        // Objects are created in their collection, and changed by their name.
        Method::POST if !named || !path.subresource.is_empty() => Verb::Create,
        Method::PUT if named => Verb::Update,
        Method::PATCH if named => Verb::Patch,
        Method::DELETE if named => Verb::Delete,
        Method::DELETE => Verb::DeleteCollection,
        _ => return Err(method_not_allowed()),
    })
}

/// 405 in upstream's words.
pub fn method_not_allowed() -> Status {
    let mut status = Status::failure(
        405,
        "MethodNotAllowed",
        "the server does not allow this method on the requested resource",
    );
    status.details = Some(Box::default());
    status
}

/// The header's value when it is there and is text.
pub fn header_text(headers: &HeaderMap, name: impl header::AsHeaderName) -> Option<&str> {
    headers.get(name).and_then(|v| v.to_str().ok())
}

/// The `Accept` header.
pub fn accept_header(request: &Request<RequestBody>) -> Option<&str> {
    header_text(request.headers(), header::ACCEPT)
}

fn credentials(connection: &Connection, headers: &HeaderMap) -> Result<Credentials, Status> {
    let token = match headers.get(header::AUTHORIZATION) {
        None => None,
        Some(value) => bearer(value.to_str().map_err(|_| Status::unauthorized())?),
    };
    let text = |(name, value): (&header::HeaderName, &HeaderValue)| {
        value.to_str().ok().map(|value| (name.as_str().to_owned(), value.to_owned()))
    };
    // Only a proxy with a certificate may name users in headers.
    let headers = match connection.certificates.is_empty() {
        true => Vec::new(),
        false => headers.iter().filter_map(text).collect(),
    };
    Ok(Credentials { certificates: connection.certificates.clone(), token, headers })
}

/// The token of `Bearer TOKEN`; other schemes are nobody's.
fn bearer(value: &str) -> Option<String> {
    let (scheme, token) = value.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| token.to_owned())
}

/// People's tools get indented JSON, as upstream does it.
fn pretty<B>(request: &Request<B>) -> bool {
    let query = request.uri().query().unwrap_or_default();
    // Nearly no query says it, and names may be escaped.
    let may_say = query.contains("pretty") || query.contains('%');
    match may_say.then(|| Params::parse(query)) {
        Some(Ok(params)) if params.get("pretty").is_some() => params.pretty,
        _ => {
            let agent = header_text(request.headers(), header::USER_AGENT).unwrap_or_default();
            ["curl", "Wget", "Mozilla/5.0"].iter().any(|tool| agent.starts_with(tool))
        }
    }
}

/// The request's own audit id, or a new one.
fn audit_id(api: &Api, headers: &HeaderMap) -> String {
    header_text(headers, "audit-id").map_or_else(|| api.random.uuid(), str::to_owned)
}

/// What stands before the first `/` of the User-Agent, as upstream names managers.
fn default_manager(headers: &HeaderMap) -> String {
    let agent = header_text(headers, header::USER_AGENT).unwrap_or_default();
    let name = agent.split('/').next().unwrap_or_default();
    let name: String = name.chars().filter(|c| !c.is_control()).take(128).collect();
    if name.is_empty() { "unknown".into() } else { name }
}
