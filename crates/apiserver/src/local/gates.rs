//! All views of this process, asked again whenever roles or bindings change.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use auth::Authorizer;
use cache::{Cache, Filter};
use futures::StreamExt as _;
use futures::stream::select_all;
use registry::Registry;
use stdx::Tasks;
use stdx::clock::SharedClock;

use super::view::Gate;

const RBAC: &str = "rbac.authorization.k8s.io";
/// What decides about access.
const POLICY: [&str; 4] = ["clusterroles", "clusterrolebindings", "roles", "rolebindings"];
/// The authorizer follows the same changes beside us: it is asked after it has had the time, and once more later.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(1)];

/// Holds no view alive.
#[derive(Default)]
pub struct Gates(Mutex<Vec<Weak<Gate>>>);

impl Gates {
    /// Asks for the first time, in a task, and again at each change.
    pub fn add(&self, gate: &Arc<Gate>, authorizer: Arc<dyn Authorizer>, tasks: &Tasks) {
        let mut gates = self.lock();
        gates.retain(|g| g.strong_count() > 0);
        gates.push(Arc::downgrade(gate));
        drop(gates);
        let gate = gate.clone();
        tasks.spawn_until_shutdown(async move { gate.check(&*authorizer).await });
    }

    /// Runs for as long as the server does.
    pub async fn follow(
        self: Arc<Self>,
        registry: Arc<Registry>,
        authorizer: Arc<dyn Authorizer>,
        clock: SharedClock,
    ) {
        let caches = POLICY.iter().filter_map(|r| registry.cache(RBAC, "v1", r).ok());
        let mut changes = select_all(caches.map(|cache| Box::pin(changes(cache))));
        while changes.next().await.is_some() {
            for pause in PAUSES {
                clock.sleep(pause).await;
                for gate in self.live() {
                    gate.check(&*authorizer).await;
                }
            }
        }
    }

    fn live(&self) -> Vec<Arc<Gate>> {
        self.lock().iter().filter_map(Weak::upgrade).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Weak<Gate>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn changes(cache: Arc<Cache>) -> impl futures::Stream<Item = ()> {
    futures::stream::unfold(cache.subscribe(Filter::all()), |mut subscription| async move {
        subscription.next().await;
        // Whatever else has happened meanwhile is covered by the same check.
        while subscription.try_next().is_some() {}
        Some(((), subscription))
    })
}
