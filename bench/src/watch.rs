//! Many watches on one path, which count what they are sent.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use serde::{Deserialize, Serialize};

use crate::connection::{Connection, Target};
use crate::load::{now, percentiles};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Spec {
    pub target: Target,
    pub watchers: usize,
    /// `{hundred}` is the watcher's number modulo 100.
    pub path: String,
    pub seconds: f64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    pub events: u64,
    pub bytes: u64,
    pub seconds: f64,
    /// From the moment that an event's `sent-…` names.
    pub p50_us: u64,
    pub p99_us: u64,
}

pub fn run(spec: &Path) -> Result<()> {
    let spec: Spec = serde_json::from_slice(&std::fs::read(spec)?)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(drive(&spec))?;
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}

async fn drive(spec: &Spec) -> Result<Outcome> {
    let tls = spec.target.tls()?;
    let mut bodies = Vec::new();
    for n in 0..spec.watchers {
        let mut connection = Connection::open(spec.target.port, tls.clone()).await?;
        let path = spec.path.replace("{hundred}", &(n % 100).to_string());
        let mut request = Request::builder().uri(path).header("host", "localhost");
        if let Some(value) = spec.target.authorization(n) {
            request = request.header("authorization", value);
        }
        let response = connection.send(request.body(Full::new(Bytes::new()))?).await?;
        anyhow::ensure!(response.status().is_success(), "watch: {}", response.status());
        bodies.push((connection, response.into_body()));
    }
    eprintln!("watching");
    let start = Instant::now();
    let until = start + Duration::from_secs_f64(spec.seconds);
    let tasks: Vec<_> = bodies
        .into_iter()
        .map(|(connection, mut body)| {
            tokio::spawn(async move {
                let _connection = connection;
                let mut seen = Seen::default();
                let deadline = tokio::time::sleep_until(until.into());
                tokio::pin!(deadline);
                loop {
                    tokio::select! {
                        () = &mut deadline => return seen,
                        frame = body.frame() => match frame.and_then(Result::ok).and_then(|f| f.into_data().ok()) {
                            Some(data) => seen.take(&data),
                            None => return seen,
                        },
                    }
                }
            })
        })
        .collect();
    let (mut total, mut times) = (Outcome::default(), Vec::new());
    for task in tasks {
        let seen = task.await?;
        total.events += seen.events;
        total.bytes += seen.bytes;
        times.extend(seen.times);
    }
    total.seconds = start.elapsed().as_secs_f64();
    (total.p50_us, total.p99_us) = percentiles(&mut times);
    Ok(total)
}

#[derive(Default)]
struct Seen {
    events: u64,
    bytes: u64,
    times: Vec<u32>,
}

impl Seen {
    fn take(&mut self, data: &Bytes) {
        self.bytes += data.len() as u64;
        let (mut rest, now) = (&data[..], now());
        // Events that a frame's border cuts are counted by their end alone.
        self.events += rest.iter().filter(|b| **b == b'\n').count() as u64;
        while let Some(at) = find(rest, b"sent-") {
            let digits: String =
                rest[at + 5..].iter().take_while(|b| b.is_ascii_digit()).map(|b| char::from(*b)).collect();
            if digits.len() == 19
                && let Ok(sent) = digits.parse::<u128>()
            {
                self.times.push((now.saturating_sub(sent) / 1000) as u32);
            }
            rest = &rest[at + 5..];
        }
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    let first = what[0];
    let mut from = 0;
    while let Some(at) = text[from..].iter().position(|b| *b == first) {
        if text[from + at..].starts_with(what) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}
