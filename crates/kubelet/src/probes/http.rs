//! HTTP for probes and hooks: one GET, certificates not verified (as upstream: the pod is asked, not believed).

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::header;
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use super::prober::Outcome;
use super::target::{HttpTarget, connect};

const BODY_MAX: usize = 10 * 1024;
const REDIRECTS_MAX: usize = 10;

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub location: Option<String>,
    pub body: String,
}

/// A probe: 2xx and 3xx are good; redirects on the same host are followed.
pub async fn probe(target: &HttpTarget) -> Outcome {
    let mut target = target.clone();
    for _ in 0..REDIRECTS_MAX {
        let answer = match get(&target).await {
            Ok(answer) => answer,
            Err(e) => return Outcome::Failure(e),
        };
        match (answer.status, answer.location) {
            (301 | 302 | 303 | 307 | 308, Some(location)) => match follow(&target, &location) {
                Some(next) => target = next,
                None => {
                    return Outcome::Warning(format!(
                        "Probe terminated redirects, Response body: {}",
                        answer.body
                    ));
                }
            },
            (200..=399, _) => return Outcome::Success,
            (status, _) => return Outcome::Failure(format!("HTTP probe failed with statuscode: {status}")),
        }
    }
    Outcome::Failure(format!("Get {:?}: stopped after {REDIRECTS_MAX} redirects", target.url()))
}

/// Where a redirect leads; `None` to another host.
fn follow(from: &HttpTarget, location: &str) -> Option<HttpTarget> {
    let to: http::Uri = location.parse().ok()?;
    let path = to.path_and_query().map_or("/", |p| p.as_str()).to_owned();
    let Some(host) = to.host() else {
        return location.starts_with('/').then(|| HttpTarget { path, ..from.clone() });
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let tls = to.scheme_str() == Some("https");
    let port = to.port_u16().unwrap_or(if tls { 443 } else { 80 });
    (host == from.host).then(|| HttpTarget {
        tls,
        host: host.to_owned(),
        port,
        path,
        headers: from.headers.clone(),
    })
}

/// One GET. The error is for people.
pub async fn get(target: &HttpTarget) -> Result<Answer, String> {
    let failed = |why: String| format!("Get {:?}: {why}", target.url());
    let stream = connect(&target.address()).await.map_err(failed)?;
    if !target.tls {
        return exchange(target, stream).await.map_err(failed);
    }
    let stream = tls(&target.host, stream, &[]).await.map_err(failed)?;
    exchange(target, stream).await.map_err(failed)
}

/// A TLS session that verifies nothing.
pub async fn tls<S: AsyncRead + AsyncWrite + Unpin>(
    host: &str,
    stream: S,
    alpn: &[&[u8]],
) -> Result<tokio_rustls::client::TlsStream<S>, String> {
    let name = ServerName::try_from(host.to_owned()).map_err(|e| e.to_string())?;
    let mut config = (*trusting()?).clone();
    config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|e| e.to_string())
}

async fn exchange<S>(target: &HttpTarget, stream: S) -> Result<Answer, String>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    let mut request = http::Request::get(&target.path).header(header::CONNECTION, "close");
    let has = |name: &str| target.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
    for (name, value) in
        [("host", target.address()), ("user-agent", "kube-probe/1.37".into()), ("accept", "*/*".into())]
    {
        if !has(name) {
            request = request.header(name, value);
        }
    }
    for (name, value) in &target.headers {
        request = request.header(name, value);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|e| e.to_string())?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(|e| e.to_string())?;
        let location =
            response.headers().get(header::LOCATION).and_then(|l| l.to_str().ok()).map(str::to_owned);
        let status = response.status().as_u16();
        // What is longer is cut off: an error here is no error of the pod.
        let body = Limited::new(response.into_body(), BODY_MAX).collect().await.map(|b| b.to_bytes());
        let body = String::from_utf8_lossy(&body.unwrap_or_default()).into_owned();
        Ok(Answer { status, location, body })
    };
    // The connection lives as long as the exchange: no task to leave behind.
    tokio::pin!(answer);
    tokio::pin!(connection);
    tokio::select! {
        answer = &mut answer => answer,
        ended = &mut connection => match ended {
            Ok(()) => answer.await,
            Err(e) => Err(e.to_string()),
        },
    }
}

fn trusting() -> Result<Arc<ClientConfig>, String> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(config.clone());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Trusting(provider)))
        .with_no_client_auth();
    Ok(CONFIG.get_or_init(|| Arc::new(config)).clone())
}

#[derive(Debug)]
struct Trusting(Arc<rustls::crypto::CryptoProvider>);

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
