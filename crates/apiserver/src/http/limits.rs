//! How many requests may run at once; more are told to come again, instead of all becoming slow.

use std::sync::atomic::{AtomicUsize, Ordering};

use apimachinery::Status;
use auth::UserInfo;
use http::Method;

use crate::pipeline::params::Params;
use crate::pipeline::path::Path;

/// As upstream's `--max-requests-inflight` and `--max-mutating-requests-inflight`.
const READING_MAX: usize = 400;
const MUTATING_MAX: usize = 200;
/// Seconds until it is worth another try.
const RETRY_AFTER: u32 = 1;
/// Streams that last as long as their client likes are not counted.
const LONG_RUNNING: &[&str] = &["attach", "exec", "proxy", "log", "portforward"];

/// Two counters, of requests that read and of those that write.
#[derive(Debug)]
pub struct Limits {
    reading: Counter,
    mutating: Counter,
}

#[derive(Debug)]
struct Counter {
    running: AtomicUsize,
    /// 0: no limit.
    max: AtomicUsize,
}

/// A request that is counted until this is dropped.
pub struct Running<'a>(Option<&'a Counter>);

impl Default for Limits {
    fn default() -> Self {
        let counter = |max| Counter { running: AtomicUsize::new(0), max: AtomicUsize::new(max) };
        Limits { reading: counter(READING_MAX), mutating: counter(MUTATING_MAX) }
    }
}

impl Limits {
    /// Sets the limits; 0 is none.
    pub fn set(&self, reading: usize, mutating: usize) {
        self.reading.max.store(reading, Ordering::Relaxed);
        self.mutating.max.store(mutating, Ordering::Relaxed);
    }

    /// Counts a request, or refuses it with 429. The administrators' are never refused: they have to be able to help.
    pub fn admit(
        &self,
        user: &UserInfo,
        method: &Method,
        path: &Path,
        params: &Params,
    ) -> Result<Running<'_>, Status> {
        if user.in_group("system:masters") || long_running(path, params) {
            return Ok(Running(None));
        }
        let counter = match *method {
            Method::GET | Method::HEAD | Method::OPTIONS => &self.reading,
            _ => &self.mutating,
        };
        let max = counter.max.load(Ordering::Relaxed);
        let before = counter.running.fetch_add(1, Ordering::Relaxed);
        let running = Running(Some(counter));
        match max > 0 && before >= max {
            true => Err(Status::too_many_requests("Too many requests, please try again later.", RETRY_AFTER)),
            false => Ok(running),
        }
    }
}

fn long_running(path: &Path, params: &Params) -> bool {
    match path {
        Path::Resource(path) => path.watch || params.watch || LONG_RUNNING.contains(&&*path.subresource),
        Path::Other(_) => false,
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(counter) = self.0 {
            counter.running.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many() {
        let limits = Limits::default();
        limits.set(1, 1);
        let user = UserInfo::new("jane", &[]);
        let admit = |user: &UserInfo, method: Method, path: &str, query: &str| {
            limits
                .admit(user, &method, &Path::parse(path), &Params::parse(query).unwrap())
                .map_err(|s| s.code)
        };
        let first = admit(&user, Method::GET, "/api/v1/pods", "").unwrap();
        assert_eq!(admit(&user, Method::GET, "/api", "").err(), Some(429));
        let _write = admit(&user, Method::POST, "/api/v1/pods", "").unwrap();
        assert!(admit(&user, Method::GET, "/api/v1/pods", "watch=1").is_ok());
        assert!(admit(&user, Method::GET, "/api/v1/namespaces/a/pods/p/log", "").is_ok());
        assert!(admit(&UserInfo::new("root", &["system:masters"]), Method::GET, "/api", "").is_ok());
        drop(first);
        assert!(admit(&user, Method::GET, "/api", "").is_ok());
    }
}
