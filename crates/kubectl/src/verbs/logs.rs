//! `logs`: of one container, or of many at once.

use std::io::Write;

use serde_json::Value;
use tokio::sync::mpsc;

use crate::discovery::query;
use crate::error::{Error, Result};
use crate::pods;
use crate::session::{Request, Session};
use crate::stream::Chunks;
use crate::targets::{Query, Target};

/// One container's log: where it is, and what stands before its lines.
struct Source {
    path: String,
    prefix: String,
    name: String,
}

pub fn run(session: &Session) -> Result<()> {
    let call = &session.call;
    let selector = call.text("selector");
    let expected = "expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required argument for the logs command";
    let word = match (&call.args[..], selector) {
        ([], "") => return Err(Error::usage("logs", expected)),
        ([], _) => String::new(),
        ([_, ..], selector) if !selector.is_empty() => {
            return Err(Error::usage("logs", "only a selector (-l) or a POD name is allowed"));
        }
        ([word], _) => word.clone(),
        ([word, container], _) if !word.contains('/') || call.text("container").is_empty() => {
            let _ = container;
            word.clone()
        }
        _ => return Err(Error::usage("logs", expected)),
    };
    let container = match &call.args[..] {
        [_, container] => {
            if call.is("all-containers") {
                return Err(Error::text("--all-containers=true should not be specified with container name"));
            }
            if !call.text("container").is_empty() {
                return Err(Error::usage("logs", "only one of -c or an inline [CONTAINER] arg is allowed"));
            }
            container.clone()
        }
        _ => call.text("container").to_owned(),
    };
    check(session, &container)?;
    let found = if word.is_empty() { selected(session, selector)? } else { named(session, &word)? };
    let mut sources = Vec::new();
    for pod in &found {
        sources.extend(of_pod(session, pod, &container, found.len() > 1)?);
    }
    if call.is("follow") && sources.len() > 1 {
        let most = usize::try_from(call.int("max-log-requests")).unwrap_or(0);
        if sources.len() > most {
            return Err(Error::text(format!(
                "you are attempting to follow {} log streams, but maximum allowed concurrency is {most}, use --max-log-requests to increase the limit",
                sources.len()
            )));
        }
        return together(session, sources);
    }
    for source in sources {
        let outcome = one(session, &source);
        match outcome {
            Err(e) if call.is("ignore-errors") => eprintln!("error: {e}"),
            outcome => outcome?,
        }
    }
    Ok(())
}

fn check(session: &Session, container: &str) -> Result<()> {
    let call = &session.call;
    if call.is("all-containers") && !container.is_empty() {
        return Err(Error::text("--all-containers=true should not be specified with container name"));
    }
    if call.changed("since") && !call.text("since-time").is_empty() {
        return Err(Error::text("at most one of `sinceTime` or `sinceSeconds` may be specified"));
    }
    if call.changed("limit-bytes") && call.int("limit-bytes") <= 0 {
        return Err(Error::text("--limit-bytes must be greater than 0"));
    }
    if call.changed("tail") && call.int("tail") < -1 {
        return Err(Error::text("--tail must be greater than or equal to -1"));
    }
    let time = call.text("since-time");
    if !time.is_empty() && time.parse::<jiff::Timestamp>().is_err() {
        let quoted = crate::text::quote(time);
        return Err(Error::text(format!(
            "parsing time {quoted} as \"2006-01-02T15:04:05Z07:00\": cannot parse {quoted} as \"2006\""
        )));
    }
    Ok(())
}

fn selected(session: &Session, selector: &str) -> Result<Vec<Target>> {
    let query =
        Query { args: vec!["pods".into()], selector: selector.to_owned(), chunk: 500, ..Query::default() };
    let mut found = query.all(session)?;
    if found.is_empty() {
        eprintln!("No resources found in {} namespace.", session.namespace()?.0);
    }
    found.sort_by_key(|t| t.object["metadata"]["creationTimestamp"].as_str().unwrap_or_default().to_owned());
    Ok(found)
}

fn named(session: &Session, word: &str) -> Result<Vec<Target>> {
    let args = match word.contains('/') {
        true => vec![word.to_owned()],
        false => vec!["pods".to_owned(), word.to_owned()],
    };
    let found = Query { args, latest: true, ..Query::default() }.all(session).map_err(|e| match &e {
        Error::Status(status) if e.is_not_found() && !word.contains('/') => {
            let namespace = session.namespace().map(|n| n.0).unwrap_or_default();
            Error::text(format!(
                "error from server (NotFound): {} in namespace \"{namespace}\"",
                status.message
            ))
        }
        _ => e,
    })?;
    let Some(target) = found.into_iter().next() else { return Ok(Vec::new()) };
    if target.resource.is("", "Pod") {
        return Ok(vec![target]);
    }
    let pods = pods::all_of(session, &target)?;
    if session.call.is("all-pods") {
        return Ok(pods);
    }
    let count = pods.len();
    let Some(first) = pods.into_iter().next() else {
        return Err(Error::text("timed out waiting for the condition"));
    };
    if count > 1 {
        eprintln!("Found {count} pods, using pod/{}", first.name);
    }
    Ok(vec![first])
}

fn of_pod(session: &Session, pod: &Target, container: &str, _several: bool) -> Result<Vec<Source>> {
    let call = &session.call;
    let names: Vec<String> = if call.is("all-containers") {
        let lists = ["initContainers", "containers", "ephemeralContainers"];
        let all = lists.iter().flat_map(|l| pod.object["spec"][*l].as_array().into_iter().flatten());
        all.filter_map(|c| c["name"].as_str()).map(str::to_owned).collect()
    } else {
        let named = pods::container(&pod.object, container, false)?;
        vec![named]
    };
    let prefix = call.is("prefix") || call.is("all-pods");
    Ok(names
        .into_iter()
        .map(|name| Source {
            path: path(session, pod, &name),
            prefix: if prefix { format!("[pod/{}/{name}] ", pod.name) } else { String::new() },
            name: format!("pod/{}/{name}", pod.name),
        })
        .collect())
}

fn path(session: &Session, pod: &Target, container: &str) -> String {
    let call = &session.call;
    let flag = |name: &str| if call.is(name) { "true" } else { "" };
    let seconds = call.duration("since").as_millis().div_ceil(1000);
    let since = if seconds > 0 { seconds.to_string() } else { String::new() };
    // A selector's logs are many: the last ten lines of each, unless one says otherwise.
    let tail = match (call.changed("tail"), call.text("selector")) {
        (false, "") => -1,
        (false, _) => 10,
        (true, _) => call.int("tail"),
    };
    let tail = if tail >= 0 { tail.to_string() } else { String::new() };
    let limit = if call.int("limit-bytes") > 0 { call.text("limit-bytes") } else { "" };
    format!("{}/log", pod.path())
        + &query(&[
            ("container", container),
            ("follow", flag("follow")),
            ("insecureSkipTLSVerifyBackend", flag("insecure-skip-tls-verify-backend")),
            ("limitBytes", limit),
            ("previous", flag("previous")),
            ("sinceSeconds", &since),
            ("sinceTime", call.text("since-time")),
            ("tailLines", &tail),
            ("timestamps", flag("timestamps")),
        ])
}

fn one(session: &Session, source: &Source) -> Result<()> {
    session.block_on(async {
        let mut chunks =
            Chunks::connect(session, &Request { accept: "*/*", ..Request::get(&*source.path) }).await?;
        let mut fresh = true;
        while let Some(data) = chunks.read().await? {
            let mut out = session.stdout();
            write_prefixed(&mut out, &source.prefix, &data, &mut fresh)?;
            out.flush()?;
        }
        Ok(())
    })?
}

fn write_prefixed(out: &mut impl Write, prefix: &str, data: &[u8], fresh: &mut bool) -> Result<()> {
    if prefix.is_empty() {
        return Ok(out.write_all(data)?);
    }
    for line in data.split_inclusive(|b| *b == b'\n') {
        if std::mem::replace(fresh, line.ends_with(b"\n")) {
            out.write_all(prefix.as_bytes())?;
        }
        out.write_all(line)?;
    }
    Ok(())
}

/// Whole lines of several logs as they come.
fn together(session: &Session, sources: Vec<Source>) -> Result<()> {
    let (sender, mut lines) = mpsc::channel::<Vec<u8>>(64);
    let ignore = session.call.is("ignore-errors");
    let reading = sources.into_iter().map(|source| {
        let sender = sender.clone();
        async move {
            let outcome = follow(session, &source, sender).await;
            match outcome {
                Err(e) if ignore => {
                    eprintln!("error: {e}");
                    Ok(())
                }
                outcome => outcome.map_err(|e| e.during("reading", "")),
            }
        }
    });
    let reading = futures::future::try_join_all(reading);
    drop(sender);
    let writing = async {
        while let Some(line) = lines.recv().await {
            let mut out = session.stdout();
            out.write_all(&line)?;
            out.flush()?;
        }
        Ok::<(), Error>(())
    };
    session.block_on(async { tokio::try_join!(async { reading.await.map(|_| ()) }, writing) })??;
    Ok(())
}

async fn follow(session: &Session, source: &Source, sender: mpsc::Sender<Vec<u8>>) -> Result<()> {
    let _ = &source.name;
    let mut chunks =
        Chunks::connect(session, &Request { accept: "*/*", ..Request::get(&*source.path) }).await?;
    let mut rest: Vec<u8> = Vec::new();
    while let Some(data) = chunks.read().await? {
        rest.extend_from_slice(&data);
        let Some(end) = rest.iter().rposition(|b| *b == b'\n') else { continue };
        let whole: Vec<u8> = rest.drain(..=end).collect();
        let (mut out, mut fresh) = (Vec::new(), true);
        write_prefixed(&mut out, &source.prefix, &whole, &mut fresh)?;
        if sender.send(out).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Whether a pod has ended.
pub fn finished(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}
