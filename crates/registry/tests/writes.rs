//! Writes that meet each other, and names that are taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use apimachinery::Status;
use registry::options::{DeleteOptions, ListOptions, WriteOptions};
use registry::{Deleted, Registry, Target};
use serde_json::{Value, json};
use stdx::{Random, SystemClock, Tasks};
use storage::{MemoryEngine, Store, StoreConfig};

/// However loaded the machine is.
const PATIENCE: Duration = Duration::from_secs(120);

async fn registry() -> Arc<Registry> {
    let clock = SystemClock::shared();
    let config = StoreConfig::new(clock.clone());
    let store = Store::open(Arc::new(MemoryEngine::new()), config, &Tasks::new()).await.unwrap();
    let resources = resources::table::served(&[]);
    let registry = Registry::open(&store, resources, None, clock, Random::seeded(7)).await.unwrap();
    create(&registry, "namespaces", "", json!({"name": "default"}), false).await.unwrap();
    registry
}

async fn create(
    registry: &Registry,
    plural: &str,
    namespace: &str,
    metadata: Value,
    dry_run: bool,
) -> Result<Value, Status> {
    let resource = registry.resource("", "v1", plural).unwrap();
    let body = json!({"metadata": metadata}).to_string();
    let object = resource.read(body.as_bytes()).unwrap();
    let target = Target { resource, namespace, name: "" };
    let options = WriteOptions { dry_run, ..WriteOptions::default() };
    let written = registry.create(&target, object, &options).await?;
    Ok(serde_json::from_slice(&written.json).unwrap())
}

fn version(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

/// The same seed draws the same names, so what will be generated can be taken before.
#[tokio::test]
async fn a_generated_name_is_looked_for_eight_times() {
    const ATTEMPTS: usize = 8;
    let generated = || json!({"generateName": "g-"});
    let foreseen = registry().await;
    for filler in 0..ATTEMPTS {
        create(&foreseen, "configmaps", "default", json!({"name": format!("f{filler}")}), false)
            .await
            .unwrap();
    }
    let mut names = Vec::new();
    for _ in 0..ATTEMPTS {
        let made = create(&foreseen, "configmaps", "default", generated(), true).await.unwrap();
        names.push(made["metadata"]["name"].as_str().unwrap().to_owned());
    }
    let taken = registry().await;
    for name in &names {
        create(&taken, "configmaps", "default", json!({"name": name}), false).await.unwrap();
    }
    let refused = create(&taken, "configmaps", "default", generated(), false).await.unwrap_err();
    let last = &names[ATTEMPTS - 1];
    assert_eq!(
        refused.message,
        format!(
            "configmaps {last:?} already exists, the server was not able to generate a unique name for the object"
        )
    );
    assert_eq!((refused.code, &*refused.reason), (409, "AlreadyExists"));
    assert_eq!(refused.details.unwrap().retry_after_seconds, 1);
    // The next name that is drawn is free.
    let configmaps = taken.resource("", "v1", "configmaps").unwrap();
    create(&taken, "configmaps", "default", generated(), false).await.unwrap();
    let all = Target { resource: configmaps, namespace: "default", name: "" };
    assert_eq!(taken.list(&all, &ListOptions::default()).await.unwrap().items.len(), ATTEMPTS + 1);
}

#[tokio::test]
async fn preconditions_of_a_delete() {
    let registry = registry().await;
    let made = create(&registry, "configmaps", "default", json!({"name": "a"}), false).await.unwrap();
    let resource = registry.resource("", "v1", "configmaps").unwrap();
    let target = Target { resource, namespace: "default", name: "a" };
    let uid = made["metadata"]["uid"].as_str().unwrap();
    let other_uid = DeleteOptions { uid: Some("u".into()), ..DeleteOptions::default() };
    let refused = registry.delete(&target, &other_uid).await.unwrap_err();
    assert_eq!(
        refused.message,
        format!(
            "Operation cannot be fulfilled on ConfigMap \"a\": the UID in the precondition (u) does not match the UID \
             in record ({uid}). The object might have been deleted and then recreated"
        )
    );
    assert_eq!((refused.code, &*refused.details.unwrap().kind), (409, "ConfigMap"));
    let other_version = DeleteOptions { resource_version: Some("1".into()), ..DeleteOptions::default() };
    let refused = registry.delete(&target, &other_version).await.unwrap_err();
    assert_eq!(
        refused.message,
        format!(
            "Operation cannot be fulfilled on ConfigMap \"a\": the ResourceVersion in the precondition (1) does not \
             match the ResourceVersion in record ({}). The object might have been modified",
            version(&made)
        )
    );
    let right = DeleteOptions {
        uid: Some(uid.into()),
        resource_version: Some(version(&made).to_string()),
        ..DeleteOptions::default()
    };
    assert!(matches!(registry.delete(&target, &right).await.unwrap(), Deleted::Done(_)));
}

/// A collection's delete keeps to its page, and to its selection.
#[tokio::test]
async fn a_collection_goes_in_pages() {
    let registry = registry().await;
    for i in 0..200 {
        let labels = json!({"odd": (i % 2 == 1).to_string()});
        create(
            &registry,
            "configmaps",
            "default",
            json!({"name": format!("c{i:03}"), "labels": labels}),
            false,
        )
        .await
        .unwrap();
    }
    let resource = registry.resource("", "v1", "configmaps").unwrap();
    let all = Target { resource, namespace: "default", name: "" };
    let none = DeleteOptions::default();
    let page = ListOptions { limit: 10, ..ListOptions::default() };
    let deleted = registry.delete_collection(&all, &page, &none).await.unwrap();
    assert_eq!((deleted.items.len(), deleted.remaining), (10, Some(190)));
    let mut odd = ListOptions::default();
    odd.selection.label_selector = "odd=true".into();
    assert_eq!(registry.delete_collection(&all, &odd, &none).await.unwrap().items.len(), 95);
    let left = registry.list(&all, &ListOptions::default()).await.unwrap();
    assert_eq!(left.items.len(), 95);
    // Who else deletes meanwhile is no error.
    let rest = ListOptions::default();
    let both = futures::join!(
        registry.delete_collection(&all, &rest, &none),
        registry.delete_collection(&all, &rest, &none)
    );
    both.0.unwrap();
    both.1.unwrap();
    assert!(registry.list(&all, &ListOptions::default()).await.unwrap().items.is_empty());
}

/// Once a namespace ends, nothing new is in it: what is refused is refused within the guarded write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_create_slips_into_a_namespace_that_ends() {
    let registry = registry().await;
    create(&registry, "namespaces", "", json!({"name": "n"}), false).await.unwrap();
    let ended = Arc::new(AtomicBool::new(false));
    let creators: Vec<_> = (0..32)
        .map(|creator| {
            let (registry, ended) = (registry.clone(), ended.clone());
            tokio::spawn(async move {
                for i in 0.. {
                    let late = ended.load(Ordering::SeqCst);
                    let metadata = json!({"name": format!("c{creator}-{i}")});
                    match create(&registry, "configmaps", "n", metadata, false).await {
                        Ok(_) => assert!(!late, "created after the end"),
                        Err(status) => return status,
                    }
                }
                unreachable!()
            })
        })
        .collect();
    let resource = registry.resource("", "v1", "configmaps").unwrap();
    let all = Target { resource, namespace: "n", name: "" };
    let begun = async {
        while registry.list(&all, &ListOptions::default()).await.unwrap().items.len() < 64 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, begun).await.expect("creates go on");
    let namespaces = registry.resource("", "v1", "namespaces").unwrap();
    let namespace = Target { resource: namespaces, namespace: "", name: "n" };
    let Deleted::Pending(json) = registry.delete(&namespace, &DeleteOptions::default()).await.unwrap() else {
        panic!("its finalizer holds it");
    };
    ended.store(true, Ordering::SeqCst);
    let end = version(&serde_json::from_slice(&json).unwrap());
    for creator in creators {
        let status = tokio::time::timeout(PATIENCE, creator).await.expect("no livelock").unwrap();
        assert_eq!(status.code, 403, "{status}");
        let causes = status.details.unwrap().causes;
        assert_eq!(causes[0].reason, "NamespaceTerminating");
    }
    for object in registry.list(&all, &ListOptions::default()).await.unwrap().items {
        assert!(object.revision.0 < end, "{} came at {} after {end}", object.key, object.revision);
    }
}
