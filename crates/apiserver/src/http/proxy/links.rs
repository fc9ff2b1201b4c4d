//! Links in pages that come through a proxy: those to the server's root lead to the proxy's.

/// Elements and those of their attributes that hold a URL.
const LINKS: &[(&str, &[&str])] = &[
    ("a", &["href"]),
    ("applet", &["codebase"]),
    ("area", &["href"]),
    ("audio", &["src"]),
    ("base", &["href"]),
    ("blockquote", &["cite"]),
    ("body", &["background"]),
    ("button", &["formaction"]),
    ("command", &["icon"]),
    ("del", &["cite"]),
    ("embed", &["src"]),
    ("form", &["action"]),
    ("frame", &["longdesc", "src"]),
    ("head", &["profile"]),
    ("html", &["manifest"]),
    ("iframe", &["longdesc", "src"]),
    ("img", &["longdesc", "src", "usemap"]),
    ("input", &["src", "usemap", "formaction"]),
    ("ins", &["cite"]),
    ("link", &["href"]),
    ("object", &["classid", "codebase", "data", "usemap"]),
    ("q", &["cite"]),
    ("script", &["src"]),
    ("source", &["src"]),
    ("video", &["poster", "src"]),
];

/// A URL as it is reached through the proxy at `prefix`; `host` is who answered.
pub(super) fn rewrite(url: &str, prefix: &str, host: &str) -> String {
    let path = match url.split_once("://") {
        Some(("http" | "https", rest)) => {
            let end = rest.find('/').unwrap_or(rest.len());
            if rest[..end] != *host {
                return url.to_owned();
            }
            if end == rest.len() { "/" } else { &rest[end..] }
        }
        Some(_) => return url.to_owned(),
        None => url,
    };
    // Relative ones, those to other hosts, and those that go through the proxy already.
    if !path.starts_with('/') || path.starts_with("//") || path.starts_with(&format!("{prefix}/")) {
        return url.to_owned();
    }
    format!("{prefix}{path}")
}

/// A page with its links rewritten. Everything else stays as it is, byte by byte.
pub(super) fn page(page: &[u8], prefix: &str, host: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(page.len() + 1024);
    let mut at = 0;
    while at < page.len() {
        let Some(open) = page[at..].iter().position(|b| *b == b'<') else { break };
        out.extend_from_slice(&page[at..at + open]);
        at += open;
        if page[at..].starts_with(b"<!--") {
            let end = find(&page[at..], b"-->").map_or(page.len(), |e| at + e + 3);
            out.extend_from_slice(&page[at..end]);
            at = end;
            continue;
        }
        let end = tag_end(&page[at..]).map_or(page.len(), |e| at + e);
        tag(&page[at..end], prefix, host, &mut out);
        at = end;
    }
    out.extend_from_slice(&page[at..]);
    out
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|w| w == what)
}

/// After the `>` that ends a tag; one in quotes does not.
fn tag_end(text: &[u8]) -> Option<usize> {
    let mut quote = None;
    for (at, b) in text.iter().enumerate() {
        match (quote, b) {
            (Some(q), b) if q == *b => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(*b),
            (None, b'>') => return Some(at + 1),
            _ => {}
        }
    }
    None
}

fn tag(tag: &[u8], prefix: &str, host: &str, out: &mut Vec<u8>) {
    let name_end = tag.iter().skip(1).position(|b| !b.is_ascii_alphanumeric()).map_or(tag.len(), |e| e + 1);
    let name = String::from_utf8_lossy(&tag[1.min(tag.len())..name_end]).to_ascii_lowercase();
    let Some((_, attributes)) = LINKS.iter().find(|(element, _)| *element == name) else {
        out.extend_from_slice(tag);
        return;
    };
    let mut at = name_end;
    out.extend_from_slice(&tag[..at]);
    while at < tag.len() {
        // One attribute: its name, then perhaps a value.
        let start = at;
        while at < tag.len() && (tag[at].is_ascii_whitespace() || matches!(tag[at], b'/' | b'>')) {
            at += 1;
        }
        let name_start = at;
        while at < tag.len() && !tag[at].is_ascii_whitespace() && !matches!(tag[at], b'=' | b'>' | b'/') {
            at += 1;
        }
        let attribute = String::from_utf8_lossy(&tag[name_start..at]).to_ascii_lowercase();
        while at < tag.len() && tag[at].is_ascii_whitespace() {
            at += 1;
        }
        if at >= tag.len() || tag[at] != b'=' {
            // A byte that begins no attribute must not hold us up.
            at = at.max(start + 1).min(tag.len());
            out.extend_from_slice(&tag[start..at]);
            continue;
        }
        at += 1;
        while at < tag.len() && tag[at].is_ascii_whitespace() {
            at += 1;
        }
        let quote = tag.get(at).copied().filter(|b| matches!(b, b'"' | b'\''));
        let value_start = at + usize::from(quote.is_some());
        let ends = |b: &u8| match quote {
            Some(quote) => *b == quote,
            None => b.is_ascii_whitespace() || *b == b'>',
        };
        let value_end = tag[value_start..].iter().position(ends).map_or(tag.len(), |e| value_start + e);
        out.extend_from_slice(&tag[start..value_start]);
        let value = &tag[value_start..value_end];
        match std::str::from_utf8(value) {
            Ok(url) if attributes.contains(&&*attribute) => {
                out.extend_from_slice(rewrite(url, prefix, host).as_bytes());
            }
            _ => out.extend_from_slice(value),
        }
        at = value_end;
        if quote.is_some() && at < tag.len() {
            out.push(tag[at]);
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFIX: &str = "/api/v1/namespaces/a/pods/p/proxy";

    fn check(before: &str, after: &str) {
        let got = page(before.as_bytes(), PREFIX, "10.0.0.1:80");
        assert_eq!(String::from_utf8(got).unwrap(), after.replace("@", PREFIX), "{before}");
    }

    #[test]
    fn pages() {
        check("<a href=\"/rewriteme\">test</a>", "<a href=\"@/rewriteme\">test</a>");
        check("<a class=x HREF='/r?a=b' >t", "<a class=x HREF='@/r?a=b' >t");
        check("<img src=/x.png alt=\"/a>b\"/>", "<img src=@/x.png alt=\"/a>b\"/>");
        check("<a href=\"http://10.0.0.1:80/x\">", "<a href=\"@/x\">");
        for same in [
            "<a href=\"x\">",
            "<a href=\"//h/x\">",
            "<a href=\"http://example.com/x\">",
            "<p href=\"/x\">",
            "<!-- <a href=\"/x\"> -->",
            "a < b",
            "<",
            "<a",
            "<a href",
            "<a href=",
            "<a href=\"/x",
            "</a>",
            "",
            "<a / = >",
        ] {
            let shown = same.replace("\"/x", "\"@/x");
            let unfinished = same == "<a href=\"/x";
            check(same, if unfinished { &shown } else { same });
        }
    }
}
