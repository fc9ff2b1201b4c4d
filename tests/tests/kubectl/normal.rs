//! Output without what differs from run to run.

use serde_json::Value;

/// Without times, uids, revisions, addresses, ports, generated names, the namespace; and without Go's log lines.
pub fn text(text: &str, namespace: &str) -> String {
    let log = |l: &&str| {
        l.starts_with(['E', 'W', 'I']) && l.get(1..5).is_some_and(|d| d.bytes().all(|b| b.is_ascii_digit()))
    };
    let mut out = String::new();
    // A template that fails shows all of its object, in Go's own way.
    let text = text.split("\traw data was:").next().unwrap_or_default().replace('\t', " \t ");
    for line in text.lines().filter(|l| !log(l)) {
        let field = line.trim_start().trim_start_matches(['"', '-', ' ']);
        let varies = [
            "uid",
            "resourceVersion",
            "UID",
            "nodePort",
            "NodePort",
            "healthCheckNodePort",
            "HealthCheck NodePort",
        ]
        .iter()
        .any(|f| field.strip_prefix(f).is_some_and(|rest| rest.trim_start_matches('"').starts_with(':')));
        if varies {
            out.push_str("VARIES\n");
            continue;
        }
        let line = match line.split_once("resource version to be") {
            Some((before, _)) => before,
            None => line,
        };
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

const MARKS: [&str; 6] = ["AGE", "TIME", "ADDRESS", "PORT", "USAGE", "NAME"];

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
    let is_clock = bare.len() >= 8 && bare.split(':').count() == 3 && bare.split([':', '.']).all(digits);
    let is_usage = ["Mi", "m", "%"].iter().any(|unit| bare.strip_suffix(unit).is_some_and(digits));
    match () {
        () if is_time => word.replace(bare, "TIME"),
        () if is_age => word.replace(bare, "AGE"),
        () if is_clock => "CLOCK".into(),
        () if is_usage => word.replace(bare, "USAGE"),
        () => dealt(&word.replace(namespace, "NAMESPACE")),
    }
}

/// What follows a prefix, of which kind, and what is written in its place: addresses and ports that are dealt out, generated
/// names, wherever they stand.
const DEALT: [(&str, fn(char) -> bool, &str); 15] = [
    ("knarr://", letter, "ID"),
    ("10.42.", dotted, "ADDRESS"),
    ("10.43.", dotted, "ADDRESS"),
    ("127.0.0.1:", digit, "PORT"),
    ("[::1]:", digit, "PORT"),
    ("kube-api-access-", letter, "NAME"),
    ("LIVE-", letter, "NAME"),
    ("MERGED-", letter, "NAME"),
    ("debugger-", letter, "NAME"),
    ("kubectl-edit-", letter, "NAME"),
    ("\"resourceVersion\":\"", digit, "REVISION"),
    ("NodePort\":", digit, "PORT"),
    ("nodePort\":", digit, "PORT"),
    ("80:3", digit, "PORT"),
    ("443:3", digit, "PORT"),
];

fn digit(c: char) -> bool {
    c.is_ascii_digit()
}

fn dotted(c: char) -> bool {
    c.is_ascii_digit() || c == '.'
}

fn letter(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

fn dealt(text: &str) -> String {
    let mut text = text.to_owned();
    for (prefix, part, mark) in DEALT {
        let mut from = 0;
        while let Some(at) = text[from..].find(prefix).map(|at| from + at + prefix.len()) {
            let rest = &text[at..];
            let end = rest.find(|c: char| !part(c)).unwrap_or(rest.len());
            from = at;
            if end > 0 && &rest[..end] != "6443" {
                text = format!("{}{mark}{}", &text[..at], &rest[end..]);
            }
        }
    }
    let text = masked(&text, "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh", "UID");
    // Where objects of every namespace are shown: those of other pairs.
    masked(&masked(&text, "dddd-dd-ddTdd:dd:dd", "TIME"), "pairdh", "NAMESPACE")
}

/// Without what has a shape: `d` is a digit, `h` a hexadecimal one.
fn masked(text: &str, shape: &str, mark: &str) -> String {
    let fits = |at: usize| {
        text.as_bytes().get(at..at + shape.len()).is_some_and(|part| {
            part.iter().zip(shape.bytes()).all(|(c, s)| match s {
                b'd' => c.is_ascii_digit(),
                b'h' => c.is_ascii_hexdigit(),
                s => *c == s,
            })
        })
    };
    let (mut out, mut from) = (String::new(), 0);
    for (at, _) in text.char_indices() {
        if at >= from && fits(at) {
            out.push_str(&text[from..at]);
            out.push_str(mark);
            from = at + shape.len();
        }
    }
    out + &text[from..]
}

/// An object without what the server alone decides.
pub fn object(mut object: Value, namespace: &str) -> String {
    strip(&mut object);
    if object["kind"] == "ResourceQuota" || object["spec"]["nodeName"] == "node1" {
        // The controller of quotas comes when it comes, and so does the kubelet.
        object["status"] = Value::Null;
    }
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
