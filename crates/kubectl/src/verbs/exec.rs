//! `exec` and `attach`: a container's streams.

use std::time::Duration;

use serde_json::Value;
use stdx::{Clock, SystemClock};

use crate::discovery::{escape, query};
use crate::error::{Error, Result};
use crate::pods;
use crate::remote::{self, ERROR, Ends, Raw, STDERR, STDOUT};
use crate::session::{Request, Session};
use crate::targets::{Query, Target};

pub fn exec(session: &Session) -> Result<()> {
    let call = &session.call;
    let (named, command) = call.split_at_dash();
    let files = call.list("filename");
    if named.is_empty() && files.is_empty() {
        return Err(Error::text("pod, type/name or --filename must be specified"));
    }
    if !files.is_empty() && call.dash.is_none() && call.args.is_empty()
        || command.is_empty() && named.len() <= 1
    {
        return Err(Error::text("you must specify at least one command for the container"));
    }
    if command.is_empty() || named.len() > 1 {
        return Err(Error::usage(
            "exec",
            "exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead",
        ));
    }
    let pod = match named.first() {
        Some(word) => pods::of(session, word)?,
        None => from_files(session, files)?,
    };
    let phase = pod.object["status"]["phase"].as_str().unwrap_or_default();
    if matches!(phase, "Succeeded" | "Failed") {
        return Err(Error::text(format!(
            "cannot exec into a container in a completed pod; current phase is {phase}"
        )));
    }
    let container = pods::container(&pod.object, call.text("container"), call.is("quiet"))?;
    let streams = Streams { stdin: call.is("stdin"), tty: call.is("tty"), quiet: call.is("quiet") };
    run(session, &pod, "exec", &container, command, &streams)
}

fn from_files(session: &Session, files: Vec<String>) -> Result<Target> {
    let found = Query { files, latest: true, ..Query::default() }.all(session)?;
    let Some(first) = found.first() else { return Err(Error::text("no objects in the files")) };
    pods::of_target(session, first)
}

pub fn attach(session: &Session) -> Result<()> {
    let call = &session.call;
    let word = match &call.args[..] {
        [] => return Err(Error::text("at least 1 argument is required for attach")),
        [word] => word.clone(),
        [kind, name] => format!("{kind}/{name}"),
        more => {
            return Err(Error::text(format!(
                "expected POD, TYPE/NAME, or TYPE NAME, (at most 2 arguments) saw {}: [{}]",
                more.len(),
                more.join(" ")
            )));
        }
    };
    let pod = pods::of(session, &word)?;
    let phase = pod.object["status"]["phase"].as_str().unwrap_or_default();
    if matches!(phase, "Succeeded" | "Failed") {
        return Err(Error::text(format!(
            "cannot attach a container in a completed pod; current phase is {phase}"
        )));
    }
    let container = pods::container(&pod.object, call.text("container"), call.is("quiet"))
        .map_err(|e| Error::text(format!("cannot attach to the container: {e}")))?;
    attach_to(session, &pod, &container)
}

fn attach_to(session: &Session, pod: &Target, container: &str) -> Result<()> {
    let call = &session.call;
    let mut tty = call.is("tty");
    let containers = ["containers", "initContainers", "ephemeralContainers"];
    let spec = containers
        .iter()
        .flat_map(|list| pod.object["spec"][*list].as_array().into_iter().flatten())
        .find(|c| c["name"] == container);
    if tty && spec.is_some_and(|c| c["tty"] != true) {
        tty = false;
        eprintln!("error: Unable to use a TTY - container {container} did not allocate one");
    }
    let streams = Streams { stdin: call.is("stdin"), tty, quiet: call.is("quiet") };
    if !streams.quiet {
        eprintln!(
            "All commands and output from this session will be recorded in container logs, including credentials and sensitive information passed through the command prompt."
        );
        eprintln!("If you don't see a command prompt, try pressing enter.");
    }
    run(session, pod, "attach", container, &[], &streams)
}

/// Which streams there are.
pub struct Streams {
    pub stdin: bool,
    pub tty: bool,
    pub quiet: bool,
}

/// The path that asks for a container's streams.
pub fn path(pod: &Target, sub: &str, container: &str, command: &[String], streams: &Streams) -> String {
    let mut path = format!("{}/{sub}", pod.path());
    let flag = |on: bool| if on { "true" } else { "" };
    path += &query(&[
        ("container", container),
        ("stdin", flag(streams.stdin)),
        ("stdout", "true"),
        ("stderr", flag(!streams.tty)),
        ("tty", flag(streams.tty)),
    ]);
    command.iter().for_each(|word| path.push_str(&format!("&command={}", escape(word))));
    path
}

/// Carries the streams between the container and our own.
pub fn run(
    session: &Session,
    pod: &Target,
    sub: &str,
    container: &str,
    command: &[String],
    streams: &Streams,
) -> Result<()> {
    let terminal = nix::unistd::isatty(std::io::stdin()).unwrap_or(false);
    let mut tty = streams.tty;
    if tty && !streams.stdin {
        tty = true;
    }
    if tty && streams.stdin && !terminal {
        eprintln!("Unable to use a TTY - input is not a terminal or the right kind of file");
        tty = false;
    }
    let streams = Streams { tty, stdin: streams.stdin, quiet: streams.quiet };
    let path = path(pod, sub, container, command, &streams);
    let raw = if tty && streams.stdin { Raw::enter() } else { None };
    let done = session.block_on(async {
        let channels = remote::open(session, &path, "v5.channel.k8s.io", &[STDOUT, STDERR, ERROR]).await?;
        let sizes = if tty { remote::sizes(session) } else { None };
        let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
        let stdin = streams.stdin.then(remote::stdin);
        remote::carry(channels, Ends { stdin, stdout: &mut out, stderr: &mut err, sizes }).await
    })?;
    drop(raw);
    done
}

/// What `run -i` does after it made its pod.
pub fn run_attached(session: &Session, made: &Target, all: &[Target]) -> Result<()> {
    let call = &session.call;
    let pod = wait_running(session, made)?;
    let phase = pod["status"]["phase"].as_str().unwrap_or_default().to_owned();
    let target = Target { object: pod, ..made.clone() };
    let container = pods::container(&target.object, "", true)?;
    let attached = match phase.as_str() {
        "Succeeded" | "Failed" => logs(session, &target, &container),
        _ => match attach_to(session, &target, &container) {
            // A short life may be over before anybody has attached.
            Err(e) if !matches!(e, Error::Exit(..)) => {
                eprintln!(
                    "warning: couldn't attach to pod/{}, falling back to streaming logs: {e}",
                    target.name
                );
                logs(session, &target, &container)
            }
            attached => attached,
        },
    };
    let mut outcome = attached;
    if outcome.is_ok() && call.text("restart") != "Always" && !call.is("leave-stdin-open") {
        outcome = ended(session, &target);
    }
    if call.is("rm") {
        let mut options = crate::verbs::delete::Options::of(session)?;
        options.quiet = call.is("quiet");
        let failed = crate::verbs::delete::all(session, all, &options)?;
        crate::verbs::create::outcome(failed)?;
    }
    outcome
}

fn logs(session: &Session, pod: &Target, container: &str) -> Result<()> {
    let path = format!("{}/log{}", pod.path(), query(&[("container", container)]));
    let reply = session.send(&Request { accept: "*/*", ..Request::get(path) })?;
    session.print(&String::from_utf8_lossy(&reply.body))
}

fn wait_running(session: &Session, made: &Target) -> Result<Value> {
    let deadline =
        SystemClock.monotonic() + session.call.duration("pod-running-timeout").max(Duration::from_secs(1));
    wait_phase(session, made, Some(deadline), &["Running", "Succeeded", "Failed"])
}

/// Waits until the pod is in one of the phases.
fn wait_phase(
    session: &Session,
    made: &Target,
    deadline: Option<Duration>,
    phases: &[&str],
) -> Result<Value> {
    let reached = |pod: &Value| pod["status"]["phase"].as_str().is_some_and(|p| phases.contains(&p));
    loop {
        let pod = session.get(&made.path())?;
        if reached(&pod) {
            return Ok(pod);
        }
        let version = pod["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        let name = format!("metadata.name={}", made.name);
        let path = made.resource.path(&made.namespace, "")
            + &query(&[("fieldSelector", &name), ("resourceVersion", version), ("watch", "true")]);
        let found = session.block_on(async {
            let mut events = crate::stream::Events::connect(session, &Request::get(path)).await?;
            loop {
                tokio::select! {
                    event = events.read() => match event? {
                        Some((kind, pod)) if kind == "MODIFIED" && reached(&pod) => return Ok(Some(pod)),
                        Some((kind, _)) if kind == "DELETED" => return Err(Error::text("pod was deleted before it ran")),
                        Some(_) => {}
                        None => return Ok(None),
                    },
                    () = crate::verbs::delete::until(deadline) => {
                        return Err(Error::text("timed out waiting for the condition"));
                    }
                }
            }
        })??;
        if let Some(pod) = found {
            return Ok(pod);
        }
    }
}

/// The exit code of the pod's container is ours.
fn ended(session: &Session, pod: &Target) -> Result<()> {
    let done = wait_phase(session, pod, None, &["Succeeded", "Failed"])?;
    if done["status"]["phase"] == "Succeeded" {
        return Ok(());
    }
    let code =
        done["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"].as_i64().unwrap_or(1);
    let name = pod.name.clone();
    let namespace = pod.namespace.clone();
    match i32::try_from(code) {
        Ok(0) => Err(Error::text(format!("pod {namespace}/{name} failed with unknown exit code"))),
        code => Err(Error::Exit(code.unwrap_or(1), format!("pod {namespace}/{name} terminated (Error)"))),
    }
}
