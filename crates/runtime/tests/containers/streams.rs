//! Commands in containers, attached streams, terminals, ports.

use cri::{AttachRequest, ExecRequest, RuntimeService, TerminalSize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use super::Test;
use super::fixture::{Fixture, eventually};

pub const TESTS: &[Test] = &[
    ("exec_runs_in_the_container", exec_runs_in_the_container),
    ("exec_has_its_streams", exec_has_its_streams),
    ("exec_with_a_terminal", exec_with_a_terminal),
    ("dropped_execs_are_killed", dropped_execs_are_killed),
    ("attach_copies_output_and_feeds_input", attach_copies_output_and_feeds_input),
    ("containers_with_a_terminal", containers_with_a_terminal),
    ("slow_readers_lose_nothing", slow_readers_lose_nothing),
    ("ports_are_forwarded", ports_are_forwarded),
    ("logs_can_be_rotated", logs_can_be_rotated),
];

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|w| w.to_string()).collect()
}

fn exec_runs_in_the_container() {
    Fixture::run(async |f| {
        let sandbox = f.sandbox().await;
        let id = f.start(&sandbox, &f.shell("main", "echo x > /tmp/own; sleep 600")).await;
        eventually(async || {
            f.runtime
                .exec_sync(&id, &strings(&["test", "-e", "/tmp/own"]), 0)
                .await
                .is_ok_and(|r| r.exit_code == 0)
                .then_some(())
        })
        .await;
        let script =
            "cat /tmp/own; hostname; grep -E '^(Seccomp|CapEff):' /proc/self/status; echo err >&2; exit 4";
        let result = f.runtime.exec_sync(&id, &strings(&["sh", "-c", script]), 5).await.unwrap();
        let stdout = String::from_utf8(result.stdout).unwrap();
        assert_eq!(stdout, "x\npod\nCapEff:\t00000000a80425fb\nSeccomp:\t2\n");
        assert_eq!((result.stderr.as_slice(), result.exit_code), (b"err\n".as_slice(), 4));
        let missing = f.runtime.exec_sync(&id, &strings(&["nothing"]), 5).await.unwrap_err().to_string();
        assert_eq!(
            missing,
            "failed to exec in container: exec: \"nothing\": executable file not found in $PATH"
        );
        let slow = f.runtime.exec_sync(&id, &strings(&["sleep", "600"]), 1).await.unwrap_err();
        assert!(
            matches!(&slow, cri::Error::DeadlineExceeded(m) if m.contains("timed out after 1s")),
            "{slow}"
        );
        f.runtime.stop_container(&id, 0).await.unwrap();
        let error = f.runtime.exec_sync(&id, &strings(&["true"]), 0).await.unwrap_err().to_string();
        assert!(error.contains("CONTAINER_EXITED"), "{error}");
    });
}

fn exec_has_its_streams() {
    Fixture::run(async |f| {
        let sandbox = f.sandbox().await;
        let id = f.start(&sandbox, &f.command("main", &["sleep", "600"])).await;
        let request = ExecRequest {
            container: id,
            command: strings(&["sh", "-c", "cat; echo end >&2; exit 9"]),
            stdin: true,
            stdout: true,
            stderr: true,
            tty: false,
        };
        let mut exec = f.runtime.exec(request).await.unwrap();
        let mut stdin = exec.stdin.take().unwrap();
        stdin.write_all(b"hello").await.unwrap();
        drop(stdin);
        let (mut out, mut err) = (String::new(), String::new());
        exec.stdout.take().unwrap().read_to_string(&mut out).await.unwrap();
        exec.stderr.take().unwrap().read_to_string(&mut err).await.unwrap();
        assert_eq!((out.as_str(), err.as_str(), exec.exit.await), ("hello", "end\n", Ok(Ok(9))));
    });
}

fn exec_with_a_terminal() {
    Fixture::run(async |f| {
        let sandbox = f.sandbox().await;
        let id = f.start(&sandbox, &f.command("main", &["sleep", "600"])).await;
        let request = ExecRequest {
            container: id,
            command: strings(&[
                "sh",
                "-c",
                "tty; while test \"$(stty size 2>/dev/null)\" != '45 123'; do sleep 0.02; done; read line; stty size; exit 3",
            ]),
            stdin: true,
            stdout: true,
            stderr: true,
            tty: true,
        };
        let mut exec = f.runtime.exec(request).await.unwrap();
        assert!(exec.stderr.is_none());
        let mut output = BufReader::new(exec.stdout.take().unwrap()).lines();
        assert_eq!(output.next_line().await.unwrap().unwrap(), "/dev/pts/0");
        exec.resize.as_ref().unwrap().send(TerminalSize { width: 123, height: 45 }).await.unwrap();
        let mut stdin = exec.stdin.take().unwrap();
        stdin.write_all(b"go\n").await.unwrap();
        assert_eq!(output.next_line().await.unwrap().unwrap(), "go");
        assert_eq!(output.next_line().await.unwrap().unwrap(), "45 123");
        assert_eq!(output.next_line().await.unwrap(), None);
        assert_eq!(exec.exit.await, Ok(Ok(3)));
    });
}

fn dropped_execs_are_killed() {
    Fixture::run(async |f| {
        let sandbox = f.sandbox().await;
        let id = f.start(&sandbox, &f.command("main", &["sleep", "600"])).await;
        let request = ExecRequest {
            container: id.clone(),
            command: strings(&["sleep", "700"]),
            stdout: true,
            ..ExecRequest::default()
        };
        let exec = f.runtime.exec(request).await.unwrap();
        let running = async || {
            f.runtime
                .exec_sync(&id, &strings(&["sh", "-c", "ps | grep -c '[s]leep 700'"]), 5)
                .await
                .unwrap()
                .stdout
        };
        assert_eq!(running().await, b"1\n");
        drop(exec);
        eventually(async || (running().await == b"0\n").then_some(())).await;
    });
}

fn attach_copies_output_and_feeds_input() {
    Fixture::run(async |f| {
        let sandbox = f.sandbox().await;
        let mut config = f.shell("main", "while read line; do echo got $line; echo err >&2; done; exit 6");
        (config.stdin, config.stdin_once) = (true, true);
        let id = f.start(&sandbox, &config).await;
        let request =
            AttachRequest { container: id.clone(), stdin: true, stdout: true, stderr: true, tty: false };
        let mut attached = f.runtime.attach(request).await.unwrap();
        let mut stdin = attached.stdin.take().unwrap();
        let (mut out, mut err) = (String::new(), String::new());
        stdin.write_all(b"one\ntwo\n").await.unwrap();
        drop(stdin);
        attached.stdout.take().unwrap().read_to_string(&mut out).await.unwrap();
        attached.stderr.take().unwrap().read_to_string(&mut err).await.unwrap();
        assert_eq!((out.as_str(), err.as_str()), ("got one\ngot two\n", "err\nerr\n"));
        assert_eq!(attached.exit.await, Ok(Ok(6)));
        let log = f.log("main/0.log");
        assert_eq!(log.matches("stdout F got").count(), 2);
    });
}

fn containers_with_a_terminal() {
    Fixture::run(async |f| {
        let sandbox = f.sandbox().await;
        let mut config = f
            .shell("main", "tty; test -c /dev/console && echo console; while test \"$(stty size 2>/dev/null)\" != '25 80'; do sleep 0.02; done; read line; stty size; echo got $line");
        (config.tty, config.stdin) = (true, true);
        let id = f.start(&sandbox, &config).await;
        eventually(async || f.output("main/0.log").contains("console").then_some(())).await;
        let request =
            AttachRequest { container: id.clone(), stdin: true, stdout: true, stderr: true, tty: true };
        let mut attached = f.runtime.attach(request).await.unwrap();
        attached.resize.as_ref().unwrap().send(TerminalSize { width: 80, height: 25 }).await.unwrap();
        attached.stdin.take().unwrap().write_all(b"hi\n").await.unwrap();
        let mut output = String::new();
        attached.stdout.take().unwrap().read_to_string(&mut output).await.unwrap();
        assert_eq!(output, "hi\r\n25 80\r\ngot hi\r\n");
        assert_eq!(f.ended(&id).await.exit_code, 0);
        assert!(f.log("main/0.log").contains("stdout F /dev/pts/0\r\n"));
    });
}

fn ports_are_forwarded() {
    Fixture::run(async |f| {
        let sandbox = f.sandbox().await;
        f.start(&sandbox, &f.shell("main", "while true; do echo hello | nc -l -p 8080 127.0.0.1; done"))
            .await;
        let mut stream = eventually(async || f.runtime.port_forward(&sandbox, 8080).await.ok()).await;
        let mut line = [0; 6];
        stream.read_exact(&mut line).await.unwrap();
        assert_eq!(&line, b"hello\n");
        let error = f.runtime.port_forward(&sandbox, 9).await.err().unwrap().to_string();
        assert_eq!(
            error,
            "failed to connect to localhost:9 inside the pod: connect to localhost:9: connection refused"
        );
    });
}

fn logs_can_be_rotated() {
    Fixture::run(async |f| {
        let sandbox = f.sandbox().await;
        let mut config = f.shell("main", "echo one; read x; echo two; sleep 600");
        config.stdin = true;
        let id = f.start(&sandbox, &config).await;
        eventually(async || (f.output("main/0.log") == "one\n").then_some(())).await;
        let log = f.dir().join("logs/main/0.log");
        std::fs::rename(&log, log.with_extension("old")).unwrap();
        f.runtime.reopen_container_log(&id).await.unwrap();
        let request = AttachRequest { container: id, stdin: true, ..AttachRequest::default() };
        f.runtime.attach(request).await.unwrap().stdin.unwrap().write_all(b"\n").await.unwrap();
        eventually(async || (f.output("main/0.log") == "two\n").then_some(())).await;
    });
}

/// Who is attached and does not read holds the container back; nothing is lost, neither there nor in the log.
fn slow_readers_lose_nothing() {
    Fixture::run(async |f| {
        const LINES: usize = 50_000;
        let sandbox = f.sandbox().await;
        let mut config = f.shell("main", &format!("read go; seq 1 {LINES}; echo done >&2"));
        config.stdin = true;
        let id = f.start(&sandbox, &config).await;
        let request =
            AttachRequest { container: id.clone(), stdin: true, stdout: true, ..AttachRequest::default() };
        let mut attached = f.runtime.attach(request).await.unwrap();
        attached.stdin.take().unwrap().write_all(b"go\n").await.unwrap();
        // More than the pipes hold: it cannot have come to its end.
        eventually(async || f.log("main/0.log").contains(" 1000\n").then_some(())).await;
        assert!(!f.log("main/0.log").contains("stderr"));
        let mut output = String::new();
        attached.stdout.take().unwrap().read_to_string(&mut output).await.unwrap();
        let expected: String = (1..=LINES).map(|n| format!("{n}\n")).collect();
        assert!(output == expected, "{} bytes of {}", output.len(), expected.len());
        assert_eq!(f.ended(&id).await.exit_code, 0);
        // The two streams have no order between them.
        let log = f.output("main/0.log");
        let logged: String =
            log.lines().filter(|line| *line != "done").map(|line| format!("{line}\n")).collect();
        assert!(logged == expected && log.contains("done"), "{} bytes of {}", logged.len(), expected.len());
    });
}
