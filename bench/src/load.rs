//! A closed loop: each connection sends its next request when it has read the last answer to its end.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use serde::{Deserialize, Serialize};

use crate::connection::{Connection, Target};

/// In `path` and `body`, `{id}` is the next number, `{hundred}` that number modulo 100, `{random}` one below `range`, `{random_hundred}` and (in two
/// digits) `{two}` that modulo 100, `{now}` the
/// time in nanoseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Spec {
    pub target: Target,
    pub connections: usize,
    pub seconds: f64,
    /// Ends sooner after so many requests; 0: never.
    pub most: u64,
    pub first_id: u64,
    pub range: u64,
    pub method: String,
    pub path: String,
    pub body: String,
    /// `name: value`
    pub headers: Vec<(String, String)>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    pub requests: u64,
    /// Of answers' bodies.
    pub bytes: u64,
    pub seconds: f64,
    pub p50_us: u64,
    pub p99_us: u64,
    /// Status code → how many, where it was not 2xx.
    pub refused: BTreeMap<u16, u64>,
    /// The text of the first refusal.
    pub why: String,
}

impl Outcome {
    pub fn per_second(&self) -> f64 {
        self.requests as f64 / self.seconds
    }

    pub fn bytes_per_second(&self) -> f64 {
        self.bytes as f64 / self.seconds
    }
}

pub fn run(spec: &Path) -> Result<()> {
    let spec: Spec = serde_json::from_slice(&std::fs::read(spec)?)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(drive(Arc::new(spec)))?;
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}

async fn drive(spec: Arc<Spec>) -> Result<Outcome> {
    let tls = spec.target.tls()?;
    let next = Arc::new(AtomicU64::new(spec.first_id));
    let mut connections = Vec::new();
    for _ in 0..spec.connections {
        connections.push(Connection::open(spec.target.port, tls.clone()).await?);
    }
    let start = Instant::now();
    let tasks: Vec<_> = connections
        .into_iter()
        .enumerate()
        .map(|(n, connection)| tokio::spawn(one(spec.clone(), n, connection, next.clone(), start)))
        .collect();
    let (mut total, mut times) = (Outcome::default(), Vec::new());
    for task in tasks {
        let (part, part_times) = task.await??;
        total.requests += part.requests;
        total.bytes += part.bytes;
        part.refused.into_iter().for_each(|(code, n)| *total.refused.entry(code).or_default() += n);
        if total.why.is_empty() {
            total.why = part.why;
        }
        times.extend(part_times);
    }
    total.seconds = start.elapsed().as_secs_f64();
    (total.p50_us, total.p99_us) = percentiles(&mut times);
    Ok(total)
}

/// Of microseconds: the median and the 99th of a hundred.
pub fn percentiles(times: &mut [u32]) -> (u64, u64) {
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len().saturating_sub(1) * percent / 100).copied().unwrap_or(0);
    (u64::from(at(50)), u64::from(at(99)))
}

async fn one(
    spec: Arc<Spec>,
    number: usize,
    mut connection: Connection,
    next: Arc<AtomicU64>,
    start: Instant,
) -> Result<(Outcome, Vec<u32>)> {
    let (mut outcome, mut times) = (Outcome::default(), Vec::new());
    let authorization = spec.target.authorization(number);
    let mut random = number as u64 + 1;
    while start.elapsed() < Duration::from_secs_f64(spec.seconds) {
        let id = next.fetch_add(1, Ordering::Relaxed);
        if spec.most > 0 && id - spec.first_id >= spec.most {
            break;
        }
        // Marsaglia's xorshift: which object it is does not matter, only that they differ.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let fill = |text: &str| fill(text, id, random % spec.range.max(1));
        let mut request = Request::builder().method(spec.method.as_str()).uri(fill(&spec.path));
        request = request.header("host", "localhost");
        for (name, value) in &spec.headers {
            request = request.header(name, value);
        }
        if let Some(value) = &authorization {
            request = request.header("authorization", value);
        }
        let begin = Instant::now();
        let body = Full::new(Bytes::from(fill(&spec.body)));
        let response = connection.send(request.body(body)?).await?;
        let status = response.status();
        let mut body = response.into_body();
        let mut refusal = Vec::new();
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame?.into_data() {
                outcome.bytes += data.len() as u64;
                if !status.is_success() {
                    refusal.extend_from_slice(&data);
                }
            }
        }
        times.push(begin.elapsed().as_micros() as u32);
        if status.is_success() {
            outcome.requests += 1;
        } else {
            *outcome.refused.entry(status.as_u16()).or_default() += 1;
            if outcome.why.is_empty() {
                outcome.why = String::from_utf8_lossy(&refusal).into_owned();
            }
        }
    }
    Ok((outcome, times))
}

fn fill(text: &str, id: u64, random: u64) -> String {
    if !text.contains('{') {
        return text.to_owned();
    }
    text.replace("{id}", &id.to_string())
        .replace("{hundred}", &(id % 100).to_string())
        .replace("{random}", &random.to_string())
        .replace("{random_hundred}", &(random % 100).to_string())
        .replace("{two}", &format!("{:02}", random % 100))
        .replace("{now}", &now().to_string())
}

/// Nanoseconds of a clock that all processes share.
pub fn now() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_nanos())
}
