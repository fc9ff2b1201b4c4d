//! Rules for probes and lifecycle handlers.

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::names;
use k8s_openapi::api::core::v1::{
    Container, ExecAction, GRPCAction, HTTPGetAction, LifecycleHandler, Probe, SleepAction, TCPSocketAction,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Context;
use crate::check::{each, known, non_negative, one, port, required};

/// Lifecycle and probes of an ordinary container or a sidecar.
pub(super) fn all(container: &Container, context: &Context<'_>, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    if let Some(lifecycle) = &container.lifecycle {
        let path = path.child("lifecycle");
        for (one, field) in [(&lifecycle.post_start, "postStart"), (&lifecycle.pre_stop, "preStop")] {
            if let Some(one) = one {
                errs.extend(handler(&Handler::of_lifecycle(one), context, &path.child(field)));
            }
        }
        if let Some(signal) = lifecycle.stop_signal.as_deref() {
            errs.extend(stop_signal(signal, context.os, &path.child("stopSignal")));
        }
    }
    let must_succeed_once = |p: &Probe, path: &Path| {
        let threshold = p.success_threshold.unwrap_or(0);
        one(threshold != 1, || Error::invalid(&path.child("successThreshold"), threshold, "must be 1"))
    };
    if let Some(p) = &container.liveness_probe {
        let path = path.child("livenessProbe");
        errs.extend(probe(p, context, &path));
        errs.extend(must_succeed_once(p, &path));
    }
    if let Some(p) = &container.readiness_probe {
        let path = path.child("readinessProbe");
        errs.extend(probe(p, context, &path));
        if let Some(grace) = p.termination_grace_period_seconds {
            let path = path.child("terminationGracePeriodSeconds");
            errs.push(Error::invalid(&path, grace, "must not be set for readinessProbes"));
        }
    }
    if let Some(p) = &container.startup_probe {
        let path = path.child("startupProbe");
        errs.extend(probe(p, context, &path));
        errs.extend(must_succeed_once(p, &path));
    }
    errs
}

/// Signals are an operating system's, so the pod has to say which one it is for.
fn stop_signal(signal: &str, os: Option<&str>, path: &Path) -> ErrorList {
    const WINDOWS: &[&str] = &["SIGKILL", "SIGTERM"];
    const LINUX: &[&str] = &[
        "SIGABRT",
        "SIGALRM",
        "SIGBUS",
        "SIGCHLD",
        "SIGCLD",
        "SIGCONT",
        "SIGFPE",
        "SIGHUP",
        "SIGILL",
        "SIGINT",
        "SIGIO",
        "SIGIOT",
        "SIGKILL",
        "SIGPIPE",
        "SIGPOLL",
        "SIGPROF",
        "SIGPWR",
        "SIGQUIT",
        "SIGSEGV",
        "SIGSTKFLT",
        "SIGSTOP",
        "SIGSYS",
        "SIGTERM",
        "SIGTRAP",
        "SIGTSTP",
        "SIGTTIN",
        "SIGTTOU",
        "SIGURG",
        "SIGUSR1",
        "SIGUSR2",
        "SIGVTALRM",
        "SIGWINCH",
        "SIGXCPU",
        "SIGXFSZ",
    ];
    match os {
        None => {
            one(true, || Error::forbidden(path, "may not be set for containers with empty `spec.os.name`"))
        }
        Some("windows") => known(path, signal, WINDOWS),
        Some(_) if is_real_time(signal) => ErrorList::new(),
        Some(_) => known(path, signal, LINUX),
    }
}

/// `SIGRTMIN` to `SIGRTMIN+15`, and `SIGRTMAX-14` to `SIGRTMAX`.
fn is_real_time(signal: &str) -> bool {
    let step = |base: &str, sign: char, max: u8| {
        let Some(rest) = signal.strip_prefix(base) else { return false };
        rest.is_empty()
            || rest
                .strip_prefix(sign)
                .and_then(|n| n.parse().ok())
                .is_some_and(|n: u8| (1..=max).contains(&n))
    };
    step("SIGRTMIN", '+', 15) || step("SIGRTMAX", '-', 14)
}

fn probe(probe: &Probe, context: &Context<'_>, path: &Path) -> ErrorList {
    let mut errs = handler(&Handler::of_probe(probe), context, path);
    for (field, value) in [
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("periodSeconds", probe.period_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ] {
        errs.extend(non_negative(&path.child(field), value.unwrap_or(0)));
    }
    if let Some(grace) = probe.termination_grace_period_seconds.filter(|g| *g <= 0) {
        let path = path.child("terminationGracePeriodSeconds");
        errs.push(Error::invalid(&path, grace, "must be greater than 0"));
    }
    errs
}

/// What probes and lifecycle hooks do.
#[derive(Default)]
struct Handler<'a> {
    exec: Option<&'a ExecAction>,
    http_get: Option<&'a HTTPGetAction>,
    tcp_socket: Option<&'a TCPSocketAction>,
    grpc: Option<&'a GRPCAction>,
    sleep: Option<&'a SleepAction>,
}

impl<'a> Handler<'a> {
    fn of_probe(probe: &'a Probe) -> Self {
        Handler {
            exec: probe.exec.as_ref(),
            http_get: probe.http_get.as_ref(),
            tcp_socket: probe.tcp_socket.as_ref(),
            grpc: probe.grpc.as_ref(),
            sleep: None,
        }
    }

    fn of_lifecycle(handler: &'a LifecycleHandler) -> Self {
        Handler {
            exec: handler.exec.as_ref(),
            http_get: handler.http_get.as_ref(),
            tcp_socket: handler.tcp_socket.as_ref(),
            grpc: None,
            sleep: handler.sleep.as_ref(),
        }
    }
}

/// Exactly one action. Only the first is looked at.
fn handler(handler: &Handler<'_>, context: &Context<'_>, path: &Path) -> ErrorList {
    let actions: [(&str, Option<ErrorList>); 5] = [
        ("exec", handler.exec.map(|a| exec(a, &path.child("exec")))),
        ("httpGet", handler.http_get.map(|a| http_get(a, &path.child("httpGet")))),
        ("tcpSocket", handler.tcp_socket.map(|a| port(&path.child("tcpSocket").child("port"), &a.port))),
        ("grpc", handler.grpc.map(|a| port(&path.child("grpc").child("port"), &IntOrString::Int(a.port)))),
        ("sleep", handler.sleep.map(|a| sleep(a, context, &path.child("sleep")))),
    ];
    let mut set = actions.into_iter().filter_map(|(field, errs)| Some((field, errs?)));
    let Some((_, mut errs)) = set.next() else {
        return one(true, || Error::required(path, "must specify a handler type"));
    };
    for (field, _) in set {
        errs.push(Error::forbidden(&path.child(field), "may not specify more than 1 handler type"));
    }
    errs
}

fn exec(action: &ExecAction, path: &Path) -> ErrorList {
    let empty = action.command.as_ref().is_none_or(|c| c.is_empty());
    one(empty, || Error::required(&path.child("command"), ""))
}

fn http_get(action: &HTTPGetAction, path: &Path) -> ErrorList {
    let mut errs = required(&path.child("path"), action.path.as_deref().unwrap_or_default());
    errs.extend(port(&path.child("port"), &action.port));
    errs.extend(known(
        &path.child("scheme"),
        action.scheme.as_deref().unwrap_or_default(),
        &["HTTP", "HTTPS"],
    ));
    for header in action.http_headers.iter().flatten() {
        errs.extend(each(&path.child("httpHeaders"), &header.name, names::http_header_name(&header.name)));
    }
    errs
}

fn sleep(action: &SleepAction, context: &Context<'_>, path: &Path) -> ErrorList {
    // Without a grace period the real fault is named elsewhere.
    let Some(grace) = context.grace else { return ErrorList::new() };
    one(action.seconds < 0 || action.seconds > grace, || {
        let detail = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
        Error::invalid(path, action.seconds, detail)
    })
}
