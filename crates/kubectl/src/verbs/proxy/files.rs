//! Files of a directory, for `proxy --www`. Start at [`serve`].

use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use http::{Response, StatusCode};

/// The answer for a path that begins with the prefix.
pub fn serve(dir: &Path, prefix: &str, path: &str) -> Response<Bytes> {
    let Some(relative) = decoded(&path[prefix.len()..]).and_then(inside) else {
        return answer(StatusCode::BAD_REQUEST, "text/plain; charset=utf-8", "invalid URL path\n".into());
    };
    let file = dir.join(relative);
    if !file.is_dir() {
        return of_file(&file);
    }
    if !path.ends_with('/') {
        let mut reply = answer(StatusCode::MOVED_PERMANENTLY, "text/plain; charset=utf-8", Bytes::new());
        if let Ok(to) = HeaderValue::from_str(&format!("{path}/")) {
            reply.headers_mut().insert(LOCATION, to);
        }
        return reply;
    }
    let index = file.join("index.html");
    if index.is_file() { of_file(&index) } else { listing(&file) }
}

/// The path, when it stays below where it starts.
fn inside(path: String) -> Option<PathBuf> {
    let path = PathBuf::from(path);
    let plain = path.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    (plain && !path.as_os_str().as_encoded_bytes().contains(&0)).then_some(path)
}

/// Without percent signs.
pub fn decoded(text: &str) -> Option<String> {
    let (mut out, mut bytes) = (Vec::with_capacity(text.len()), text.bytes());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(out).ok()
}

fn of_file(path: &Path) -> Response<Bytes> {
    match std::fs::read(path) {
        Ok(body) => answer(StatusCode::OK, kind(path, &body), body.into()),
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
            answer(StatusCode::FORBIDDEN, "text/plain; charset=utf-8", "403 Forbidden\n".into())
        }
        Err(_) => answer(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "404 page not found\n".into()),
    }
}

fn listing(dir: &Path) -> Response<Bytes> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| {
            let slash = if e.path().is_dir() { "/" } else { "" };
            format!("{}{slash}", e.file_name().to_string_lossy())
        })
        .collect();
    names.sort();
    let escape = |text: &str| {
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&#34;")
    };
    let link = |name: &String| {
        let (stem, slash) = name.strip_suffix('/').map_or((name.as_str(), ""), |stem| (stem, "/"));
        format!("<a href=\"{}{slash}\">{}</a>\n", crate::discovery::escape(stem), escape(name))
    };
    let lines: String = names.iter().map(link).collect();
    answer(
        StatusCode::OK,
        "text/html; charset=utf-8",
        format!(
            "<!doctype html>\n<meta name=\"viewport\" content=\"width=device-width\">\n<pre>\n{lines}</pre>\n"
        )
        .into(),
    )
}

fn kind(path: &Path, body: &[u8]) -> &'static str {
    match path.extension().and_then(|e| e.to_str()).unwrap_or_default() {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "xml" => "text/xml; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "pdf" => "application/pdf",
        "wasm" => "application/wasm",
        _ if std::str::from_utf8(body).is_ok() => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn answer(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Bytes> {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    reply
}
