//! `/healthz`, `/livez`, `/readyz`: all checks, or one by its name.

use std::sync::Arc;

use http::Response;

use super::body::{self, Body};
use crate::pipeline::params::Params;

/// One thing that must be well.
#[derive(Clone)]
pub struct Check {
    pub name: &'static str,
    /// Readiness only; liveness does not ask it.
    pub ready_only: bool,
    /// `Err` says what is wrong. Must answer at once.
    pub probe: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
}

impl Check {
    pub fn new(
        name: &'static str,
        ready_only: bool,
        probe: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Check { name, ready_only, probe: Arc::new(probe) }
    }
}

/// Answers `/readyz`, `/readyz?verbose`, `/readyz?exclude=name`, `/readyz/name` and the like.
pub fn answer(checks: &[Check], path: &str, params: &Params) -> Response<Body> {
    let mut parts = path.trim_matches('/').split('/');
    let endpoint = parts.next().unwrap_or_default();
    let asked = parts.next();
    let excluded: Vec<&str> = params.raw.iter().filter(|(k, _)| k == "exclude").map(|(_, v)| &**v).collect();
    let live = endpoint == "livez";
    let relevant = checks.iter().filter(|c| !(live && c.ready_only));
    match asked {
        Some(name) => match relevant.clone().find(|c| c.name == name) {
            None => super::endpoints::not_found(),
            Some(check) => match (check.probe)() {
                Ok(()) => body::text(200, "ok"),
                Err(why) => body::text(500, format!("internal server error: {why}\n")),
            },
        },
        None => all(endpoint, relevant, &excluded, params.get("verbose").is_some()),
    }
}

fn all<'a>(
    endpoint: &str,
    checks: impl Iterator<Item = &'a Check>,
    excluded: &[&str],
    verbose: bool,
) -> Response<Body> {
    let mut report = String::new();
    let mut failed = false;
    let mut unknown = excluded.to_vec();
    for check in checks {
        unknown.retain(|name| *name != check.name);
        let line = match (excluded.contains(&check.name), (check.probe)()) {
            (true, _) => format!("[+]{} excluded: ok\n", check.name),
            (false, Ok(())) => format!("[+]{} ok\n", check.name),
            (false, Err(why)) => {
                failed = true;
                tracing::warn!(check = check.name, %why, "health check fails");
                format!("[-]{} failed: reason withheld\n", check.name)
            }
        };
        report.push_str(&line);
    }
    if !unknown.is_empty() {
        let names: Vec<String> = unknown.iter().map(|name| format!("{name:?}")).collect();
        let names = names.join(", ");
        report.push_str(&format!("warn: some health checks cannot be excluded: no matches for {names}\n"));
    }
    match (failed, verbose) {
        (true, _) => body::text(500, format!("{report}{endpoint} check failed\n")),
        (false, true) => body::text(200, format!("{report}{endpoint} check passed\n")),
        (false, false) => body::text(200, "ok"),
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn check(path: &str, query: &str, code: u16, text: &str) {
        let checks = [
            Check::new("ping", false, || Ok(())),
            Check::new("informer-sync", true, || Err("not yet".into())),
        ];
        let response = answer(&checks, path, &Params::parse(query).unwrap());
        let got = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!((got, std::str::from_utf8(&body).unwrap()), (code, text), "{path}?{query}");
    }

    #[tokio::test]
    async fn health() {
        check("/livez", "", 200, "ok").await;
        check("/livez", "verbose", 200, "[+]ping ok\nlivez check passed\n").await;
        let report = "[+]ping ok\n[-]informer-sync failed: reason withheld\nreadyz check failed\n";
        check("/readyz", "", 500, report).await;
        check("/readyz", "exclude=informer-sync", 200, "ok").await;
        let warned = "[+]ping ok\nwarn: some health checks cannot be excluded: no matches for \"x\"\nlivez check passed\n";
        check("/livez", "verbose&exclude=x", 200, warned).await;
        check("/readyz/ping", "", 200, "ok").await;
        check("/readyz/informer-sync", "", 500, "internal server error: not yet\n").await;
        check("/readyz/other", "", 404, "404 page not found\n").await;
    }
}
