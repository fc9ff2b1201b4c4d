//! What is said to people at terminals only: why a pod does not run, what a mistyped word may have meant, how far a wait is.
//! Start at [`at_terminal`]. Never for pipes, never with `--plain`, never on stdout that a program reads.

use std::time::Duration;

use apimachinery::quantity::Quantity;
use serde_json::Value;
use stdx::{Clock, SystemClock};

use crate::discovery::Resource;
use crate::error::Error;
use crate::print::table;
use crate::session::Session;
use crate::text::distance;

mod progress;
#[cfg(test)]
mod tests;

pub use progress::{Progress, rollout};

/// Whether a person reads what goes to the descriptor.
fn person(session: &Session, terminal: bool) -> bool {
    !session.call.plain && terminal
}

/// Whether a person reads our output.
pub fn at_terminal(session: &Session) -> bool {
    person(session, nix::unistd::isatty(std::io::stdout()).unwrap_or(false))
}

fn errors_at_terminal(session: &Session) -> bool {
    person(session, nix::unistd::isatty(std::io::stderr()).unwrap_or(false))
}

/// Whether the terminal can do more than letters.
fn can_draw() -> bool {
    std::env::var("TERM").is_ok_and(|t| !t.is_empty() && t != "dumb")
}

/// A line of advice.
fn line(text: &str) -> String {
    match can_draw() && std::env::var_os("NO_COLOR").is_none() {
        true => format!("\x1b[36mhint:\x1b[0m {text}\n"),
        false => format!("hint: {text}\n"),
    }
}

/// More pods are not told of: the table says which.
const TOLD_MAX: usize = 3;

/// Pods of a printed table that do not run, by namespace and name.
#[derive(Debug, Default)]
pub struct Troubled(Vec<(String, String)>);

/// What the column STATUS says of pods that need help.
const TROUBLE: [&str; 9] = [
    "ImagePullBackOff",
    "ErrImagePull",
    "ErrImageNeverPull",
    "InvalidImageName",
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "RunContainerError",
    "Error",
    "Pending",
];

impl Troubled {
    /// Looks through the tables that the server made.
    pub fn look(&mut self, resource: &Resource, namespace: &str, tables: &[Value]) {
        if !resource.is("", "Pod") {
            return;
        }
        for found in tables {
            let columns = found["columnDefinitions"].as_array().into_iter().flatten();
            let Some(at) = columns.into_iter().position(|c| c["name"] == "Status") else { continue };
            for row in table::rows(found) {
                let status = row["cells"][at].as_str().unwrap_or_default();
                let status = status.strip_prefix("Init:").unwrap_or(status);
                let meta = &row["object"]["metadata"];
                // Rows may come without their objects: a pod's first column is its name.
                let namespace = meta["namespace"].as_str().unwrap_or(namespace);
                if TROUBLE.contains(&status)
                    && self.0.len() < TOLD_MAX
                    && let Some(name) = meta["name"].as_str().or(row["cells"][0].as_str())
                {
                    self.0.push((namespace.to_owned(), name.to_owned()));
                }
            }
        }
    }

    /// Says why they do not run.
    pub fn tell(&self, session: &Session) {
        if !at_terminal(session) {
            return;
        }
        for (namespace, name) in &self.0 {
            // A hint that cannot be had is none.
            if let Ok(pod) = session.get(&format!("/api/v1/namespaces/{namespace}/pods/{name}")) {
                tell_of(session, &pod);
            }
        }
    }
}

/// Says why the pod does not run, if it does not.
pub fn tell_of(session: &Session, pod: &Value) {
    if !at_terminal(session) {
        return;
    }
    let Some(trouble) = trouble(pod) else { return };
    let text = match &trouble {
        Trouble::Said(text) => text.clone(),
        Trouble::Short { pod: name, resource } => {
            let nodes = session.get("/api/v1/nodes").unwrap_or(Value::Null);
            short(name, resource, &asked(pod, resource), &nodes["items"])
        }
    };
    let _ = session.print(&line(&text));
}

/// Why a pod does not run.
#[derive(Debug, PartialEq)]
enum Trouble {
    Said(String),
    /// No node has enough of a resource.
    Short {
        pod: String,
        resource: String,
    },
}

fn trouble(pod: &Value) -> Option<Trouble> {
    let name = pod["metadata"]["name"].as_str()?;
    let said = |text: String| Some(Trouble::Said(format!("{name}: {text}")));
    for list in ["initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"] {
        for status in pod["status"][list].as_array().into_iter().flatten() {
            let waiting = &status["state"]["waiting"];
            let container = status["name"].as_str().unwrap_or_default();
            let image = status["image"].as_str().unwrap_or_default();
            let message = waiting["message"].as_str().unwrap_or_default();
            match waiting["reason"].as_str().unwrap_or_default() {
                "ImagePullBackOff" | "ErrImagePull" => {
                    return said(format!(
                        "image \"{image}\" of container {container} cannot be pulled: {}; check its name and tag, and whether the registry wants a secret (imagePullSecrets)",
                        cause(message, "it is tried again, more and more slowly")
                    ));
                }
                "ErrImageNeverPull" => {
                    return said(format!(
                        "image \"{image}\" is not on the node, and imagePullPolicy Never forbids to pull it"
                    ));
                }
                "InvalidImageName" => return said(format!("\"{image}\" is no image's name")),
                "CreateContainerConfigError" | "RunContainerError" | "CreateContainerError" => {
                    return said(format!(
                        "container {container} cannot start: {}",
                        cause(message, "no reason given")
                    ));
                }
                "CrashLoopBackOff" => {
                    let last = &status["lastState"]["terminated"];
                    let code = last["exitCode"].as_i64().unwrap_or_default();
                    let reason = last["reason"].as_str().unwrap_or("Error");
                    return said(format!(
                        "container {container} ended with exit code {code} ({reason}) {} times: kubectl logs {name} -c {container} --previous",
                        status["restartCount"].as_i64().unwrap_or_default()
                    ));
                }
                _ => {}
            }
        }
    }
    let scheduled = crate::pods::condition(pod, "PodScheduled")?;
    if scheduled["status"] != "False" {
        return None;
    }
    let message = scheduled["message"].as_str().unwrap_or_default();
    match message.split("Insufficient ").nth(1) {
        Some(rest) => {
            let end = rest.find([',', ' ', ';']).unwrap_or(rest.len());
            let resource = rest[..end].trim_end_matches('.').to_owned();
            Some(Trouble::Short { pod: name.to_owned(), resource })
        }
        None => said(format!("no node takes it: {}", cause(message, "the scheduler has not said why"))),
    }
}

/// Longer messages are cut: the events have them whole.
const CAUSE_MAX: usize = 200;

/// A message on one line.
fn cause(message: &str, none: &str) -> String {
    let flat = message.split_whitespace().collect::<Vec<_>>().join(" ");
    match flat.char_indices().nth(CAUSE_MAX) {
        _ if flat.is_empty() => none.to_owned(),
        Some((at, _)) => format!("{}…", &flat[..at]),
        None => flat,
    }
}

/// What all containers of a pod ask for together.
fn asked(pod: &Value, resource: &str) -> Quantity {
    let mut sum = Quantity::default();
    for container in pod["spec"]["containers"].as_array().into_iter().flatten() {
        let text = container["resources"]["requests"][resource].as_str();
        if let Some(more) = text.and_then(|t| t.parse::<Quantity>().ok()) {
            sum += more;
        }
    }
    sum
}

fn short(pod: &str, resource: &str, asked: &Quantity, nodes: &Value) -> String {
    let most = nodes
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|node| {
            let amount = node["status"]["allocatable"][resource].as_str()?.parse::<Quantity>().ok()?;
            Some((amount, node["metadata"]["name"].as_str()?.to_owned()))
        })
        .max_by(|a, b| a.0.cmp(&b.0));
    match most {
        None => format!("{pod}: no node has any {resource}, of which it asks for {asked}"),
        Some((most, node)) if most < *asked => {
            format!("{pod}: asks for {asked} {resource}; the most that any node has is {most} ({node})")
        }
        Some((most, node)) => format!(
            "{pod}: asks for {asked} {resource}, and no node has that much left ({node} has {most} in all): kubectl describe node {node}"
        ),
    }
}

/// Words that a mistyped one may have meant, nearest first.
fn nearest<'w>(word: &str, known: impl Iterator<Item = &'w str>) -> Vec<&'w str> {
    let word = word.to_lowercase();
    let reach = if word.len() < 5 { 1 } else { 2 };
    let mut found: Vec<(usize, &str)> = known
        .map(|k| (distance(&word, &k.to_lowercase()), k))
        .filter(|(far, _)| *far > 0 && *far <= reach)
        .collect();
    found.sort();
    found.dedup_by(|a, b| a.1 == b.1);
    found.into_iter().map(|(_, k)| k).take(3).collect()
}

fn meant(words: &[&str]) -> Option<String> {
    let quoted: Vec<String> = words.iter().map(|w| format!("\"{w}\"")).collect();
    (!quoted.is_empty()).then(|| format!("did you mean {}?", quoted.join(" or ")))
}

/// A line for what went wrong, if there is something to say.
pub fn of_error(session: &Session, error: &Error) -> Option<String> {
    if !errors_at_terminal(session) {
        return None;
    }
    let text = match error {
        Error::NoMatch { resource, .. } => {
            let all = session.discovery().ok()?.all();
            let names =
                all.iter().flat_map(|r| [r.name.as_str(), r.singular.as_str()]).filter(|n| !n.is_empty());
            meant(&nearest(resource, names))
        }
        Error::Status(status) => unknown_field(&status.message),
        Error::Text(text) if session.call.path() == "explain" => {
            explained(session, text).or_else(|| unknown_field(text))
        }
        Error::Text(text) => unknown_field(text),
        Error::Many(all) => return all.iter().find_map(|e| of_error(session, e)),
        _ => None,
    };
    text.map(|text| line(&text))
}

/// `strict decoding error: unknown field "spec.contaners"`, of a built-in kind.
fn unknown_field(message: &str) -> Option<String> {
    let path = message.split("unknown field \"").nth(1)?.split('"').next()?;
    let kind = message.split("cannot be handled as a ").nth(1)?.split(':').next()?;
    let of = facts::kinds().iter().find(|k| k.kind == kind)?.type_of();
    field(of, &path.split('.').map(|p| p.split('[').next().unwrap_or(p)).collect::<Vec<_>>())
}

/// Fields like the last one of a path.
fn field(mut of: &'static facts::Type, path: &[&str]) -> Option<String> {
    let (last, before) = path.split_last()?;
    for part in before {
        of = inside(of.field(part)?.value())?;
    }
    meant(&nearest(last, of.fields().iter().map(|f| f.name)))
}

fn inside(holds: &'static facts::Value) -> Option<&'static facts::Type> {
    match holds {
        facts::Value::Struct(at) => Some(facts::struct_type(*at)),
        facts::Value::Array { of, .. } | facts::Value::Map { of, .. } => inside(facts::value(*of)),
        _ => None,
    }
}

/// `explain pods.spec.contaners`: `field "contaners" does not exist`.
fn explained(session: &Session, message: &str) -> Option<String> {
    message.contains("does not exist").then_some(())?;
    let mut path = session.call.args.first()?.split('.');
    let resource = session.discovery().ok()?.find(session, path.next()?).ok()?;
    let of = facts::kind(&resource.group, &resource.version, &resource.kind)?;
    let parts: Vec<&str> = path.collect();
    // The first that is not there is what was mistyped.
    (1..=parts.len()).find_map(|end| field(of, &parts[..end]))
}

/// How often what moves on a terminal moves.
const FRAME: Duration = Duration::from_millis(200);

/// The next frame.
async fn frame() {
    SystemClock.sleep(FRAME).await;
}
