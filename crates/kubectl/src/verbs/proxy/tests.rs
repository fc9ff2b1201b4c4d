use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::filter::Filter;
use crate::session::Session;

/// Requests (method, path, host) beside what the filter of these flags says.
fn check(flags: &str, requests: &[(&str, &str, &str, bool)]) {
    let args: Vec<String> = format!("proxy {flags}").split_whitespace().map(str::to_owned).collect();
    let call = crate::command::parse(&args).unwrap();
    let filter = Filter::of(&call).unwrap();
    for (method, path, host, expected) in requests {
        assert_eq!(filter.accepts(method, path, host), *expected, "{flags}: {method} {path} {host}");
    }
}

#[test]
fn filters() {
    check(
        "",
        &[
            ("GET", "/api/v1/pods", "localhost:8001", true),
            ("GET", "/api/v1/pods", "127.0.0.1:1", true),
            ("GET", "/api/v1/pods", "[::1]:8001", true),
            ("GET", "/api/v1/pods", "evil.example:8001", false),
            ("GET", "/api/v1/pods", "localhost.evil.example", false),
            ("GET", "/api/v1/namespaces/a/pods/b/exec", "localhost", false),
            ("DELETE", "/api/v1/namespaces/a/pods/b", "localhost", true),
        ],
    );
    check(
        "--reject-methods=POST,DELETE --accept-paths=^/api/ --accept-hosts=.*",
        &[
            ("GET", "/api/v1", "anything", true),
            ("DELETE", "/api/v1", "anything", false),
            ("GET", "/version", "anything", false),
        ],
    );
}

#[test]
fn files_stay_below_their_directory() {
    let dir = tempfile::tempdir().unwrap();
    let www = dir.path().join("www");
    std::fs::create_dir(&www).unwrap();
    std::fs::write(dir.path().join("secret"), "s").unwrap();
    std::fs::write(www.join("a b.txt"), "hello").unwrap();
    let get = |path: &str| {
        let reply = super::files::serve(&www, "/static/", path);
        format!("{} {}", reply.status().as_u16(), String::from_utf8_lossy(reply.body()))
    };
    assert_eq!(get("/static/a%20b.txt"), "200 hello");
    assert_eq!(
        get("/static/"),
        "200 <!doctype html>\n<meta name=\"viewport\" content=\"width=device-width\">\n<pre>\n<a href=\"a%20b.txt\">a b.txt</a>\n</pre>\n"
    );
    assert_eq!(get("/static/none"), "404 404 page not found\n");
    assert_eq!(get("/static/../secret"), "400 invalid URL path\n");
    assert_eq!(get("/static/%2e%2e/secret"), "400 invalid URL path\n");
    assert_eq!(get("/static//etc/passwd"), "400 invalid URL path\n");
}

/// A server that answers each connection's first request with what it was asked, and echoes what comes after an upgrade.
async fn server(listener: tokio::net::TcpListener) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = head(&mut stream).await;
        let lower = head.to_lowercase();
        if lower.contains("upgrade: spdy") {
            let reply = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: spdy\r\n\r\n";
            stream.write_all(reply.as_bytes()).await.unwrap();
            let (mut from, mut to) = stream.split();
            tokio::io::copy(&mut from, &mut to).await.unwrap();
            continue;
        }
        let line = head.lines().next().unwrap();
        let token = if lower.contains("authorization: bearer secret") { "as us" } else { "as nobody" };
        let said = format!("{line} {token}");
        let reply =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{said}", said.len());
        stream.write_all(reply.as_bytes()).await.unwrap();
    }
}

/// All up to the empty line.
async fn head(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(bytes).unwrap()
}

/// What a request at the proxy is answered with, its first line and its body.
async fn ask(at: SocketAddr, path: &str, host: &str) -> String {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    format!("{}: {}", head.lines().next().unwrap(), body.trim())
}

/// Runs the client beside the proxy of these flags, which leads to a server of ours.
fn with_proxy(flags: &str, client: impl AsyncFnOnce(SocketAddr)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let behind = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = behind.local_addr().unwrap();
        let args = format!("proxy --kubeconfig=/dev/null --server=http://{target} --token=secret {flags}");
        let args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
        let session = Session::new(crate::command::parse(&args).unwrap());
        let proxy = Arc::new(super::proxy(&session).unwrap());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        tokio::select! {
            _ = super::serve(&proxy, async || listener.accept().await.map(|(stream, _)| stream)) => {}
            () = server(behind) => {}
            () = client(at) => {}
        }
    });
}

#[test]
fn requests_go_through_as_us() {
    with_proxy("", async |at| {
        assert_eq!(
            ask(at, "/version?a=b", "localhost").await,
            "HTTP/1.1 200 OK: GET /version?a=b HTTP/1.1 as us"
        );
        assert_eq!(ask(at, "/version", "evil.example").await, "HTTP/1.1 403 Forbidden: Forbidden");
    });
    with_proxy("", async |at| {
        let exec = |e: &str| format!("/api/v1/namespaces/a/pods/b/{e}");
        let no = "HTTP/1.1 403 Forbidden: Forbidden";
        assert_eq!(ask(at, &exec("exec"), "localhost").await, no);
        assert_eq!(ask(at, &exec("%65xec"), "localhost").await, no);
        let other = ask(at, &format!("/x/%2e%2e{}", exec("exec")), "localhost").await;
        assert!(other.starts_with("HTTP/1.1 307 Temporary Redirect"), "{other}");
    });
    with_proxy("--api-prefix=/custom", async |at| {
        assert_eq!(ask(at, "/custom/api", "localhost").await, "HTTP/1.1 200 OK: GET /api HTTP/1.1 as us");
        assert_eq!(ask(at, "/api", "localhost").await, "HTTP/1.1 404 Not Found: 404 page not found");
        let moved = "HTTP/1.1 307 Temporary Redirect: <a href=\"/custom/\">Temporary Redirect</a>.";
        assert_eq!(ask(at, "/custom", "localhost").await, moved);
    });
}

#[test]
fn upgrades_go_through() {
    with_proxy("", async |at| {
        let mut stream = TcpStream::connect(at).await.unwrap();
        let request = "POST /portforward HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: spdy\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        assert!(head(&mut stream).await.starts_with("HTTP/1.1 101 "));
        stream.write_all(b"there and back").await.unwrap();
        let mut back = [0; 14];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"there and back");
    });
}
