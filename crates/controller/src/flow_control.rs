//! The flow schemas and priority levels that every cluster has, and the condition of schemas whose level is not there. Upstream the
//! API server keeps them itself; so it is a function here, for whoever assembles one. Start at [`plan`].

use std::sync::Arc;

use anyhow::Context as _;
use apimachinery::{ObjectKey, Status};
use client::api::DeleteOptions;
use client::transport::Transport;
use client::{Api, Informer, Requeue, WorkQueue};
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::flowcontrol::v1::{FlowSchema, FlowSchemaCondition, PriorityLevelConfiguration};
use resources::conditions;
use resources::flowcontrol::bootstrap::{self, AUTO_UPDATE, EXEMPT};
use resources::flowcontrol::flow_schema::DANGLING;
use stdx::Tasks;
use stdx::clock::SharedClock;

#[cfg(test)]
mod tests;

/// Keeps the objects as they should be, until `tasks` is stopped. Acts as the API server.
pub fn start(transport: Arc<dyn Transport>, clock: SharedClock, tasks: &Tasks) {
    let keeper = Arc::new(Keeper {
        schemas: Informer::all(&*transport),
        levels: Informer::all(&*transport),
        schema_api: Api::new(transport.clone()),
        level_api: Api::new(transport),
        clock: clock.clone(),
    });
    // There is one thing to do: to compare all objects with what they should be.
    let queue: WorkQueue<ObjectKey> = WorkQueue::new(clock);
    let all = ObjectKey::cluster("all");
    queue.add(all.clone());
    let (woken, key) = (queue.clone(), all.clone());
    keeper.schemas.on_change(tasks, move |_| woken.add(key.clone()));
    let woken = queue.clone();
    keeper.levels.on_change(tasks, move |_| woken.add(all.clone()));
    client::queue::run("flow-control", &queue, tasks, 1, move |_| {
        let keeper = keeper.clone();
        async move { keeper.reconcile().await }
    });
}

struct Keeper {
    schemas: Informer<FlowSchema>,
    levels: Informer<PriorityLevelConfiguration>,
    schema_api: Api<FlowSchema>,
    level_api: Api<PriorityLevelConfiguration>,
    clock: SharedClock,
}

impl Keeper {
    async fn reconcile(&self) -> anyhow::Result<Requeue> {
        self.schemas.synced().await;
        self.levels.synced().await;
        let levels = self.levels.list("");
        run(&self.level_api, plan(&levels, bootstrap::priority_levels(), same_level)).await?;
        let schemas = self.schemas.list("");
        run(&self.schema_api, plan(&schemas, bootstrap::flow_schemas(), |a, b| a.spec == b.spec)).await?;
        for schema in judged(schemas, &levels, self.clock.now()) {
            settled(self.schema_api.update_status(&schema).await.map(drop))
                .context("say whether a flow schema's priority level is there")?;
        }
        Ok(Requeue::Never)
    }
}

/// The exempt level's shares are everybody's to choose.
fn same_level(there: &PriorityLevelConfiguration, wanted: &PriorityLevelConfiguration) -> bool {
    match there.name() {
        EXEMPT => there.spec.type_ == wanted.spec.type_ && there.spec.limited == wanted.spec.limited,
        _ => there.spec == wanted.spec,
    }
}

/// What has to be done to an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Action<K> {
    Create(K),
    Update(K),
    Delete(K),
}

/// Makes what is there what it should be. Mandatory objects are as `wanted`. So are suggested ones, unless their annotation
/// says that somebody wants them otherwise, or they have none and were changed before there was one. What carries the
/// annotation and is not wanted is from another version.
pub fn plan<K: Kind>(there: &[K], wanted: Vec<K>, same: impl Fn(&K, &K) -> bool) -> Vec<Action<K>> {
    let gone = there
        .iter()
        .filter(|t| annotation(*t) == Some(true) && wanted.iter().all(|w| w.name() != t.name()))
        .filter(|t| t.meta().deletion_timestamp.is_none())
        .cloned()
        .map(Action::Delete);
    let mut actions: Vec<Action<K>> = gone.collect();
    for mut object in wanted {
        let Some(current) = there.iter().find(|t| t.name() == object.name()) else {
            annotate(&mut object, true);
            actions.push(Action::Create(object));
            continue;
        };
        let ours = bootstrap::is_mandatory(object.name())
            || annotation(current).unwrap_or(current.meta().generation.unwrap_or(0) <= 1);
        let annotated = annotation(current) == Some(ours);
        if annotated && (!ours || same(current, &object)) {
            continue;
        }
        let mut changed = match ours && !same(current, &object) {
            true => {
                *object.meta_mut() = current.meta().clone();
                object
            }
            false => current.clone(),
        };
        annotate(&mut changed, ours);
        actions.push(Action::Update(changed));
    }
    actions
}

fn annotation<K: Kind>(object: &K) -> Option<bool> {
    object.meta().annotations.as_ref()?.get(AUTO_UPDATE)?.parse().ok()
}

fn annotate<K: Kind>(object: &mut K, ours: bool) {
    let annotations = object.meta_mut().annotations.get_or_insert_default();
    annotations.insert(AUTO_UPDATE.into(), ours.to_string());
}

async fn run<K: Kind>(api: &Api<K>, actions: Vec<Action<K>>) -> anyhow::Result<()> {
    for action in actions {
        let done = match &action {
            Action::Create(object) => api.create(object).await.map(drop),
            Action::Update(object) => api.update(object).await.map(drop),
            Action::Delete(object) => api.delete("", object.name(), &DeleteOptions::uid(object.uid())).await,
        };
        settled(done).context("keep the objects of flow control")?;
    }
    Ok(())
}

/// Who was faster wakes us again.
fn settled(done: Result<(), Status>) -> Result<(), Status> {
    match done {
        Err(e) if e.is_conflict() || e.is_not_found() || e.is_already_exists() => Ok(()),
        done => done,
    }
}

/// Those schemas whose condition has to be changed, with it changed.
fn judged(
    schemas: Vec<FlowSchema>,
    levels: &[PriorityLevelConfiguration],
    now: Timestamp,
) -> Vec<FlowSchema> {
    let judge = |mut schema: FlowSchema| {
        let level = &schema.spec.priority_level_configuration.name;
        let there = levels.iter().any(|l| l.name() == level);
        let what =
            format!("This FlowSchema references the PriorityLevelConfiguration object named {level:?}");
        let (status, reason, message) = match there {
            true => ("False", "Found", format!("{what} and it exists")),
            false => ("True", "NotFound", format!("{what} but there is no such object")),
        };
        let condition = FlowSchemaCondition {
            type_: DANGLING.into(),
            status: Some(status.into()),
            reason: Some(reason.into()),
            message: Some(message),
            last_transition_time: None,
        };
        let conditions = &mut schema.status.get_or_insert_default().conditions;
        conditions::set(conditions, condition, now).then_some(schema)
    };
    schemas.into_iter().filter_map(judge).collect()
}
