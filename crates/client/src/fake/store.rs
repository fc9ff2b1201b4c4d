//! The fake's objects and what writes do to them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use apimachinery::selector::{FieldSelector, Selector};
use apimachinery::{GroupResource, Gvr, ObjectKey, Status};
use bytes::Bytes;
use serde_json::{Value, json};
use stdx::Random;
use stdx::clock::SharedClock;

use super::patch;
use crate::partial;
use crate::transport::{Change, PatchType, Request, Verb, ViewScope};

pub(super) type Objects = HashMap<Gvr, BTreeMap<ObjectKey, Arc<cache::Object>>>;

/// Kinds whose status is written through `status` alone.
const WITH_STATUS: &[&str] = &[
    "pods",
    "nodes",
    "namespaces",
    "replicationcontrollers",
    "replicasets",
    "deployments",
    "services",
    "daemonsets",
    "statefulsets",
    "jobs",
    "cronjobs",
    "poddisruptionbudgets",
];

pub(super) struct Store {
    clock: SharedClock,
    random: Random,
    revision: u64,
    objects: Objects,
    history: Vec<(u64, Gvr, Change)>,
    unpublished: usize,
    compacted: u64,
}

impl Store {
    pub(super) fn new(clock: SharedClock) -> Self {
        Store {
            clock,
            random: Random::seeded(1),
            revision: 1,
            objects: Objects::default(),
            history: Vec::new(),
            unpublished: 0,
            compacted: 0,
        }
    }

    pub(super) fn take_changes(&mut self) -> Vec<(Gvr, Change)> {
        let new =
            self.history[self.unpublished..].iter().map(|(_, gvr, c)| (gvr.clone(), c.clone())).collect();
        self.unpublished = self.history.len();
        new
    }

    pub(super) fn history_since(&self, gvr: &Gvr, revision: u64) -> Result<Vec<Change>, Status> {
        if revision < self.compacted {
            return Err(Status::expired(format!(
                "too old resource version: {revision} ({})",
                self.compacted
            )));
        }
        Ok(self
            .history
            .iter()
            .filter(|(at, of, _)| *at > revision && of == gvr)
            .map(|(_, _, change)| change.clone())
            .collect())
    }

    pub(super) fn compact(&mut self) {
        self.revision += 1;
        self.compacted = self.revision;
    }

    pub(super) fn serve(&mut self, r: &Request) -> Result<Bytes, Status> {
        let key = ObjectKey::new(&r.namespace, &r.name);
        match r.verb {
            Verb::Get => self.get(&r.gvr, &key),
            Verb::List => Ok(self.list_body(r)),
            Verb::Create if r.subresource == "binding" => self.bind(r, &key),
            Verb::Create => self.create(&r.gvr, &r.namespace, parse(&r.body)?, false),
            Verb::Update => self.update(r, &key, parse(&r.body)?),
            Verb::Patch => {
                let mut object = self.tree(&r.gvr, &key)?;
                let change = parse(&r.body)?;
                match r.options.patch_type {
                    Some(PatchType::Merge) => patch::merge(&mut object, change),
                    Some(PatchType::Strategic) => patch::strategic(&mut object, change),
                    other => return Err(Status::bad_request(format!("the fake knows no {other:?} patch"))),
                }
                self.update(r, &key, object)
            }
            Verb::Delete => self.delete(&r.gvr, &key, &r.body),
            Verb::DeleteCollection => self.delete_collection(r),
        }
    }

    fn current(&self, gvr: &Gvr, key: &ObjectKey) -> Result<&Arc<cache::Object>, Status> {
        let found = self.objects.get(gvr).and_then(|of| of.get(key));
        found.ok_or_else(|| Status::not_found(&gvr.group_resource(), &key.name))
    }

    pub(super) fn get(&self, gvr: &Gvr, key: &ObjectKey) -> Result<Bytes, Status> {
        Ok(self.current(gvr, key)?.json().clone())
    }

    fn tree(&self, gvr: &Gvr, key: &ObjectKey) -> Result<Value, Status> {
        parse(self.current(gvr, key)?.json())
    }

    pub(super) fn list(&self, gvr: &Gvr, scope: &ViewScope) -> Vec<Arc<cache::Object>> {
        let Some(objects) = self.objects.get(gvr) else { return Vec::new() };
        objects.values().filter(|o| matches(o, scope)).cloned().collect()
    }

    fn list_body(&self, r: &Request) -> Bytes {
        let scope = ViewScope {
            namespace: r.namespace.clone(),
            label_selector: r.options.label_selector.clone(),
            field_selector: r.options.field_selector.clone(),
        };
        let items: Vec<Value> =
            self.list(&r.gvr, &scope).iter().filter_map(|o| parse(o.json()).ok()).collect();
        let list = json!({"kind": "List", "apiVersion": "v1", "items": items,
            "metadata": {"resourceVersion": self.revision.to_string()}});
        list.to_string().into()
    }

    /// `whole`: keep status and metadata as given.
    pub(super) fn create(
        &mut self,
        gvr: &Gvr,
        namespace: &str,
        mut object: Value,
        whole: bool,
    ) -> Result<Bytes, Status> {
        let uid = self.random.uuid();
        let suffix = self.random.name_suffix(5);
        let now = self.now();
        let meta = &mut object["metadata"];
        if !namespace.is_empty() {
            meta["namespace"] = namespace.into();
        }
        if let (None, Some(prefix)) = (meta["name"].as_str(), meta["generateName"].as_str()) {
            meta["name"] = format!("{prefix}{suffix}").into();
        }
        if !whole || meta["uid"].is_null() {
            meta["uid"] = uid.into();
        }
        if !whole || meta["creationTimestamp"].is_null() {
            meta["creationTimestamp"] = now.into();
        }
        if meta["generation"].is_null() {
            meta["generation"] = 1.into();
        }
        let name = meta["name"].as_str().unwrap_or_default().to_owned();
        if name.is_empty() {
            return Err(Status::bad_request("name is required"));
        }
        let key = ObjectKey::new(namespace, &name);
        if self.current(gvr, &key).is_ok() {
            return Err(Status::already_exists(&gvr.group_resource(), &name));
        }
        Ok(self.put(gvr, object))
    }

    /// Stores the object as it is given.
    pub(super) fn replace(&mut self, gvr: &Gvr, key: &ObjectKey, object: Value) -> Result<Bytes, Status> {
        let old = self.tree(gvr, key)?;
        Ok(self.put_or_finish(gvr, key, &old, object))
    }

    pub(super) fn remove(&mut self, gvr: &Gvr, key: &ObjectKey) {
        self.revision += 1;
        let Some(old) = self.objects.get_mut(gvr).and_then(|of| of.remove(key)) else { return };
        self.history.push((self.revision, gvr.clone(), Change { old: Some(old), new: None }));
    }

    fn update(&mut self, r: &Request, key: &ObjectKey, mut new: Value) -> Result<Bytes, Status> {
        let resource = r.gvr.group_resource();
        let old = self.tree(&r.gvr, key)?;
        let version = new["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
        if !version.is_empty() && old["metadata"]["resourceVersion"] != version.as_str() {
            return Err(stale(&resource, &key.name));
        }
        let uid = new["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        if !uid.is_empty() && old["metadata"]["uid"] != uid.as_str() {
            return Err(Status::conflict(&resource, &key.name, "Precondition failed: UID in precondition"));
        }
        match r.subresource.as_str() {
            "status" => {
                // As in the API, annotations may come along.
                keep(&mut new, &old, "spec");
                keep(&mut new["metadata"], &old["metadata"], "labels");
            }
            "finalize" => {
                let finalizers = new["spec"]["finalizers"].take();
                new = old.clone();
                new["spec"]["finalizers"] = finalizers;
            }
            _ if WITH_STATUS.contains(&&*r.gvr.resource) => {
                keep(&mut new, &old, "status");
            }
            _ => {}
        }
        for field in ["uid", "creationTimestamp", "deletionTimestamp", "generation", "namespace"] {
            keep(&mut new["metadata"], &old["metadata"], field);
        }
        if new["spec"] != old["spec"] && r.subresource.is_empty() {
            new["metadata"]["generation"] = (old["metadata"]["generation"].as_i64().unwrap_or(0) + 1).into();
        }
        Ok(self.put_or_finish(&r.gvr, key, &old, new))
    }

    /// A write that takes away the last reason to keep a deleted object removes it. One that changes nothing is none.
    fn put_or_finish(&mut self, gvr: &Gvr, key: &ObjectKey, old: &Value, new: Value) -> Bytes {
        if new == *old {
            return new.to_string().into();
        }
        let finishing = !new["metadata"]["deletionTimestamp"].is_null() && !holds(&new);
        if finishing && holds(old) {
            self.remove(gvr, key);
            return new.to_string().into();
        }
        self.put(gvr, new)
    }

    fn put(&mut self, gvr: &Gvr, mut object: Value) -> Bytes {
        self.revision += 1;
        object["metadata"]["resourceVersion"] = self.revision.to_string().into();
        let json = Bytes::from(object.to_string());
        let new = partial::object(json.clone(), partial::indexed_fields(&gvr.resource));
        let new = Arc::new(new.expect("a tree's text is JSON"));
        let old = self.objects.entry(gvr.clone()).or_default().insert(new.key.clone(), new.clone());
        self.history.push((self.revision, gvr.clone(), Change { old, new: Some(new) }));
        json
    }

    fn bind(&mut self, r: &Request, key: &ObjectKey) -> Result<Bytes, Status> {
        let mut pod = self.tree(&r.gvr, key)?;
        let binding = parse(&r.body)?;
        if !pod["spec"]["nodeName"].is_null() {
            let why = format!("pod {} is already assigned to node {}", key.name, pod["spec"]["nodeName"]);
            return Err(Status::conflict(&r.gvr.group_resource(), &key.name, &why));
        }
        pod["spec"]["nodeName"] = binding["target"]["name"].clone();
        self.put(&r.gvr, pod);
        Ok(Bytes::from_static(
            br#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success","code":201}"#,
        ))
    }

    fn delete(&mut self, gvr: &Gvr, key: &ObjectKey, options: &[u8]) -> Result<Bytes, Status> {
        let resource = gvr.group_resource();
        let options = if options.is_empty() { Value::Null } else { parse(options)? };
        let old = self.tree(gvr, key)?;
        for field in ["uid", "resourceVersion"] {
            let wanted = &options["preconditions"][field];
            if !wanted.is_null() && *wanted != old["metadata"][field] {
                let why = format!("Precondition failed: {field} in precondition: {wanted}");
                return Err(Status::conflict(&resource, &key.name, &why));
            }
        }
        let mut new = old.clone();
        match options["propagationPolicy"].as_str() {
            Some("Orphan") => patch::add_to_set(&mut new["metadata"]["finalizers"], "orphan"),
            Some("Foreground") => patch::add_to_set(&mut new["metadata"]["finalizers"], "foregroundDeletion"),
            _ => {}
        }
        let grace = options["gracePeriodSeconds"]
            .as_i64()
            .or(new["spec"]["terminationGracePeriodSeconds"].as_i64())
            .unwrap_or(0);
        let waits_for_kubelet = *gvr.resource == *"pods" && grace > 0 && !new["spec"]["nodeName"].is_null();
        if !holds(&new) && !waits_for_kubelet {
            self.remove(gvr, key);
            return Ok(old.to_string().into());
        }
        if new["metadata"]["deletionTimestamp"].is_null() {
            new["metadata"]["deletionTimestamp"] = self.now().into();
            new["metadata"]["deletionGracePeriodSeconds"] = grace.into();
        }
        if *gvr.resource == *"namespaces" {
            new["status"]["phase"] = "Terminating".into();
        }
        Ok(self.put(gvr, new))
    }

    fn delete_collection(&mut self, r: &Request) -> Result<Bytes, Status> {
        let scope = ViewScope {
            namespace: r.namespace.clone(),
            label_selector: r.options.label_selector.clone(),
            field_selector: r.options.field_selector.clone(),
        };
        for object in self.list(&r.gvr, &scope) {
            self.delete(&r.gvr, &object.key, &r.body)?;
        }
        Ok(Bytes::from_static(br#"{"kind":"List","apiVersion":"v1","metadata":{},"items":[]}"#))
    }

    fn now(&self) -> String {
        self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }
}

/// Something besides a kubelet keeps a deleted object.
fn holds(object: &Value) -> bool {
    let any = |list: &Value| list.as_array().is_some_and(|list| !list.is_empty());
    any(&object["metadata"]["finalizers"]) || any(&object["spec"]["finalizers"])
}

fn keep(new: &mut Value, old: &Value, field: &str) {
    match &old[field] {
        Value::Null => drop(new.as_object_mut().map(|map| map.remove(field))),
        value => new[field] = value.clone(),
    }
}

fn stale(resource: &GroupResource, name: &str) -> Status {
    Status::conflict(
        resource,
        name,
        "the object has been modified; please apply your changes to the latest version and try again",
    )
}

fn parse(json: &[u8]) -> Result<Value, Status> {
    serde_json::from_slice(json).map_err(|e| Status::bad_request(e.to_string()))
}

pub(super) fn matches(object: &cache::Object, scope: &ViewScope) -> bool {
    let labels = Selector::parse(&scope.label_selector).expect("a label selector");
    let fields = FieldSelector::parse(&scope.field_selector).expect("a field selector");
    (scope.namespace.is_empty() || *object.key.namespace == *scope.namespace)
        && labels.matches(&object.meta)
        && fields.requirements().iter().all(|r| (field(object, &r.field) == r.value) == r.equals)
}

/// Any field of the object, by its dotted path.
pub(super) fn field(object: &cache::Object, path: &str) -> String {
    if let Some(known) = object.field(path) {
        return known.to_owned();
    }
    parse(object.json()).map(|tree| partial::field_value(&tree, path)).unwrap_or_default()
}
