//! Life and death of sandboxes and containers.

use cri::{ContainerState, Event, RuntimeService, SandboxState};
use futures::StreamExt;

use super::Test;
use super::fixture::Fixture;

pub const TESTS: &[Test] = &[
    ("a_container_runs_logs_and_ends", a_container_runs_logs_and_ends),
    ("exit_codes_are_the_command_s", exit_codes_are_the_command_s),
    ("commands_that_cannot_run_say_why", commands_that_cannot_run_say_why),
    ("stop_asks_first_and_kills_then", stop_asks_first_and_kills_then),
    ("events_tell_every_change", events_tell_every_change),
];

fn a_container_runs_logs_and_ends() {
    Fixture::run(async |f| {
        let sandbox = f.sandbox().await;
        let status = f.runtime.pod_sandbox_status(&sandbox).await.unwrap();
        assert_eq!(status.sandbox.state, SandboxState::Ready);
        let id =
            f.start(&sandbox, &f.shell("main", "echo out; echo err >&2; hostname; id -u; printf half")).await;
        let status = f.ended(&id).await;
        assert_eq!((status.exit_code, status.reason.as_str()), (0, "Completed"));
        assert!(status.started_at > 0 && status.finished_at >= status.started_at);
        let log = f.log("main/0.log");
        let mut lines: Vec<&str> = log.lines().map(|line| line.split_once(' ').unwrap().1).collect();
        lines.sort_unstable();
        assert_eq!(lines, ["stderr F err", "stdout F 0", "stdout F out", "stdout F pod", "stdout P half"]);
        let time = log.split(' ').next().unwrap();
        assert!(time.len() == "2016-10-06T00:17:09.669794202Z".len() && time.ends_with('Z'), "{time}");
        f.runtime.remove_container(&id).await.unwrap();
        assert!(f.runtime.list_containers().await.unwrap().is_empty());
        f.runtime.stop_pod_sandbox(&sandbox).await.unwrap();
        let status = f.runtime.pod_sandbox_status(&sandbox).await.unwrap();
        assert_eq!(status.sandbox.state, SandboxState::NotReady);
        f.runtime.remove_pod_sandbox(&sandbox).await.unwrap();
        assert!(f.runtime.list_pod_sandboxes().await.unwrap().is_empty());
    });
}

fn exit_codes_are_the_command_s() {
    Fixture::run(async |f| {
        for (script, code, signal, reason) in [
            ("exit 0", 0, 0, "Completed"),
            ("exit 3", 3, 0, "Error"),
            // Process 1 of a PID namespace gets no signal that it does not handle.
            ("trap 'exit 5' TERM; kill -TERM $$", 5, 0, "Error"),
            ("sh -c 'kill -KILL $$'; exit $?", 137, 0, "Error"),
        ] {
            let (status, _) = f.outcome(&f.shell("main", script)).await;
            assert_eq!(
                (status.exit_code, status.signal, status.reason.as_str()),
                (code, signal, reason),
                "{script}"
            );
        }
    });
}

fn commands_that_cannot_run_say_why() {
    Fixture::run(async |f| {
        let sandbox = f.sandbox().await;
        for (command, expected) in [
            ("foo", "exec: \"foo\": executable file not found in $PATH"),
            ("/foo", "exec: \"/foo\": stat /foo: no such file or directory"),
            ("/bin", "exec: \"/bin\": is a directory"),
            ("/etc/passwd", "exec: \"/etc/passwd\": permission denied"),
        ] {
            let config = f.command("main", &[command]);
            let id = f.runtime.create_container(&sandbox, &config, &f.pod()).await.unwrap();
            let error = f.runtime.start_container(&id).await.unwrap_err().to_string();
            assert_eq!(
                error,
                format!("failed to start container: unable to start container process: {expected}")
            );
            let status = f.runtime.container_status(&id).await.unwrap();
            assert_eq!(status.container.state, ContainerState::Exited);
            assert_eq!((status.exit_code, status.reason.as_str()), (128, "StartError"));
            assert!(status.message.contains(expected));
            f.runtime.remove_container(&id).await.unwrap();
        }
    });
}

fn stop_asks_first_and_kills_then() {
    Fixture::run(async |f| {
        let sandbox = f.sandbox().await;
        let polite = f
            .start(&sandbox, &f.shell("polite", "trap 'echo bye; exit 7' TERM; echo ready; sleep 600 & wait"))
            .await;
        super::fixture::eventually(async || f.output("polite/0.log").contains("ready").then_some(())).await;
        f.runtime.stop_container(&polite, 30).await.unwrap();
        let status = f.runtime.container_status(&polite).await.unwrap();
        assert_eq!((status.container.state, status.exit_code), (ContainerState::Exited, 7));
        assert_eq!(f.output("polite/0.log"), "ready\nbye\n");

        let deaf = f.start(&sandbox, &f.command("deaf", &["sleep", "600"])).await;
        f.runtime.stop_container(&deaf, 1).await.unwrap();
        let status = f.runtime.container_status(&deaf).await.unwrap();
        assert_eq!((status.exit_code, status.signal, status.reason.as_str()), (137, 9, "Error"));
        // Again is fine.
        f.runtime.stop_container(&deaf, 1).await.unwrap();
    });
}

fn events_tell_every_change() {
    Fixture::run(async |f| {
        let mut events = f.runtime.events();
        let sandbox = f.sandbox().await;
        let id = f.start(&sandbox, &f.shell("main", "true")).await;
        f.ended(&id).await;
        f.runtime.remove_pod_sandbox(&sandbox).await.unwrap();
        let (s, c, uid) = (sandbox.clone(), id.clone(), "uid-1".to_string());
        let expected = [
            Event::SandboxChanged { sandbox: s.clone(), pod_uid: uid.clone() },
            Event::ContainerCreated { sandbox: s.clone(), container: c.clone(), pod_uid: uid.clone() },
            Event::ContainerStarted { sandbox: s.clone(), container: c.clone(), pod_uid: uid.clone() },
            Event::ContainerStopped { sandbox: s.clone(), container: c.clone(), pod_uid: uid.clone() },
            Event::SandboxChanged { sandbox: s.clone(), pod_uid: uid.clone() },
            Event::ContainerDeleted { sandbox: s.clone(), container: c.clone(), pod_uid: uid.clone() },
            Event::SandboxChanged { sandbox: s.clone(), pod_uid: uid.clone() },
        ];
        for event in expected {
            assert_eq!(events.next().await, Some(event));
        }
    });
}
