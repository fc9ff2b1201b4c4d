//! Servers that are away, slow, of another kind, or go in the middle: both programs must say the same and end the same.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use crate::normal;

/// What a server does with a request's path, on its connection.
type Answer = dyn Fn(&str, &mut TcpStream) + Send + Sync;

/// A server on a port of its own that answers every request by `answer` and then closes. It ends with the test's process.
fn serve(answer: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let address = listener.local_addr().expect("an address");
    let answer: Arc<Answer> = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || {
                let mut stream = stream;
                let mut reader = BufReader::new(stream.try_clone().expect("clone"));
                let mut first = String::new();
                let (mut line, mut length) = (String::new(), 0);
                if reader.read_line(&mut first).is_err() || first.is_empty() {
                    return;
                }
                while reader.read_line(&mut line).is_ok_and(|n| n > 2) {
                    if let Some(n) = line.to_lowercase().strip_prefix("content-length:") {
                        length = n.trim().parse().unwrap_or(0);
                    }
                    line.clear();
                }
                let mut body = vec![0; length];
                let _ = std::io::Read::read_exact(&mut reader, &mut body);
                answer(first.split(' ').nth(1).unwrap_or_default(), &mut stream);
            });
        }
    });
    format!("http://{address}")
}

/// An answer as a whole.
fn say(stream: &mut TcpStream, status: &str, kind: &str, body: &str) {
    let length = body.len();
    // Who asked may have gone.
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
}

/// The little of an API that `get pods` and `logs` need.
fn api(path: &str, stream: &mut TcpStream) -> bool {
    let json = "application/json";
    let bare = path.split('?').next().unwrap_or_default();
    let body = match bare {
        "/api" => r#"{"kind":"APIVersions","versions":["v1"]}"#,
        "/apis" => r#"{"kind":"APIGroupList","apiVersion":"v1","groups":[]}"#,
        "/api/v1" => {
            r#"{"kind":"APIResourceList","groupVersion":"v1","resources":[{"name":"pods","singularName":"pod","namespaced":true,"kind":"Pod","verbs":["get","list","create","delete"],"shortNames":["po"]},{"name":"pods/log","singularName":"","namespaced":true,"kind":"Pod","verbs":["get"]}]}"#
        }
        "/version" => r#"{"major":"1","minor":"20","gitVersion":"v1.20.15"}"#,
        "/api/v1/namespaces/default/pods/p" => {
            r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p","namespace":"default"},"spec":{"containers":[{"name":"c","image":"i"}]},"status":{"phase":"Running","containerStatuses":[{"name":"c","state":{"running":{}}}]}}"#
        }
        _ => return false,
    };
    say(stream, "200 OK", json, body);
    true
}

/// What a program says of a server: stdout, stderr, code.
fn ask(ours: bool, server: &str, words: &str, home: &std::path::Path) -> (String, String, Option<i32>) {
    let mut command = match ours {
        true => Command::new(e2e::binary()),
        false => Command::new(e2e::kubectl()),
    };
    if ours {
        command.arg("kubectl");
    }
    command.args(crate::plan::words(words)).arg("--server").arg(server);
    command.env("HOME", home).env("KUBECONFIG", home.join("none")).env("NO_COLOR", "1").stdin(Stdio::null());
    let output = command.output().expect("run kubectl");
    let text = |bytes: &[u8]| normal::text(&String::from_utf8_lossy(bytes), "no-namespace");
    (text(&output.stdout), text(&output.stderr), output.status.code())
}

/// What ours says where it says more than stock: its words must be there, its end must be stock's.
#[track_caller]
fn check_kinder(server: &str, line: &str, words: &str) {
    let [stock, ours] = [false, true].map(|ours| {
        let home = tempfile::tempdir().expect("a directory");
        ask(ours, server, line, home.path())
    });
    assert_eq!((&stock.0, stock.2), (&ours.0, ours.2), "{line}: {stock:?} {ours:?}");
    assert!(ours.1.contains(words), "{line}: {}", ours.1);
}

#[track_caller]
fn check(server: &str, lines: &[&str]) {
    let mut differ = Vec::new();
    for line in lines {
        let [stock, ours] = [false, true].map(|ours| {
            let home = tempfile::tempdir().expect("a directory");
            ask(ours, server, line, home.path())
        });
        assert_ne!(ours.1, "", "{line}: nothing is said");
        if stock != ours {
            differ.push(format!("{line}\nstock {stock:?}\nours  {ours:?}\n"));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

#[test]
fn a_server_that_is_away() {
    let closed = TcpListener::bind("127.0.0.1:0").expect("listen").local_addr().expect("an address");
    check(&format!("http://{closed}"), &["get pods", "version", "logs p", "delete pod p"]);
}

#[test]
fn a_server_that_says_nothing() {
    let silent = serve(|_, _| {
        loop {
            std::thread::park_timeout(Duration::from_secs(600));
        }
    });
    // Stock has two ways to say it.
    check_kinder(
        &silent,
        "get --raw /api/v1/pods --request-timeout=1s",
        "(Client.Timeout exceeded while awaiting headers)",
    );
}

#[test]
fn a_server_that_is_something_else() {
    let html = serve(|_, stream| say(stream, "200 OK", "text/html", "<html><body>Welcome</body></html>"));
    for line in ["delete pod p", "version", "get pods"] {
        check_kinder(&html, line, "a Kubernetes API server?");
    }
    for (status, lines) in [
        ("401 Unauthorized", &["get --raw /x", "get pods"][..]),
        ("403 Forbidden", &["get --raw /x"]),
        ("404 Not Found", &["get --raw /x"]),
        ("500 Internal Server Error", &["get --raw /x"]),
        ("502 Bad Gateway", &["get --raw /x"]),
    ] {
        let broken = serve(move |_, stream| say(stream, status, "text/plain", "out of order"));
        check(&broken, lines);
    }
}

#[test]
fn a_server_of_another_version() {
    let old = serve(|path, stream| {
        if !api(path, stream) {
            say(stream, "404 Not Found", "text/plain", "404 page not found");
        }
    });
    check(&old, &["version", "get pods/none", "logs none"]);
}

#[test]
fn a_server_that_goes_in_the_middle() {
    let cut = serve(|path, stream| {
        if path.contains("/log") {
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n"
            );
        } else if !api(path, stream) {
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{{\"kind\":"
            );
        }
    });
    check(&cut, &["logs p"]);
    check_kinder(&cut, "get pods/half", "unexpected EOF");
}
