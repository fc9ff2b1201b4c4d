use cri::{Container as CriContainer, PodSandbox, PodSandboxStatus};
use expect_test::{Expect, expect};
use serde_json::json;

use super::*;
use crate::observed::{Failure, ProbeState, Unhealthy};
use crate::testing::pod_json;

const NOW: i64 = 1_000_000;

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

/// Words: `never`, `onfailure`; `init:NAME`, `sidecar:NAME`, `main:NAME`; `deleting:GRACE`, `deadline:SECONDS` (since the start
/// a minute ago), `phase:PHASE`.
fn pod(words: &str) -> Pod {
    let mut pod = json!({
        "metadata": {"name": "p", "namespace": "ns", "uid": "u"},
        "spec": {"containers": [], "initContainers": [], "restartPolicy": "Always"},
        "status": {"startTime": Timestamp::from_second(NOW - 60).unwrap().to_string()},
    });
    for word in words.split_whitespace() {
        let (key, value) = word.split_once(':').unwrap_or((word, ""));
        let push = |pod: &mut serde_json::Value, list: &str, container| {
            pod["spec"][list].as_array_mut().unwrap().push(container);
        };
        match key {
            "never" => pod["spec"]["restartPolicy"] = json!("Never"),
            "onfailure" => pod["spec"]["restartPolicy"] = json!("OnFailure"),
            "init" => push(&mut pod, "initContainers", json!({"name": value})),
            "sidecar" => push(&mut pod, "initContainers", json!({"name": value, "restartPolicy": "Always"})),
            "main" => push(&mut pod, "containers", json!({"name": value})),
            "deadline" => pod["spec"]["activeDeadlineSeconds"] = json!(value.parse::<i64>().unwrap()),
            "phase" => pod["status"]["phase"] = json!(value),
            "deleting" => {
                let grace: i64 = value.parse().unwrap();
                let at = Timestamp::from_second(NOW + grace).unwrap();
                pod["metadata"]["deletionTimestamp"] = json!(at.to_string());
                pod["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
            }
            other => panic!("{other}"),
        }
    }
    pod_json(pod)
}

/// Words: `prepared`, `sandbox`, `lost` (a sandbox that is not ready), `gone`, `starting:NAME`, `torndown`;
/// `NAME=running`, `NAME=exited:CODE[@SECONDS-AGO[/BACK-OFF]]`, `NAME=created`, `NAME=liveness`, `NAME=changed`,
/// `NAME=unstarted`, `NAME=old:CODE` (exited in an earlier sandbox); `killing:NAME`, `failed:NAME`.
fn observed(pod: &Pod, words: &str) -> Observed {
    let mut observed = Observed::default();
    for word in words.split_whitespace() {
        match word.split_once('=') {
            Some((name, state)) => add_container(pod, &mut observed, name, state),
            None => add_fact(&mut observed, word),
        }
    }
    observed
}

fn add_fact(observed: &mut Observed, word: &str) {
    let (key, value) = word.split_once(':').unwrap_or((word, ""));
    let sandbox = |id: &str, state| PodSandboxStatus {
        sandbox: PodSandbox { id: id.into(), state, ..PodSandbox::default() },
        ips: vec!["10.0.0.1".parse().unwrap()],
        ..PodSandboxStatus::default()
    };
    match key {
        "prepared" => observed.work.prepared = true,
        "sandbox" => observed.sandboxes.insert(0, sandbox("s", SandboxState::Ready)),
        "lost" => observed.sandboxes.insert(0, sandbox("lost", SandboxState::NotReady)),
        "gone" => observed.gone = true,
        "torndown" => observed.work.torn_down = true,
        "reported" => observed.work.reported = true,
        "starting" => observed.work.starting = Some(value.into()),
        "killing" => drop(observed.work.killing.insert(value.into(), 30)),
        "failed" => {
            let failure =
                Failure { reason: "ErrImagePull".into(), message: String::new(), retry_at: after(now(), 5) };
            observed.failures.insert(value.into(), failure);
        }
        other => panic!("{other}"),
    }
}

fn add_container(pod: &Pod, observed: &mut Observed, name: &str, state: &str) {
    let (state, detail) = state.split_once(':').unwrap_or((state, ""));
    let seconds = |ago: i64| (NOW - ago) * 1_000_000_000;
    let mut status = ContainerStatus {
        container: CriContainer {
            id: name.into(),
            sandbox: if state == "old" { "lost".into() } else { "s".into() },
            state: ContainerState::Running,
            ..CriContainer::default()
        },
        ..ContainerStatus::default()
    };
    status.container.metadata.name = name.into();
    let hash = spec::find(pod, name).map(|s| hash(&s.container)).unwrap_or_default();
    status.container.annotations.insert(label::HASH.into(), hash);
    let mut probe = ProbeState { started: true, ready: true, unhealthy: None };
    match state {
        "running" => {}
        "unstarted" => probe.started = false,
        "created" => status.container.state = ContainerState::Created,
        "changed" => drop(status.container.annotations.insert(label::HASH.into(), "other".into())),
        "liveness" => probe.unhealthy = Some(Unhealthy { probe: "liveness", grace: Some(3) }),
        "exited" | "old" => {
            let (code, times) = detail.split_once('@').unwrap_or((detail, "0"));
            let (ago, back_off) = times.split_once('/').unwrap_or((times, "0"));
            let ago: i64 = ago.parse().unwrap();
            status.container.state = ContainerState::Exited;
            status.exit_code = code.parse().unwrap();
            status.finished_at = seconds(ago);
            status.started_at = seconds(ago + 1);
            status.container.annotations.insert(label::BACK_OFF.into(), back_off.into());
        }
        other => panic!("{other}"),
    }
    if status.container.state == ContainerState::Running {
        observed.probes.insert(name.into(), probe);
    }
    observed.containers.push(status);
}

fn check(pod_words: &str, observed_words: &str, expected: Expect) {
    let pod = pod(pod_words);
    let actions = pod_actions(&pod, &observed(&pod, observed_words), now());
    let mut lines: Vec<String> = actions
        .list
        .iter()
        .map(|action| match action {
            Action::Resize { names } => format!("resize {}", names.join(" ")),
            Action::Prepare => "prepare".into(),
            Action::CreateSandbox { attempt } => format!("create sandbox #{attempt}"),
            Action::StopSandbox { id } => format!("stop sandbox {id}"),
            Action::Start(s) => {
                format!("start {} restarts={} back-off={}", s.name, s.restart_count, s.back_off)
            }
            Action::Kill(k) => format!("kill {} grace={}: {}", k.name, k.grace, k.message),
            Action::Remove { id } => format!("remove {id}"),
            Action::TearDown => "tear down".into(),
            Action::Finish => "finish".into(),
            Action::Purge => "purge".into(),
        })
        .collect();
    lines
        .extend(actions.waiting.iter().map(|(name, w)| format!("{name} waits: {}: {}", w.reason, w.message)));
    lines.extend(actions.verdict.iter().map(|v| format!("fails: {}", v.reason)));
    lines.extend(actions.wake_at.map(|at| format!("wake in {}s", at.duration_since(now()).as_secs())));
    expected.assert_eq(&lines.join("\n"));
}

#[test]
fn a_pod_begins() {
    check("main:c", "", expect!["prepare"]);
    check("main:c", "prepared", expect!["create sandbox #0"]);
    check("main:c main:d", "prepared sandbox", expect!["start c restarts=0 back-off=0"]);
    check("main:c main:d", "prepared sandbox starting:c", expect![""]);
    check("main:c main:d", "prepared sandbox c=running", expect!["start d restarts=0 back-off=0"]);
    check(
        "main:c main:d",
        "prepared sandbox failed:c",
        expect![[r#"
        start d restarts=0 back-off=0
        wake in 5s"#]],
    );
    check("main:c", "prepared sandbox c=created", expect!["remove c"]);
}

#[test]
fn init_containers_run_one_after_the_other() {
    let p = "init:i sidecar:s init:j main:c";
    check(p, "prepared sandbox", expect!["start i restarts=0 back-off=0"]);
    check(p, "prepared sandbox i=running", expect![""]);
    check(p, "prepared sandbox i=exited:0", expect!["start s restarts=0 back-off=0"]);
    check(p, "prepared sandbox i=exited:0 s=unstarted", expect![""]);
    check(p, "prepared sandbox i=exited:0 s=running", expect!["start j restarts=0 back-off=0"]);
    check(p, "prepared sandbox i=exited:0 s=running j=exited:0", expect!["start c restarts=0 back-off=0"]);
    check(p, "prepared sandbox i=exited:1", expect!["start i restarts=1 back-off=10"]);
    check("never init:i main:c", "prepared sandbox i=exited:1", expect!["tear down"]);
    // Once main containers were made, only sidecars come back.
    check(p, "prepared sandbox s=exited:0 c=running", expect!["start s restarts=1 back-off=10"]);
}

#[test]
fn policies_decide_on_restarts() {
    check("main:c", "prepared sandbox c=exited:0", expect!["start c restarts=1 back-off=10"]);
    check("onfailure main:c main:d", "prepared sandbox c=exited:0 d=running", expect![""]);
    check(
        "onfailure main:c main:d",
        "prepared sandbox c=exited:1 d=running",
        expect!["start c restarts=1 back-off=10"],
    );
    check("never main:c main:d", "prepared sandbox c=exited:1 d=running", expect![""]);
    check("never main:c main:d", "prepared sandbox c=exited:1 d=exited:0", expect!["tear down"]);
    // Sidecars end with the others.
    check(
        "never sidecar:s main:c",
        "prepared sandbox s=running c=exited:0",
        expect!["kill s grace=30: Stopping container s"],
    );
}

#[test]
fn back_off_doubles_and_is_forgotten() {
    check(
        "main:c",
        "prepared sandbox c=exited:1@3/10",
        expect![[r#"
        c waits: CrashLoopBackOff: back-off 10s restarting failed container=c pod=p_ns(u)
        wake in 7s"#]],
    );
    check("main:c", "prepared sandbox c=exited:1@10/10", expect!["start c restarts=1 back-off=20"]);
    check(
        "main:c",
        "prepared sandbox c=exited:1@10/160",
        expect![[r#"
        c waits: CrashLoopBackOff: back-off 2m40s restarting failed container=c pod=p_ns(u)
        wake in 150s"#]],
    );
    check("main:c", "prepared sandbox c=exited:1@300/300", expect!["start c restarts=1 back-off=300"]);
    let long = {
        let p = pod("main:c");
        let mut o = observed(&p, "prepared sandbox c=exited:1@1/300");
        o.containers[0].started_at = (NOW - 700) * 1_000_000_000;
        pod_actions(&p, &o, now()).list
    };
    assert_eq!(long, [Action::Start(Start { name: "c".into(), restart_count: 1, back_off: 10 })]);
}

#[test]
fn what_is_unhealthy_or_changed_is_killed() {
    check(
        "main:c",
        "prepared sandbox c=liveness",
        expect!["kill c grace=3: Container c failed liveness probe, will be restarted"],
    );
    check(
        "never main:c",
        "prepared sandbox c=liveness",
        expect!["kill c grace=3: Container c failed liveness probe"],
    );
    check("main:c", "prepared sandbox c=liveness killing:c", expect![""]);
    check(
        "main:c",
        "prepared sandbox c=changed",
        expect!["kill c grace=30: Container c definition changed, will be restarted"],
    );
}

#[test]
fn a_lost_sandbox_is_replaced() {
    check("main:c", "prepared lost c=old:137", expect!["create sandbox #1"]);
    check("main:c", "prepared lost c=old:137 sandbox", expect!["start c restarts=1 back-off=10"]);
    check(
        "onfailure main:c main:d",
        "prepared lost c=old:0 d=old:137 sandbox",
        expect!["start d restarts=1 back-off=10"],
    );
    check(
        "init:i main:c",
        "prepared lost i=old:0 c=old:137 sandbox",
        expect!["start i restarts=1 back-off=10"],
    );
    check("never main:c", "prepared lost c=old:137", expect!["tear down"]);
}

#[test]
fn deletion_kills_in_order_and_cleans_up() {
    let p = "sidecar:s sidecar:t main:c main:d deleting:20";
    check(
        p,
        "prepared sandbox s=running t=running c=running d=running",
        expect![[r#"
        kill c grace=20: Stopping container c
        kill d grace=20: Stopping container d"#]],
    );
    let slow = "sidecar:s main:c deleting:30";
    check(slow, "prepared sandbox s=running c=running killing:c", expect![""]);
    check(
        p,
        "prepared sandbox s=running t=running c=exited:0",
        expect!["kill t grace=20: Stopping container t"],
    );
    check(
        p,
        "prepared sandbox s=running t=exited:0 c=exited:0",
        expect!["kill s grace=20: Stopping container s"],
    );
    check(p, "prepared sandbox s=exited:0 c=exited:0", expect!["tear down"]);
    check(p, "torndown lost c=exited:0", expect!["finish"]);
    check(p, "torndown lost reported c=exited:0", expect![""]);
    // A shorter grace period takes over from a longer one.
    check(
        "main:c deleting:5",
        "prepared sandbox c=running killing:c",
        expect!["kill c grace=5: Stopping container c"],
    );
    check("main:c deleting:0", "", expect!["tear down"]);
    check("main:c deleting:9", "prepared sandbox starting:c", expect![""]);
    check("main:c", "gone prepared sandbox c=running", expect!["kill c grace=30: Stopping container c"]);
    check("main:c", "gone torndown", expect!["purge"]);
}

#[test]
fn a_deadline_fails_the_pod() {
    check("main:c deadline:100", "prepared sandbox c=running", expect!["wake in 40s"]);
    check(
        "main:c deadline:60",
        "prepared sandbox c=running",
        expect![[r#"
        kill c grace=30: Stopping container c
        fails: DeadlineExceeded"#]],
    );
    check(
        "main:c phase:Failed",
        "prepared sandbox c=running",
        expect!["kill c grace=30: Stopping container c"],
    );
    check("main:c phase:Failed", "torndown", expect![""]);
}
