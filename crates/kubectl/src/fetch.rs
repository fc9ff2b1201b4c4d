//! Files from the web, for `-f https://…`. Start at [`url`].

use std::time::Duration;

use bytes::Bytes;
use client::wire::{Target, Wire};
use http::Uri;
use http_body_util::BodyExt;
use stdx::{Clock, SystemClock, Tasks};

use crate::error::{Error, Result};

const TRIES: u32 = 3;
const HOPS: u32 = 10;

/// The body at a URL. Redirections are followed; a server that fails is asked again, three times in all.
pub fn url(address: &str) -> Result<Bytes> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut tried = 0;
        loop {
            tried += 1;
            match once(address).await? {
                (200, body) => return Ok(body),
                (500.., _) if tried < TRIES => SystemClock.sleep(Duration::from_secs(1)).await,
                (code, _) => {
                    let text = http::StatusCode::from_u16(code).ok().and_then(|s| s.canonical_reason());
                    let text = text.unwrap_or_default();
                    return Err(Error::text(format!(
                        "unable to read URL \"{address}\", server reported {code} {text}, status code={code}"
                    )));
                }
            }
        }
    })
}

async fn once(address: &str) -> Result<(u16, Bytes)> {
    let mut address = address.to_owned();
    for _ in 0..HOPS {
        let bad = |e: &dyn std::fmt::Display| Error::text(format!("unable to read URL \"{address}\": {e}"));
        let uri: Uri = address.parse().map_err(|e| bad(&e))?;
        let path = uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
        let wire = Wire::new(Target { server: uri.clone(), ..Target::default() }, Tasks::new());
        let request = http::Request::get(path)
            .header("User-Agent", "kubectl/v1.37.1")
            .body(Bytes::new())
            .map_err(|e| bad(&e))?;
        let answer = wire.send(request).await.map_err(|e| bad(&e))?;
        let (head, body) = answer.response.into_parts();
        let location = head.headers.get("location").and_then(|l| l.to_str().ok());
        match location.filter(|_| head.status.is_redirection()) {
            Some(to) if to.starts_with('/') => {
                let authority = uri.authority().map_or("", |a| a.as_str());
                address = format!("{}://{authority}{to}", uri.scheme_str().unwrap_or("https"));
            }
            Some(to) => address = to.to_owned(),
            None => {
                let body = body.collect().await.map_err(|e| bad(&e))?.to_bytes();
                return Ok((head.status.as_u16(), body));
            }
        }
    }
    Err(Error::text(format!("unable to read URL \"{address}\": stopped after {HOPS} redirects")))
}
