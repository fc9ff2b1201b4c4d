//! Streams through an upgraded HTTP connection: exec, attach and port-forward as kubelets serve them, over SPDY/3.1 (kubectl
//! up to 1.29) and WebSocket (since). Start at [`remotecommand::accept`] and [`portforward::accept`].
//!
//! Knows no container and no API object: callers bring a process' streams or a connection to a port.

pub mod portforward;
pub mod remotecommand;
pub mod spdy;
pub mod websocket;

use http::{HeaderMap, Response, StatusCode, header};

/// Why a request cannot be upgraded, and what to answer.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    pub status: StatusCode,
    pub message: String,
}

impl Refused {
    fn bad_request(message: impl Into<String>) -> Self {
        Refused { status: StatusCode::BAD_REQUEST, message: message.into() }
    }

    fn forbidden(message: impl Into<String>) -> Self {
        Refused { status: StatusCode::FORBIDDEN, message: message.into() }
    }
}

/// Whether a comma-separated header has `token`, in any case.
fn has_token(headers: &HeaderMap, name: header::HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|v| v.to_str().ok());
    values.flat_map(|v| v.split(',')).any(|t| t.trim().eq_ignore_ascii_case(token))
}

/// The values of a header that may stand once with commas or several times, in order.
fn tokens(headers: &HeaderMap, name: &str) -> Vec<String> {
    let values = headers.get_all(name).into_iter().filter_map(|v| v.to_str().ok());
    values.flat_map(|v| v.split(',')).map(|t| t.trim().to_owned()).filter(|t| !t.is_empty()).collect()
}

/// The 101 that both protocols answer.
fn switching(upgrade: &str) -> http::response::Builder {
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, upgrade)
}

#[cfg(test)]
mod tests;
