//! Priority and fairness: which requests may run now, which wait, which are told to come again. Start at [`Flow::place`].
//!
//! [`classify`] finds a request's flow schema and is pure. The schema's priority level ([`level`]) has seats: so many
//! requests run at once. What finds none waits in one of the level's queues, which flows are dealt to ([`shuffle`]), so that a
//! flow with many requests keeps only itself waiting. Requests below HTTP, those of components in this process, do not pass here.
//!
//! Seats that a level may lend are everybody's: a level takes of them beyond its own, up to its borrowing limit, whenever one is
//! free. (Upstream moves them between levels every ten seconds, by demand.)

mod classify;
mod level;
mod shuffle;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use apimachinery::Status;
use auth::UserInfo;
use client::Informer;
use client::transport::Transport;
use codec::Kind;
use futures::StreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use k8s_openapi::api::flowcontrol::v1::{FlowSchema, PriorityLevelConfiguration};
use resources::flowcontrol::bootstrap;
use stdx::clock::SharedClock;

use self::classify::{Request, Target};
use self::level::{Level, Pool, Seat};
use crate::http::service;
use crate::pipeline::params::Params;
use crate::pipeline::path::Path;

const SCHEMA_UID: HeaderName = HeaderName::from_static("x-kubernetes-pf-flowschema-uid");
const LEVEL_UID: HeaderName = HeaderName::from_static("x-kubernetes-pf-prioritylevel-uid");

/// Requests at once, of all levels: upstream's `--max-requests-inflight` and `--max-mutating-requests-inflight` together.
const CONCURRENCY: usize = 600;
/// More than a machine can run.
const UNLIMITED: usize = 1 << 20;
/// Seconds until it is worth another try.
const RETRY_AFTER: u32 = 1;
/// Streams that last as long as their client likes take no seat. Watches take one until they have begun.
const LONG_RUNNING: &[&str] = &["attach", "exec", "proxy", "log", "portforward"];

/// The seats of this server, and who gets them.
pub struct Flow {
    plan: RwLock<Arc<Plan>>,
    pool: Arc<Pool>,
    /// By name; they outlive changes of the plan, since requests run in them.
    levels: Mutex<HashMap<String, Arc<Level>>>,
    concurrency: AtomicUsize,
    /// As they were configured last.
    objects: Mutex<(Vec<FlowSchema>, Vec<PriorityLevelConfiguration>)>,
    clock: SharedClock,
}

/// The schemas in the order in which they are asked.
struct Plan {
    schemas: Vec<Schema>,
}

struct Schema {
    rules: classify::Schema,
    uid: Option<HeaderValue>,
    level: Arc<Level>,
    level_uid: Option<HeaderValue>,
}

/// Where a request belongs.
pub struct Place {
    plan: Arc<Plan>,
    /// Of the plan's schemas; none when no schema is for it, which the mandatory ones see to.
    schema: Option<usize>,
    flow: u64,
    seatless: bool,
    clock: SharedClock,
}

impl Flow {
    /// With the objects that every cluster has, until [`Flow::follow`] knows better.
    pub fn new(clock: SharedClock) -> Arc<Flow> {
        let flow = Flow {
            plan: RwLock::new(Arc::new(Plan { schemas: Vec::new() })),
            pool: Arc::default(),
            levels: Mutex::default(),
            concurrency: AtomicUsize::new(CONCURRENCY),
            objects: Mutex::default(),
            clock,
        };
        flow.configure(bootstrap::flow_schemas(), bootstrap::priority_levels());
        Arc::new(flow)
    }

    /// Another number of requests at once, of all levels together; 0 is no limit worth the name.
    pub fn set_concurrency(&self, concurrency: usize) {
        let concurrency = if concurrency == 0 { UNLIMITED } else { concurrency };
        self.concurrency.store(concurrency, Ordering::Relaxed);
        let (schemas, levels) = self.objects.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.configure(schemas, levels);
    }

    /// How many requests wait for a seat now.
    pub fn waiting(&self) -> usize {
        self.pool.waiting()
    }

    /// Takes every change of the objects, for as long as the server runs.
    pub async fn follow(self: Arc<Self>, transport: Arc<dyn Transport>) {
        let schemas = Informer::<FlowSchema>::all(&*transport);
        let levels = Informer::<PriorityLevelConfiguration>::all(&*transport);
        let (one, other) = (schemas.subscribe().map(drop), levels.subscribe().map(drop));
        let mut changes = futures::stream::select(one, other);
        while changes.next().await.is_some() {
            self.configure(schemas.list(""), levels.list(""));
        }
    }

    /// Makes the plan that these objects mean. Mandatory ones that are missing count as if they were there; schemas without their
    /// level do not count.
    pub fn configure(&self, mut schemas: Vec<FlowSchema>, mut levels: Vec<PriorityLevelConfiguration>) {
        *self.objects.lock().unwrap_or_else(PoisonError::into_inner) = (schemas.clone(), levels.clone());
        complete(&mut schemas, bootstrap::flow_schemas());
        complete(&mut levels, bootstrap::priority_levels());
        schemas.sort_by(|a, b| precedence(a).cmp(&precedence(b)));
        let by_name = self.arrange(&levels);
        let uid = |uid: &str| HeaderValue::from_str(uid).ok().filter(|v| !v.is_empty());
        let schema = |schema: FlowSchema| {
            let (level, level_uid) = by_name.get(&*schema.spec.priority_level_configuration.name)?;
            Some(Schema {
                uid: uid(schema.uid()),
                level: level.clone(),
                level_uid: uid(level_uid),
                rules: classify::Schema::new(schema),
            })
        };
        let plan = Arc::new(Plan { schemas: schemas.into_iter().filter_map(schema).collect() });
        *self.plan.write().unwrap_or_else(PoisonError::into_inner) = plan;
    }

    /// Gives each level its seats.
    fn arrange<'a>(
        &self,
        configured: &'a [PriorityLevelConfiguration],
    ) -> HashMap<&'a str, (Arc<Level>, &'a str)> {
        let seats = level::seats(self.concurrency.load(Ordering::Relaxed), configured);
        self.pool.resize(seats.iter().map(|s| s.lendable).sum());
        let mut levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = HashMap::new();
        for (object, seats) in configured.iter().zip(seats) {
            let level = levels.entry(object.name().to_owned()).or_insert_with(|| Level::new(&self.pool));
            level.configure(object, seats);
            found.insert(object.name(), (level.clone(), object.uid()));
        }
        levels.retain(|name, _| found.contains_key(name.as_str()));
        self.pool.set_levels(levels.values());
        found
    }

    /// Where a request belongs.
    pub fn place(&self, user: &UserInfo, method: &Method, path: &Path, params: &Params) -> Place {
        let plan = self.plan.read().unwrap_or_else(PoisonError::into_inner).clone();
        let (verb, target, namespace) = match path {
            Path::Resource(path) => {
                let verb = service::verb(method, path, params).map_or("", |verb| verb.name());
                (verb, Target::Resource(path), &*path.namespace)
            }
            Path::Other(path) => (lower(method), Target::Path(path), ""),
        };
        let request = Request { user, verb, target };
        let schema = plan.schemas.iter().position(|schema| schema.rules.matches(&request));
        let flow = schema.map_or(0, |at| plan.schemas[at].rules.flow(&user.name, namespace));
        let seatless = match path {
            Path::Resource(path) => LONG_RUNNING.contains(&&*path.subresource),
            Path::Other(_) => false,
        };
        Place { plan, schema, flow, seatless, clock: self.clock.clone() }
    }
}

impl Place {
    fn schema(&self) -> Option<&Schema> {
        self.schema.map(|at| &self.plan.schemas[at])
    }

    /// Completes when the request may run, for as long as the seat is kept; 429 when it may not.
    pub async fn enter(&self) -> Result<Seat, Status> {
        let Some(schema) = self.schema().filter(|_| !self.seatless) else { return Ok(Seat::free()) };
        schema.level.enter(self.flow, &self.clock).await.map_err(|refused| {
            tracing::debug!(schema = schema.rules.name(), ?refused, "a request is told to come again");
            Status::too_many_requests("Too many requests, please try again later.", RETRY_AFTER)
        })
    }

    /// Says in an answer's headers where the request belonged.
    pub fn tell(&self, headers: &mut HeaderMap) {
        let Some(schema) = self.schema() else { return };
        for (name, uid) in [(SCHEMA_UID, &schema.uid), (LEVEL_UID, &schema.level_uid)] {
            if let Some(uid) = uid {
                headers.insert(name, uid.clone());
            }
        }
    }
}

/// Adds the mandatory ones of `all` that are missing.
fn complete<K: Kind>(there: &mut Vec<K>, all: Vec<K>) {
    let missing = |k: &K| bootstrap::is_mandatory(k.name()) && there.iter().all(|t| t.name() != k.name());
    let missing: Vec<K> = all.into_iter().filter(missing).collect();
    there.extend(missing);
}

fn precedence(schema: &FlowSchema) -> (i32, &str) {
    (schema.spec.matching_precedence.unwrap_or(0), schema.name())
}

/// As rules name the methods of paths that are no resources.
fn lower(method: &Method) -> &'static str {
    match *method {
        Method::GET => "get",
        Method::HEAD => "head",
        Method::POST => "post",
        Method::PUT => "put",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        Method::OPTIONS => "options",
        _ => "",
    }
}
