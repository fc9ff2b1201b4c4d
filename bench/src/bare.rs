//! What HTTP over TLS alone costs here: the same libraries, the same bytes, nothing else.
//!
//! `GET /NAME` answers the file of that name; `GET /stream/NAME` goes on sending it; a `POST` is read, parsed as JSON, and
//! answered with itself.

use std::collections::HashMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use futures::stream;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use pki::tls::{LiveIdentity, server_config};
use pki::{Ca, Template};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

#[derive(clap::Args)]
pub struct Args {
    /// Files whose names are the paths
    #[arg(long)]
    files: PathBuf,
    /// Where its CA and port are written
    #[arg(long)]
    out: PathBuf,
}

type Body = BoxBody<Bytes, Infallible>;

pub fn run(args: &Args) -> Result<()> {
    // As many workers as the API server has.
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(args))
}

async fn serve(args: &Args) -> Result<()> {
    let now = jiff::Timestamp::now();
    let (ca, _) = Ca::create("bench", now)?;
    let identity = ca.issue(&Template::server("bare", ["localhost", "127.0.0.1"]), now)?;
    let mut tls = server_config(Arc::new(LiveIdentity::new(&identity)?))?;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    std::fs::write(args.out.join("bare.ca"), ca.cert_pem())?;
    std::fs::write(args.out.join("bare.port.new"), port.to_string())?;
    std::fs::rename(args.out.join("bare.port.new"), args.out.join("bare.port"))?;
    let mut files = HashMap::new();
    for entry in std::fs::read_dir(&args.files)? {
        let entry = entry?;
        files.insert(
            entry.file_name().to_string_lossy().into_owned(),
            Bytes::from(std::fs::read(entry.path())?),
        );
    }
    let files = Arc::new(files);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (acceptor, files) = (acceptor.clone(), files.clone());
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = service_fn(move |request| answer(files.clone(), request));
            drop(
                http1::Builder::new()
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await,
            );
        });
    }
}

async fn answer(
    files: Arc<HashMap<String, Bytes>>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path().trim_start_matches('/').to_owned();
    if *request.method() == Method::POST {
        let bytes = match request.into_body().collect().await {
            Ok(body) => body.to_bytes(),
            Err(_) => return Ok(status(StatusCode::BAD_REQUEST)),
        };
        return Ok(match serde_json::from_slice::<serde_json::Value>(&bytes) {
            Ok(_) => json(Full::new(bytes).boxed()),
            Err(_) => status(StatusCode::BAD_REQUEST),
        });
    }
    if let Some(bytes) = path.strip_prefix("stream/").and_then(|name| files.get(name)).cloned() {
        let frames = stream::repeat_with(move || Ok(Frame::data(bytes.clone())));
        return Ok(json(BodyExt::boxed(StreamBody::new(frames))));
    }
    Ok(match files.get(&path) {
        Some(bytes) => json(Full::new(bytes.clone()).boxed()),
        None => status(StatusCode::NOT_FOUND),
    })
}

fn json(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    response
}

fn status(code: StatusCode) -> Response<Body> {
    let mut response = json(Full::new(Bytes::new()).boxed());
    *response.status_mut() = code;
    response
}
