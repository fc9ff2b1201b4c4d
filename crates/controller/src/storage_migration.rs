//! Storage version migrations: every object of a resource is written once more, as it is, so that the API server stores it as it
//! stores objects today. <https://kubernetes.io/docs/tasks/manage-kubernetes-objects/storage-version-migration/>

use std::sync::Arc;

use apimachinery::{Gvr, ObjectKey, Status};
use client::api::raw;
use client::transport::{Options, Transport};
use client::{Api, Informer, PatchType, Requeue};
use codec::Kind;
use k8s_openapi::api::storagemigration::v1::{StorageVersionMigration, StorageVersionMigrationStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use resources::conditions::set_standard;
use resources::prelude::*;
use resources::storagemigration::storage_version_migration::{FAILED, RUNNING, SUCCEEDED};
use serde_json::{Value, json};
use stdx::clock::SharedClock;

use crate::context::{Component, Served, object, synced};

/// One at a time: a migration is a lot of writes.
const WORKERS: usize = 1;
const PAGE: u64 = 500;

struct Migrator {
    migrations: Informer<StorageVersionMigration>,
    api: Api<StorageVersionMigration>,
    transport: Arc<dyn Transport>,
    served: Vec<Served>,
    clock: SharedClock,
}

pub fn start(component: Component) {
    let migrator = Arc::new(Migrator {
        migrations: component.informer(),
        api: component.api(),
        transport: component.transport.clone(),
        served: component.config.resources.clone(),
        clock: component.clock.clone(),
    });
    let queue = component.queue::<ObjectKey>();
    let wakes = queue.clone();
    component.on(&migrator.migrations, move |change| {
        if let Some(migration) = object(change) {
            wakes.add(migration.key.clone());
        }
    });
    let wait = vec![synced(&migrator.migrations)];
    component.run(wait, &queue, WORKERS, move |key| {
        let migrator = migrator.clone();
        async move { migrator.reconcile(&key).await }
    });
}

impl Migrator {
    async fn reconcile(&self, key: &ObjectKey) -> anyhow::Result<Requeue> {
        let Some(migration) = self.migrations.get(key) else { return Ok(Requeue::Never) };
        if migration.metadata.is_deleting() || migration.is(SUCCEEDED) || migration.is(FAILED) {
            return Ok(Requeue::Never);
        }
        let asked = migration.resource();
        let wanted = |s: &&Served| *s.gvr.group == *asked.group && *s.gvr.resource == *asked.resource;
        let Some(served) = self.served.iter().find(wanted).filter(|s| s.can("list") && s.can("patch")) else {
            self.tell(&migration, FAILED, "StorageVersionMigrationFailed", "resource does not exist", None)
                .await?;
            return Ok(Requeue::Never);
        };
        let version = self.version(&served.gvr).await?;
        self.tell(&migration, RUNNING, "StorageVersionMigrationInProgress", "", Some(version)).await?;
        match self.rewrite(&served.gvr).await {
            Ok(()) => {
                self.tell(&migration, SUCCEEDED, "StorageVersionMigrationSucceeded", "", None).await?;
            }
            // The server is full or away: the same objects once more, later.
            Err(status) if status.code == 429 || status.code >= 500 => return Err(status.into()),
            Err(status) => {
                let text = &status.message;
                self.tell(&migration, FAILED, "StorageVersionMigrationFailed", text, None).await?;
            }
        }
        Ok(Requeue::Never)
    }

    /// Where the resource is now: what is written later is stored as it should be already.
    async fn version(&self, gvr: &Gvr) -> Result<String, Status> {
        let options = Options { limit: 1, ..Options::default() };
        Ok(raw::list(&*self.transport, gvr, "", &options).await?.meta.resource_version)
    }

    async fn rewrite(&self, gvr: &Gvr) -> Result<(), Status> {
        let mut token = String::new();
        loop {
            let options = Options { limit: PAGE, continue_token: token, ..Options::default() };
            let page = raw::list(&*self.transport, gvr, "", &options).await?;
            for item in &page.items {
                self.touch(gvr, item).await?;
            }
            if page.meta.continue_token.is_empty() {
                return Ok(());
            }
            token = page.meta.continue_token;
        }
    }

    /// Writes one object as it is. Whoever changes or deletes it meanwhile has done our work.
    async fn touch(&self, gvr: &Gvr, item: &[u8]) -> Result<(), Status> {
        let meta = serde_json::from_slice::<Value>(item).map_err(Status::internal)?["metadata"].take();
        let text = |key: &str| meta[key].as_str().unwrap_or_default();
        let key = ObjectKey::new(text("namespace"), text("name"));
        let patch = json!({"metadata": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}});
        match raw::patch(&*self.transport, gvr, &key, PatchType::Merge, &patch).await {
            Err(status) if !status.is_not_found() && !status.is_conflict() => Err(status),
            _ => Ok(()),
        }
    }

    async fn tell(
        &self,
        migration: &StorageVersionMigration,
        kind: &str,
        reason: &str,
        message: &str,
        version: Option<String>,
    ) -> Result<(), Status> {
        let key = ObjectKey::cluster(migration.name());
        // Its own earlier word may not have come back yet.
        let Some(fresh) = self.api.find(&key).await?.filter(|f| f.uid() == migration.uid()) else {
            return Ok(());
        };
        let now = Time(self.clock.now());
        crate::status::write(&self.api, &fresh, |m| {
            let generation = m.metadata.generation;
            let status = m.status.get_or_insert_default();
            if status.resource_version.as_deref().unwrap_or_default().is_empty() {
                status.resource_version = version.clone();
            }
            if kind != RUNNING {
                finish(status, &now, generation);
            }
            let condition = Condition {
                type_: kind.into(),
                status: "True".into(),
                reason: reason.into(),
                message: message.into(),
                last_transition_time: now.clone(),
                observed_generation: generation,
            };
            set_standard(&mut status.conditions, condition);
        })
        .await
    }
}

/// What was running runs no more.
fn finish(status: &mut StorageVersionMigrationStatus, now: &Time, generation: Option<i64>) {
    let running = status.conditions.iter().flatten().find(|c| c.type_ == RUNNING).cloned();
    if let Some(running) = running {
        let over = Condition {
            status: "False".into(),
            last_transition_time: now.clone(),
            observed_generation: generation,
            ..running
        };
        set_standard(&mut status.conditions, over);
    }
}
