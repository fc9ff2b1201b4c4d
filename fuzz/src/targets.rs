//! The decoders, in one table. A target panics when something that must hold does not; what it returns is the sort of its
//! answer.

mod credentials;
mod documents;
mod streams;
mod texts;

/// One decoder.
#[derive(Debug)]
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]) -> String,
    /// So many changed inputs are tried by the plain test.
    pub in_test: u64,
}

const fn target(name: &'static str, run: fn(&[u8]) -> String, in_test: u64) -> Target {
    Target { name, run, in_test }
}

/// Every target; each has its folder in `corpus`.
pub const TARGETS: &[Target] = &[
    target("certificate", credentials::certificate, 300),
    target("continue", texts::continuation, 1000),
    target("cron", texts::cron, 300),
    target("dns", texts::dns, 500),
    target("exec-spdy", streams::exec_spdy, 60),
    target("exec-websocket", streams::exec_websocket, 60),
    target("json", documents::json, 150),
    target("json-patch", documents::json_patch, 150),
    target("jwt", credentials::jwt, 500),
    target("kubeconfig", credentials::kubeconfig, 150),
    target("merge-patch", documents::merge_patch, 150),
    target("path", texts::path, 1000),
    target("port-forward", streams::port_forward, 60),
    target("port-forward-websocket", streams::port_forward_websocket, 60),
    target("protobuf", documents::protobuf, 300),
    target("quantity", texts::quantity, 1000),
    target("selector", texts::selector, 500),
    target("server-side-apply", documents::server_side_apply, 100),
    target("strategic-merge-patch", documents::strategic_merge_patch, 150),
    target("yaml", documents::yaml, 150),
];

/// The target of that name.
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|t| t.name == name)
}

/// An answer, good or bad, in a word or a sentence.
fn told<T, E: std::fmt::Display>(answer: Result<T, E>) -> String {
    match answer {
        Ok(_) => "fine".into(),
        Err(e) => e.to_string(),
    }
}
