//! The gRPC health protocol (`grpc.health.v1.Health/Check`): small enough to speak without a library.

use bytes::{BufMut as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};

use super::http::tls;
use super::prober::Outcome;
use super::target::connect;

const ANSWER_MAX: usize = 64 * 1024;

/// Asks whether `service` (empty: the server) serves.
pub async fn probe(address: &str, service: &str, over_tls: bool) -> Outcome {
    let stream = match connect(address).await {
        Ok(stream) => stream,
        Err(e) => {
            return Outcome::Failure(format!("error: failed to connect service {address:?}: {e}"));
        }
    };
    let answer = if over_tls {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        match tls(host.trim_matches(['[', ']']), stream, &[b"h2"]).await {
            Ok(stream) => check(address, service, stream, "https").await,
            Err(e) => Err(e),
        }
    } else {
        check(address, service, stream, "http").await
    };
    match answer {
        Ok(Answer { grpc_status: 0, serving: 1 }) => Outcome::Success,
        Ok(Answer { grpc_status: 0, serving }) => {
            let name = match serving {
                2 => "NOT_SERVING",
                3 => "SERVICE_UNKNOWN",
                _ => "UNKNOWN",
            };
            Outcome::Failure(format!("service unhealthy (responded with {name:?})"))
        }
        Ok(Answer { grpc_status: 12, .. }) => Outcome::Failure(
            "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): unimplemented"
                .into(),
        ),
        Ok(Answer { grpc_status, .. }) => {
            Outcome::Failure(format!("error: health rpc probe failed: status code {grpc_status}"))
        }
        Err(e) => Outcome::Failure(format!("error: health rpc probe failed: {e}")),
    }
}

struct Answer {
    grpc_status: u32,
    /// `HealthCheckResponse.ServingStatus`
    serving: u64,
}

async fn check<S>(address: &str, service: &str, stream: S, scheme: &str) -> Result<Answer, String>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .map_err(|e| e.to_string())?;
    let request = http::Request::post(format!("{scheme}://{address}/grpc.health.v1.Health/Check"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", "kube-probe/1.37")
        .body(Full::new(request_message(service)))
        .map_err(|e| e.to_string())?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(|e| e.to_string())?;
        if response.status() != 200 {
            return Err(format!("unexpected HTTP status {}", response.status()));
        }
        // Without a message the status comes in the headers.
        let early = status(response.headers());
        let body =
            Limited::new(response.into_body(), ANSWER_MAX).collect().await.map_err(|e| e.to_string())?;
        let late = body.trailers().and_then(status);
        let serving = serving(&body.to_bytes());
        let grpc_status = late.or(early).ok_or("the answer has no grpc-status")?;
        Ok(Answer { grpc_status, serving })
    };
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

fn status(headers: &http::HeaderMap) -> Option<u32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// Uncompressed, length, `HealthCheckRequest { service = 1 }`.
fn request_message(service: &str) -> Bytes {
    let mut message = BytesMut::new();
    if !service.is_empty() {
        message.put_u8(0x0a);
        let mut length = service.len();
        while length >= 0x80 {
            message.put_u8((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        message.put_u8(length as u8);
        message.put_slice(service.as_bytes());
    }
    let mut framed = BytesMut::with_capacity(5 + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(&message);
    framed.freeze()
}

/// Field 1 of `HealthCheckResponse`, a varint; 0 when absent.
fn serving(framed: &[u8]) -> u64 {
    match framed.get(5..) {
        Some([0x08, value, ..]) => u64::from(*value),
        _ => 0,
    }
}
