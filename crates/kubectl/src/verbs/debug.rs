//! `debug`: a container beside a pod's own, in a copy of the pod, or on a node. Start at [`run`]; `profile` says what it may do.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use crate::change::STRATEGIC;
use crate::discovery::query;
use crate::error::{Error, Result};
use crate::session::{Request, Session};
use crate::strategic;
use crate::stream::{Chunks, Events};
use crate::targets::{Query, Target};
use crate::verbs::exec::{self, Streams};

mod profile;
#[cfg(test)]
mod tests;

use profile::{Keep, Profile, Style};

/// What is asked for, checked.
struct Options<'s> {
    session: &'s Session,
    names: Vec<String>,
    command: Vec<String>,
    profile: Profile,
    custom: Option<Value>,
    set_images: BTreeMap<String, String>,
    env: Vec<Value>,
    attach: bool,
}

pub fn run(session: &Session) -> Result<()> {
    let options = Options::of(session)?;
    let call = &session.call;
    let files = call.list("filename");
    let found = if files.is_empty() {
        let words: Vec<String> = match options.names.iter().any(|n| n.contains('/')) {
            true => options.names.clone(),
            false => ["pods".to_owned()].into_iter().chain(options.names.iter().cloned()).collect(),
        };
        Query { args: words, latest: true, ..Query::default() }.all(session)
    } else {
        Query { files, latest: true, ..Query::default() }.all(session)
    };
    // One after the other: what is wrong first is all that is said.
    let found = found.map_err(|e| match e {
        Error::Many(all) => all.into_iter().next().unwrap_or(Error::Silent(1)),
        e => e,
    })?;
    for target in found {
        let (debugged, container) = match (target.resource.group.as_str(), target.resource.kind.as_str()) {
            ("", "Node") => options.on_node(&target)?,
            ("", "Pod") if !call.text("copy-to").is_empty() => options.in_a_copy(&target)?,
            ("", "Pod") => options.beside(&target)?,
            (_, kind) => {
                let r = &target.resource;
                let group = if r.group.is_empty() { "" } else { &r.group };
                return Err(Error::text(format!(
                    "\"{group}/{}, Kind={kind}\" not supported by debug",
                    r.version
                )));
            }
        };
        if options.attach && !container.is_empty() {
            options.attach_to(&debugged, &container)?;
        }
    }
    Ok(())
}

/// `key=value` pairs of a flag.
fn pairs(session: &Session, flag: &str) -> Result<Vec<(String, String)>> {
    let pair = |text: String| match text.split_once('=') {
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None => Err(Error::text(format!(
            "invalid argument {} for \"--{flag}\" flag: {text} must be formatted as key=value\nSee 'kubectl debug --help' for usage.",
            crate::text::quote(&text)
        ))),
    };
    session.call.list(flag).into_iter().map(pair).collect()
}

/// Whether it could be an image's name.
fn is_image(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-/:@[]+".contains(c);
    !name.is_empty() && name.chars().all(fits) && !name.starts_with(['/', ':', '@', '-', '.'])
}

impl<'s> Options<'s> {
    fn of(session: &'s Session) -> Result<Self> {
        let call = &session.call;
        let (names, command) = call.split_at_dash();
        let set_images: BTreeMap<String, String> = pairs(session, "set-image")?.into_iter().collect();
        let env: BTreeMap<String, String> = pairs(session, "env")?.into_iter().collect();
        let keep = Keep {
            labels: call.is("keep-labels"),
            annotations: call.is("keep-annotations"),
            liveness: call.is("keep-liveness"),
            readiness: call.is("keep-readiness"),
            startup: call.is("keep-startup"),
            init_containers: call.is("keep-init-containers"),
        };
        let profile = Profile::named(call.text("profile"), keep)?;
        let options = Options {
            session,
            names: names.to_vec(),
            command: command.to_vec(),
            profile,
            custom: custom(call.text("custom"))?,
            set_images,
            env: env.into_iter().map(|(name, value)| json!({ "name": name, "value": value })).collect(),
            attach: call.is("attach") || call.is("stdin") && !call.changed("attach"),
        };
        if profile.is_legacy() {
            eprintln!(
                "--profile=legacy is deprecated and planned to be removed in v1.39. It is recommended to specify other profile, for example \"--profile=general\"."
            );
        }
        options.check()?;
        Ok(options)
    }

    fn text(&self, flag: &str) -> &str {
        self.session.call.text(flag)
    }

    fn is(&self, flag: &str) -> bool {
        self.session.call.is(flag)
    }

    fn check(&self) -> Result<()> {
        let call = &self.session.call;
        let (image, container) = (call.text("image"), call.text("container"));
        let bad = |text: &str| Err(Error::text(text));
        if self.attach && call.changed("attach") && image.is_empty() && container.is_empty() {
            return bad(
                "you must specify --container or create a new container using --image in order to attach.",
            );
        }
        if call.text("copy-to").is_empty() {
            for flag in ["replace", "same-node"] {
                if call.is(flag) {
                    return Err(Error::text(format!("--{flag} may only be used with --copy-to.")));
                }
            }
            if !self.set_images.is_empty() {
                return bad("--set-image may only be used with --copy-to.");
            }
            if image.is_empty() {
                return bad("you must specify --image when not using --copy-to.");
            }
        } else {
            if image.is_empty() && self.set_images.is_empty() && self.command.is_empty() {
                return bad("you must specify --image, --set-image or command arguments.");
            }
            if !self.command.is_empty() && container.is_empty() && image.is_empty() {
                return bad("you must specify an existing container or a new image when specifying args.");
            }
        }
        if !image.is_empty() && !is_image(image) {
            let image = crate::text::quote(image);
            return Err(Error::text(format!("invalid image name {image}: invalid reference format")));
        }
        if self.names.is_empty() && call.list("filename").is_empty() {
            return bad("NAME or filename is required for debug");
        }
        let policy = call.text("image-pull-policy");
        if !matches!(policy, "" | "Always" | "IfNotPresent" | "Never") {
            return Err(Error::text(format!("invalid image pull policy: {policy}")));
        }
        if let Some((name, image)) = self.set_images.iter().find(|(_, image)| !is_image(image)) {
            let (name, image) = (crate::text::quote(name), crate::text::quote(image));
            return Err(Error::text(format!(
                "invalid image name {image} for container {name}: invalid reference format"
            )));
        }
        let target = call.text("target");
        if !target.is_empty() {
            if !call.text("copy-to").is_empty() {
                return bad("--target is incompatible with --copy-to. Use --share-processes instead.");
            }
            if !call.is("quiet") {
                eprintln!(
                    "Targeting container {}. If you don't see processes from this container it may be because the container runtime doesn't support this feature.",
                    crate::text::quote(target)
                );
            }
        }
        if call.is("tty") && !call.is("stdin") {
            return bad("-i/--stdin is required for containers with -t/--tty=true");
        }
        Ok(())
    }

    /// The container's name: given, or made up, which is said.
    fn container_name(&self) -> String {
        let given = self.text("container");
        if !given.is_empty() {
            return given.to_owned();
        }
        let name = format!("debugger-{}", stdx::Random::from_os().name_suffix(5));
        if !self.is("quiet") {
            println!("Defaulting debug container name to {name}.");
        }
        name
    }

    fn with_words(&self, container: &mut Value) {
        if !self.command.is_empty() {
            match self.is("arguments-only") {
                true => container["args"] = json!(self.command),
                false => {
                    container["command"] = json!(self.command);
                    if let Some(map) = container.as_object_mut() {
                        map.remove("args");
                    }
                }
            }
        }
    }

    /// A new container, as the flags say.
    fn container(&self, name: &str) -> Value {
        let mut made = json!({
            "name": name, "image": self.text("image"), "terminationMessagePolicy": "File", "resources": {},
        });
        self.with_words(&mut made);
        self.with_flags(&mut made);
        made
    }

    fn with_flags(&self, container: &mut Value) {
        if !self.env.is_empty() {
            container["env"] = json!(self.env);
        }
        if !self.text("image-pull-policy").is_empty() {
            container["imagePullPolicy"] = json!(self.text("image-pull-policy"));
        }
        for flag in ["stdin", "tty"] {
            match (self.is(flag), container.as_object_mut()) {
                (true, Some(map)) => drop(map.insert(flag.into(), json!(true))),
                (false, Some(map)) => drop(map.remove(flag)),
                _ => {}
            }
        }
    }

    /// What the profile and the user's own part of it make of the container in the pod.
    fn finish(&self, pod: &mut Value, list: &str, name: &str, style: Style) -> Result<()> {
        self.profile.apply(pod, list, name, style);
        let Some(custom) = &self.custom else { return Ok(()) };
        let of = facts::type_named("io.k8s.api.core.v1.Container");
        let containers = pod["spec"][list].as_array_mut().into_iter().flatten();
        for container in containers.filter(|c| c["name"] == name) {
            *container = match of {
                Some(of) => apimachinery::patch::strategic_merge(
                    container.take(),
                    custom.clone(),
                    codec::schema::of_type(of),
                )?,
                None => apimachinery::patch::merge_patch(container.take(), custom.to_string().as_bytes())?,
            };
        }
        Ok(())
    }

    fn post(&self, target: &Target, object: &Value) -> Result<Target> {
        let path = target.resource.path(&target.namespace, "");
        let made = self.session.value(&Request::with(Method::POST, path, object))?;
        Ok(Target::of(target.resource.clone(), made))
    }

    /// An ephemeral container in the pod itself.
    fn beside(&self, pod: &Target) -> Result<(Target, String)> {
        let name = self.container_name();
        let mut container = self.container(&name);
        if !self.text("target").is_empty() {
            container["targetContainerName"] = json!(self.text("target"));
        }
        let mut wanted = pod.object.clone();
        let list = &mut wanted["spec"]["ephemeralContainers"];
        match list.as_array_mut() {
            Some(list) => list.push(container),
            None => *list = json!([container]),
        }
        self.finish(&mut wanted, "ephemeralContainers", &name, Style::Ephemeral)?;
        if self.profile.wants_root() && is_not_root(&pod.object) {
            self.session.note(NOT_ROOT);
        }
        let patch = strategic::two_way(&pod.object, &wanted, facts::kind("", "v1", "Pod"));
        let path = format!("{}/ephemeralcontainers", pod.path());
        let request = Request { content_type: STRATEGIC, ..Request::with(Method::PATCH, path, &patch) };
        let changed = self.session.value(&request).map_err(|e| match e.status() {
            // The pod is there: it is the subresource that is not.
            Some(status)
                if status.reason == "NotFound"
                    && status.details.as_ref().is_none_or(|d| d.name.is_empty()) =>
            {
                Error::text(format!(
                    "ephemeral containers are disabled for this cluster (error from server: {}).",
                    crate::text::quote(&status.message)
                ))
            }
            _ => e,
        })?;
        Ok((Target { object: changed, ..pod.clone() }, name))
    }

    /// A copy of the pod with a container more, or changed.
    fn in_a_copy(&self, pod: &Target) -> Result<(Target, String)> {
        let (mut copy, name) = self.copied(pod)?;
        if !name.is_empty() {
            self.finish(&mut copy, "containers", &name, Style::Copy)?;
            if self.profile.wants_root() && is_not_root(&pod.object) {
                self.session.note(NOT_ROOT);
            }
        }
        if self.is("replace") {
            self.session.send(&Request { method: Method::DELETE, ..Request::get(pod.path()) })?;
        }
        Ok((self.post(pod, &copy)?, name))
    }

    fn copied(&self, pod: &Target) -> Result<(Value, String)> {
        let meta = &pod.object["metadata"];
        let mut copy = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": self.text("copy-to"), "namespace": meta["namespace"],
                "labels": meta["labels"], "annotations": meta["annotations"],
            },
            "spec": pod.object["spec"],
        });
        let spec = &mut copy["spec"];
        if let Some(spec) = spec.as_object_mut() {
            spec.remove("ephemeralContainers");
            if !self.is("same-node") {
                spec.remove("nodeName");
            }
        }
        if self.session.call.changed("share-processes") {
            spec["shareProcessNamespace"] = json!(self.is("share-processes"));
        }
        let Some(containers) = spec["containers"].as_array_mut() else {
            return Err(Error::text("the pod has no containers"));
        };
        for container in containers.iter_mut() {
            let own = container["name"].as_str().and_then(|name| self.set_images.get(name));
            if let Some(image) = own.or_else(|| self.set_images.get("*")) {
                container["image"] = json!(image);
            }
        }
        let (asked, image) = (self.text("container"), self.text("image"));
        if let Some(found) = containers.iter_mut().find(|c| c["name"] == asked) {
            self.with_words(found);
            if !image.is_empty() {
                found["image"] = json!(image);
            }
            self.with_flags(found);
            return Ok((copy, asked.to_owned()));
        }
        if image.is_empty() {
            return match self.set_images.is_empty() {
                false => Ok((copy, String::new())),
                true => Err(Error::text("you must specify image when creating new container")),
            };
        }
        let name = self.container_name();
        containers.push(self.container(&name));
        Ok((copy, name))
    }

    /// A pod in the node's own namespaces.
    fn on_node(&self, node: &Target) -> Result<(Target, String)> {
        let container = if self.text("container").is_empty() { "debugger" } else { self.text("container") };
        let name = format!("node-debugger-{}-{}", node.name, stdx::Random::from_os().name_suffix(5));
        if !self.is("quiet") {
            eprintln!("Creating debugging pod {name} with container {container} on node {}.", node.name);
        }
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": name, "labels": { "app.kubernetes.io/managed-by": "kubectl-debug" } },
            "spec": {
                "containers": [self.container(container)], "nodeName": node.name, "restartPolicy": "Never",
                "tolerations": [{ "operator": "Exists" }],
            },
        });
        self.finish(&mut pod, "containers", container, Style::Node)?;
        let (namespace, _) = self.session.namespace()?;
        let pods = self.session.discovery()?.of_kind(self.session, "v1", "Pod")?;
        let made = self.session.value(&Request::with(Method::POST, pods.path(&namespace, ""), &pod))?;
        Ok((Target::of(pods, made), container.to_owned()))
    }

    /// Waits for the container, then carries its streams; its log where that is too late.
    fn attach_to(&self, pod: &Target, container: &str) -> Result<()> {
        let state = self.started(pod, container)?;
        if state["terminated"].is_object() {
            return self.log(pod, container);
        }
        let streams = Streams { stdin: self.is("stdin"), tty: self.is("tty"), quiet: self.is("quiet") };
        if !streams.quiet {
            eprintln!(
                "All commands and output from this session will be recorded in container logs, including credentials and sensitive information passed through the command prompt."
            );
            eprintln!("If you don't see a command prompt, try pressing enter.");
        }
        match exec::run(self.session, pod, "attach", container, &[], &streams) {
            Ok(()) => Ok(()),
            Err(why) => {
                if !streams.quiet {
                    eprintln!(
                        "warning: couldn't attach to pod/{}, falling back to streaming logs: {why}",
                        pod.name
                    );
                }
                self.log(pod, container)
            }
        }
    }

    fn log(&self, pod: &Target, container: &str) -> Result<()> {
        let path = format!("{}/log{}", pod.path(), query(&[("container", container), ("follow", "true")]));
        let request = Request { accept: "*/*", ..Request::get(path) };
        let mut chunks = Chunks::open(self.session, &request)?;
        while let Some(data) = self.session.block_on(chunks.read())?? {
            let mut out = self.session.stdout();
            std::io::Write::write_all(&mut out, &data)?;
            std::io::Write::flush(&mut out)?;
        }
        Ok(())
    }

    /// The container's state once it runs or has ended. What it waits for is said.
    fn started(&self, pod: &Target, container: &str) -> Result<Value> {
        let mut said = String::new();
        let mut look = |object: &Value| -> Option<Value> {
            let state = state_of(object, container);
            if state["running"].is_object() || state["terminated"].is_object() {
                return Some(state.clone());
            }
            let waiting = state["waiting"]["message"].as_str().unwrap_or_default();
            if !waiting.is_empty() && waiting != said {
                waiting.clone_into(&mut said);
                self.session.note(&format!("container {container}: {waiting}"));
            }
            None
        };
        loop {
            let object = self.session.get(&pod.path())?;
            if let Some(state) = look(&object) {
                return Ok(state);
            }
            let version = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
            let name = format!("metadata.name={}", pod.name);
            let path = pod.resource.path(&pod.namespace, "")
                + &query(&[("fieldSelector", &name), ("resourceVersion", version), ("watch", "true")]);
            let found = self.session.block_on(async {
                let mut events = Events::connect(self.session, &Request::get(path)).await?;
                loop {
                    match events.read().await? {
                        Some((kind, _)) if kind == "DELETED" => {
                            let pods = format!("pods \"{}\" not found", pod.name);
                            return Err(apimachinery::Status::failure(404, "NotFound", pods).into());
                        }
                        Some((_, object)) => {
                            if let Some(state) = look(&object) {
                                return Ok::<_, Error>(Some(state));
                            }
                        }
                        None => return Ok(None),
                    }
                }
            })??;
            if let Some(state) = found {
                return Ok(state);
            }
            // The server closed the watch: a moment, then again.
            self.session.block_on(stdx::Clock::sleep(&stdx::SystemClock, Duration::from_millis(200)))?;
        }
    }
}

const NOT_ROOT: &str = "Non-root user is configured for the entire target Pod, and some capabilities granted by debug profile may not work. Please consider using \"--custom\" with a custom profile that specifies \"securityContext.runAsUser: 0\".";

fn is_not_root(pod: &Value) -> bool {
    let context = &pod["spec"]["securityContext"];
    context["runAsNonRoot"] == true || context["runAsUser"].as_i64().is_some_and(|user| user != 0)
}

fn state_of<'v>(pod: &'v Value, container: &str) -> &'v Value {
    let lists = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"];
    let all = lists.iter().flat_map(|list| pod["status"][*list].as_array().into_iter().flatten());
    all.into_iter().find(|s| s["name"] == container).map_or(&Value::Null, |s| &s["state"])
}

/// The user's own part of a container.
fn custom(path: &str) -> Result<Option<Value>> {
    if path.is_empty() {
        return Ok(None);
    }
    let text = std::fs::read(path).map_err(|e| {
        let why = crate::error::reason(&e);
        Error::text(format!("must pass a container spec json file for custom profile: open {path}: {why}"))
    })?;
    let value = codec::yaml::to_value(&text).map_err(|e| {
        Error::text(format!(
            "{path} does not contain a valid container spec: error converting YAML to JSON: {e}"
        ))
    })?;
    let fixed = ["name", "command", "image", "lifecycle", "volumeDevices"];
    if fixed.iter().any(|key| !value[key].is_null()) {
        return Err(Error::text(
            "name, command, image, lifecycle and volume devices are not modifiable via custom profile",
        ));
    }
    Ok(Some(value))
}
