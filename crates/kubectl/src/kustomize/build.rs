//! One kustomization after the other, from the bases up. Start at [`Target::build`].

use serde_json::{Value, json};

use super::load::Loader;
use super::names::{self, Variable};
use super::patch::{self, Patch};
use super::paths::Spec;
use super::resource::{Resource, Set};
use super::specs::Specs;
use super::{Res, crds, generate, kustomization, order, plugins, replace, text, transform};

/// What stock 1.37 calls its kustomize.
const MANAGED_BY: &str = "kustomize-v5.8.1";

/// Resources so far, and what later steps need to know.
#[derive(Debug, Default)]
struct Gathered {
    set: Set,
    specs: Specs,
    variables: Vec<Variable>,
}

impl Gathered {
    fn merge(&mut self, other: Gathered) -> Res<()> {
        self.set.append_all(other.set)?;
        self.specs.merge(&other.specs);
        other.variables.into_iter().try_for_each(|v| self.declare(v))
    }

    fn declare(&mut self, variable: Variable) -> Res<()> {
        if self.variables.iter().any(|v| v.name == variable.name) {
            return Err(format!("var '{}' already encountered", variable.name));
        }
        self.variables.push(variable);
        Ok(())
    }
}

/// A kustomization that was read.
pub struct Target<'t> {
    config: Value,
    file: String,
    loader: Loader,
    /// Where it stands, seen from the first one; for annotations of origin.
    place: String,
    /// Which annotations of origin are asked for.
    metadata: Vec<String>,
    /// The OpenAPI document that says how patches merge.
    document: Option<Value>,
    warn: &'t mut dyn FnMut(&str),
}

fn texts(config: &Value, key: &str) -> Vec<String> {
    config[key].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn items<'c>(config: &'c Value, key: &str) -> Vec<&'c Value> {
    config[key].as_array().into_iter().flatten().collect()
}

fn document(config: &Value, loader: &Loader) -> Res<Option<Value>> {
    if let Some(path) = config["openapi"]["path"].as_str() {
        return Ok(Some(codec::yaml::to_value(loader.text(path)?.as_bytes())?));
    }
    match config["openapi"]["version"].as_str() {
        // Tables of one version stand for all that stock knows by name.
        Some(version) if version != "v1.21.2" && version != "v1.20.4" && version != "v1.19.1" => {
            Err("the specified OpenAPI version is not built in".into())
        }
        _ => Ok(None),
    }
}

impl<'t> Target<'t> {
    pub fn load(loader: Loader, warn: &'t mut dyn FnMut(&str)) -> Res<Self> {
        let (config, file) = kustomization::load(&loader, warn)?;
        let document = document(&config, &loader)?;
        let metadata = texts(&config, "buildMetadata");
        Ok(Target { config, file, loader, place: String::new(), metadata, document, warn })
    }

    /// Everything, in its order.
    pub fn build(mut self) -> Res<Vec<Value>> {
        let mut all = Gathered::default();
        self.gather(&mut all)?;
        transform::hashes(&mut all.set);
        names::references(&mut all.set, &all.specs)?;
        let unused = names::variables(&mut all.set, &all.variables, &all.specs.variables)?;
        if !unused.is_empty() {
            (self.warn)(&format!("well-defined vars that were never replaced: {}", unused.join(",")));
        }
        let local =
            |r: &Resource| !r.value["metadata"]["annotations"]["config.kubernetes.io/local-config"].is_null();
        all.set.0.retain(|r| !local(r));
        order::sort(&mut all.set, &self.config["sortOptions"])?;
        if self.tells("managedByLabel") {
            let label = json!({ "app.kubernetes.io/managed-by": MANAGED_BY });
            let spec = Spec::new(super::resource::Gvk::default(), "metadata/labels", true);
            transform::texts(&mut all.set, label.as_object().unwrap_or(&serde_json::Map::new()), &[spec])?;
        }
        for resource in &mut all.set.0 {
            self.annotate(resource);
        }
        Ok(all.set.0.into_iter().map(|r| r.value).collect())
    }

    fn tells(&self, what: &str) -> bool {
        self.metadata.iter().any(|m| m == what)
    }

    fn annotate(&self, resource: &mut Resource) {
        let mut put = |key: &str, text: String| {
            if let Some(meta) = super::resource::object(&mut resource.value, "metadata") {
                let annotations = meta.entry("annotations").or_insert_with(|| json!({}));
                annotations[key] = text.into();
            }
        };
        if self.tells("originAnnotations")
            && let Some(origin) = &resource.origin
        {
            let text = match origin["path"].is_null() {
                true => configured(origin).replacen("- ", "", 1).replace("\n  ", "\n"),
                false => codec::yaml::from_value(origin),
            };
            put("config.kubernetes.io/origin", text);
        }
        if self.tells("transformerAnnotations") && !resource.changed_by.is_empty() {
            // In stock's order of fields, which is not that of the alphabet.
            let list: String = resource.changed_by.iter().map(configured).collect();
            put("alpha.config.kubernetes.io/transformations", list);
        }
    }

    fn gather(&mut self, all: &mut Gathered) -> Res<()> {
        let config = self.config.clone();
        self.resources(all, &texts(&config, "resources"))
            .map_err(|e| format!("accumulating resources: {e}"))?;
        for path in texts(&config, "configurations") {
            let read = codec::yaml::to_value(self.loader.text(&path)?.as_bytes())?;
            all.specs.add(&read);
        }
        let paths = texts(&config, "crds");
        for path in &paths {
            let read = self.loader.text(path).and_then(|t| codec::yaml::to_value(t.as_bytes()));
            let read = read.map_err(|e| format!("loading CRDs [{}]: {e}", paths.join(" ")))?;
            crds::learn(&read, &mut all.specs);
        }
        self.generate(all)?;
        self.components(all).map_err(|e| format!("accumulating components: {e}"))?;
        self.transform(all)?;
        self.validate(all)?;
        for variable in items(&config, "vars") {
            let variable = Variable::read(variable)?;
            let merging = |e| format!("merging vars {:?}: {e}", texts(&config, "vars"));
            variable.mark(&mut all.set).map_err(merging)?;
            all.declare(variable).map_err(merging)?;
        }
        Ok(())
    }

    /// Files and directories.
    fn resources(&mut self, all: &mut Gathered, paths: &[String]) -> Res<()> {
        for path in paths {
            let Err(first) = self.file(all, path) else { continue };
            let loader = match self.loader.enter(path) {
                Ok(loader) => loader,
                Err(_) if first.malformed => return Err(first.text),
                Err(why) => return Err(format!("accumulation err='{}': {why}", first.text)),
            };
            self.directory(all, loader, path, false).map_err(|why| match first.malformed {
                true => first.text.clone(),
                false => format!("accumulation err='{}': {why}", first.text),
            })?;
        }
        Ok(())
    }

    fn joined(&self, path: &str) -> String {
        let mut parts: Vec<&str> = Vec::new();
        for part in self.place.split('/').chain(path.split('/')).filter(|p| !p.is_empty() && *p != ".") {
            match part {
                ".." if parts.last().is_some_and(|p| *p != "..") => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        parts.join("/")
    }

    fn file(&mut self, all: &mut Gathered, path: &str) -> Result<(), NotAFile> {
        let reading = |why: String, malformed: bool| NotAFile {
            text: format!("accumulating resources from '{path}': {why}"),
            malformed,
        };
        let body = self.loader.text(path).map_err(|why| reading(why, false))?;
        let objects = text::objects(&body)
            .map_err(|why| reading(format!("MalformedYAMLError: {why} in File: {path}"), true))?;
        for object in objects {
            named(&object).map_err(|why| reading(why, false))?;
            let origin = Some(json!({ "path": self.joined(path) }));
            let resource = Resource { origin, ..Resource::new(object) };
            all.set.append(resource).map_err(|why| NotAFile {
                text: format!("merging resources from '{path}': {why}"),
                malformed: false,
            })?;
        }
        Ok(())
    }

    fn directory(&mut self, all: &mut Gathered, loader: Loader, path: &str, component: bool) -> Res<()> {
        let root = loader.root().display().to_string();
        let place = self.joined(path);
        let mut inner = Target::load(loader, &mut *self.warn)
            .map_err(|why| format!("couldn't make target for path '{root}': {why}"))?;
        inner.metadata.clone_from(&self.metadata);
        inner.place = place;
        if inner.document.is_none() {
            inner.document.clone_from(&self.document);
        }
        let kind = inner.config["kind"].as_str().filter(|k| !k.is_empty()).unwrap_or("Kustomization");
        match (component, kind == "Component") {
            (true, false) => {
                return Err(format!("expected kind 'Component' for path '{root}' but got '{kind}'"));
            }
            (false, true) => return Err(format!("expected kind != 'Component' for path '{root}'")),
            _ => {}
        }
        let recursed = |why| format!("recursed accumulation of path '{root}': {why}");
        if component {
            return inner.gather(all).map_err(recursed);
        }
        let mut own = Gathered::default();
        inner.gather(&mut own).map_err(recursed)?;
        all.merge(own).map_err(|why| format!("recursed merging from path '{root}': {why}"))
    }

    fn components(&mut self, all: &mut Gathered) -> Res<()> {
        for path in texts(&self.config, "components") {
            let loader =
                self.loader.enter(&path).map_err(|why| format!("loader.New {}", crate::text::quote(&why)))?;
            self.directory(all, loader, &path, true)
                .map_err(|why| format!("accumulateDirectory: {}", crate::text::quote(&why)))?;
        }
        Ok(())
    }

    /// Where a built-in plugin was configured.
    fn configured_by(&self, kind: &str) -> Value {
        let file = self.joined(&self.file);
        json!({ "configuredIn": file, "configuredBy": { "apiVersion": "builtin", "kind": kind } })
    }

    fn generate(&mut self, all: &mut Gathered) -> Res<()> {
        let config = self.config.clone();
        for (key, kind) in [("configMapGenerator", "ConfigMap"), ("secretGenerator", "Secret")] {
            for args in items(&config, key) {
                let mut made = generate::generate(kind, args, &config["generatorOptions"], &self.loader)?;
                made.origin = Some(self.configured_by(&format!("{kind}Generator")));
                all.set
                    .absorb(made)
                    .map_err(|why| format!("merging from generator {kind}Generator: {why}"))?;
            }
        }
        let charts =
            items(&config, "helmCharts").into_iter().chain(items(&config, "helmChartInflationGenerator"));
        if let Some(chart) = charts.into_iter().next() {
            return Err(patch::trouble("HelmChartInflationGenerator", chart, "must specify --enable-helm"));
        }
        for plugin in self.plugins(&texts(&config, "generators"))? {
            let made = plugins::generate(&plugin, &self.loader)
                .map_err(|why| format!("loading generator plugins: failed to load generator: {why}"))?;
            all.set.absorb(made).map_err(|why| {
                format!("merging from generator {}: {why}", plugin["kind"].as_str().unwrap_or_default())
            })?;
        }
        Ok(())
    }

    /// Configurations of plugins: inline, or from files and directories.
    fn plugins(&mut self, entries: &[String]) -> Res<Vec<Value>> {
        let mut found = Gathered::default();
        let mut paths = Vec::new();
        for entry in entries {
            match text::objects(entry) {
                Ok(objects) if !objects.is_empty() && objects.iter().all(|o| named(o).is_ok()) => {
                    // Two of one name are allowed here only if their kinds differ.
                    for object in objects {
                        found.set.append(Resource::new(object))?;
                    }
                }
                _ => paths.push(entry.clone()),
            }
        }
        self.resources(&mut found, &paths)?;
        Ok(found.set.0.into_iter().map(|r| r.value).collect())
    }

    /// Runs a step; resources can tell of it, also those that it left as they are.
    fn step(&self, set: &mut Set, kind: &str, run: impl FnOnce(&mut Set) -> Res<()>) -> Res<()> {
        run(set)?;
        if self.tells("transformerAnnotations") {
            let by = self.configured_by(kind);
            set.0.iter_mut().for_each(|r| r.changed_by.push(by.clone()));
        }
        Ok(())
    }

    /// The steps of a kustomization, in stock's order.
    fn transform(&mut self, all: &mut Gathered) -> Res<()> {
        let (config, specs) = (self.config.clone(), all.specs.clone());
        let (loader, document) = (self.loader.clone(), self.document.clone());
        let document = document.as_ref();
        let text = |key: &str| config[key].as_str().unwrap_or_default();
        let set = &mut all.set;
        if !items(&config, "patchesStrategicMerge").is_empty() {
            let paths = json!({ "paths": config["patchesStrategicMerge"] });
            self.step(set, "PatchStrategicMergeTransformer", |set| {
                patch::strategic_list(&paths, &loader, set, document)
            })?;
        }
        for item in items(&config, "patches") {
            let patch = Patch::read(item, &loader)?;
            self.step(set, "PatchTransformer", |set| patch.apply(set, document))?;
        }
        if !text("namespace").is_empty() {
            self.step(set, "NamespaceTransformer", |set| {
                transform::namespace(set, text("namespace"), &specs.namespace, false)
            })?;
        }
        if !text("namePrefix").is_empty() {
            self.step(set, "PrefixTransformer", |set| {
                transform::affix(set, text("namePrefix"), false, &specs.prefix)
            })?;
        }
        if !text("nameSuffix").is_empty() {
            self.step(set, "SuffixTransformer", |set| {
                transform::affix(set, text("nameSuffix"), true, &specs.suffix)
            })?;
        }
        let labels = items(&config, "labels");
        for label in &labels {
            self.step(set, "LabelTransformer", |set| transform::labels(set, label, &specs))?;
        }
        // Stock counts these also where only the others are given.
        let common = config["commonLabels"].as_object().cloned().unwrap_or_default();
        if !(common.is_empty() && labels.is_empty()) {
            self.step(set, "LabelTransformer", |set| transform::texts(set, &common, &specs.common_labels))?;
        }
        if let Some(pairs) = config["commonAnnotations"].as_object().filter(|m| !m.is_empty()) {
            self.step(set, "AnnotationsTransformer", |set| transform::texts(set, pairs, &specs.annotations))?;
        }
        for item in items(&config, "patchesJson6902") {
            self.step(set, "PatchJson6902Transformer", |set| patch::json_item(item, &loader, set))?;
        }
        for item in items(&config, "replicas") {
            self.step(set, "ReplicaCountTransformer", |set| transform::replicas(set, item, &specs.replicas))?;
        }
        for item in items(&config, "images") {
            self.step(set, "ImageTagTransformer", |set| transform::images(set, item, &specs.images))?;
        }
        for item in items(&config, "replacements") {
            self.step(set, "ReplacementTransformer", |set| replace::replace(item, &loader, set))?;
        }
        for plugin in self.plugins(&texts(&config, "transformers"))? {
            plugins::transform(&plugin, &loader, document, &mut all.set)?;
        }
        Ok(())
    }

    /// Validators may look, and change nothing.
    fn validate(&mut self, all: &mut Gathered) -> Res<()> {
        for plugin in self.plugins(&texts(&self.config.clone(), "validators"))? {
            let before = all.set.clone();
            plugins::transform(&plugin, &self.loader, self.document.as_ref(), &mut all.set)?;
            let changed = |old: &&Resource| {
                let same = all.set.0.iter().find(|new| new.id().same(&old.id()));
                same.is_none_or(|new| new.value != old.value)
            };
            if let Some(old) = before.0.iter().find(changed) {
                return Err(format!(
                    "validator shouldn't modify the resource map: id in self missing from other; id: {}",
                    old.id()
                ));
            }
            if before.0.len() != all.set.0.len() {
                return Err(
                    "validator shouldn't modify the resource map: lists have different number of entries"
                        .into(),
                );
            }
        }
        Ok(())
    }
}

/// Why a path is no file of resources.
#[derive(Debug)]
struct NotAFile {
    text: String,
    /// It is one, but cannot be read.
    malformed: bool,
}

/// Whether the object says what it is.
fn named(object: &Value) -> Res<()> {
    if !object.is_object() {
        return Err("expected a map".into());
    }
    // As Go shows the metadata.
    let shown = || {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let pairs = |value: &Value| {
            let pairs = value.as_object().into_iter().flatten();
            pairs.map(|(k, v)| format!("{k}:{}", text(v))).collect::<Vec<_>>().join(" ")
        };
        let meta = &object["metadata"];
        format!(
            "{{{{{} {}}} {{{{{} {}}} map[{}] map[{}]}}}}",
            text(&object["apiVersion"]),
            text(&object["kind"]),
            text(&meta["name"]),
            text(&meta["namespace"]),
            pairs(&meta["labels"]),
            pairs(&meta["annotations"])
        )
    };
    if object["kind"].as_str().unwrap_or_default().is_empty() {
        return Err(format!("missing kind in object {}", shown()));
    }
    let list = object["kind"].as_str().is_some_and(|k| k.ends_with("List"));
    if object["metadata"]["name"].as_str().unwrap_or_default().is_empty() && !list {
        return Err(format!("missing metadata.name in object {}", shown()));
    }
    Ok(())
}

/// One item of the annotation about transformations.
fn configured(by: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!(
        "- configuredIn: {}\n  configuredBy:\n    apiVersion: {}\n    kind: {}\n",
        text(&by["configuredIn"]),
        text(&by["configuredBy"]["apiVersion"]),
        text(&by["configuredBy"]["kind"])
    )
}
