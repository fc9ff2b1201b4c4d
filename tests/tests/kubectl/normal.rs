//! Output without what differs from run to run.

use serde_json::Value;

/// Without times, uids, revisions, addresses, ports, generated names, the namespace; and without Go's log lines.
pub fn text(text: &str, namespace: &str) -> String {
    let log = |l: &&str| {
        l.starts_with(['E', 'W', 'I']) && l.get(1..5).is_some_and(|d| d.bytes().all(|b| b.is_ascii_digit()))
    };
    let mut out = String::new();
    for line in text.lines().filter(|l| !log(l)) {
        let field = line.trim_start().trim_start_matches(['"', '-', ' ']);
        let varies = ["uid", "resourceVersion", "UID", "nodePort", "NodePort"]
            .iter()
            .any(|f| field.strip_prefix(f).is_some_and(|rest| rest.trim_start_matches('"').starts_with(':')));
        if varies {
            out.push_str("VARIES\n");
            continue;
        }
        let words: Vec<String> = line.split(' ').map(|w| word(w, namespace)).collect();
        let joined = words.join(" ");
        // Columns are as wide as what is in them, and what varies is of any width.
        let heading = line.split_whitespace().count() > 1
            && line.chars().all(|c| c.is_ascii_uppercase() || " -()%".contains(c));
        let joined = match heading || MARKS.iter().any(|mark| joined.contains(mark)) {
            true => {
                let indent = &joined[..joined.len() - joined.trim_start().len()];
                format!("{indent}{}", joined.split_whitespace().collect::<Vec<_>>().join(" "))
            }
            false => joined,
        };
        out.push_str(joined.trim_end());
        out.push('\n');
    }
    out
}

const MARKS: [&str; 6] = ["AGE", "TIME", "ADDRESS", "PORT", "USAGE", "HEX"];

fn word(word: &str, namespace: &str) -> String {
    let bare = word.trim_matches(['"', ',', '(', ')', '\'', '\\', '[', ']', '{', '}']);
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let is_time = bare.len() >= 19
        && bare.is_ascii()
        && bare.as_bytes()[4] == b'-'
        && bare.as_bytes()[10] == b'T'
        && digits(&bare[..4]);
    let is_age = bare.len() >= 2
        && bare.ends_with(['s', 'm', 'h', 'd', 'y'])
        && bare.starts_with(|c: char| c.is_ascii_digit())
        && bare.chars().all(|c| c.is_ascii_digit() || "smhdy".contains(c));
    let is_clock = bare.len() == 8 && bare.split(':').count() == 3 && bare.split(':').all(digits);
    let is_usage = ["Mi", "m", "%"].iter().any(|unit| bare.strip_suffix(unit).is_some_and(digits));
    let is_uid = bare.len() == 36 && bare.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    match () {
        () if is_time => word.replace(bare, "TIME"),
        () if is_age => word.replace(bare, "AGE"),
        () if is_clock => "CLOCK".into(),
        () if is_usage => word.replace(bare, "USAGE"),
        () if is_uid => word.replace(bare, "UID"),
        () => ports(&addresses(&word.replace(namespace, "NAMESPACE"))),
    }
}

/// Addresses that the cluster deals out, wherever they stand.
fn addresses(word: &str) -> String {
    let mut word = word.to_owned();
    for prefix in ["10.42.", "10.43."] {
        while let Some(at) = word.find(prefix) {
            let rest = &word[at..];
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            word = format!("{}ADDRESS{}", &word[..at], &rest[end..]);
        }
    }
    word
}

/// Ports of loopback, node ports, and generated parts of names.
fn ports(word: &str) -> String {
    let mut word = word.to_owned();
    for before in ["127.0.0.1:", "[::1]:", "80:", "81:", "LIVE-", "MERGED-", "debugger-"] {
        let Some(at) = word.find(before) else { continue };
        let at = at + before.len();
        let rest = &word[at..];
        let name = |c: char| !(c.is_ascii_digit() || before == "debugger-" && c.is_ascii_lowercase());
        let end = rest.find(name).unwrap_or(rest.len());
        if end > 4 && &rest[..end] != "6443" {
            word = format!("{}PORT{}", &word[..at], &rest[end..]);
        }
    }
    word
}

/// An object without what the server alone decides.
pub fn object(mut object: Value, namespace: &str) -> String {
    strip(&mut object);
    let pretty = serde_json::to_string_pretty(&object).unwrap_or_default();
    text(&pretty, namespace)
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let gone = [
                "uid",
                "resourceVersion",
                "creationTimestamp",
                "time",
                "nodePort",
                "clusterIP",
                "clusterIPs",
            ];
            fields.retain(|key, value| !(gone.contains(&key.as_str()) && *value != "None"));
            fields.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}
