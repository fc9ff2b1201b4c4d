//! Images for containers: pull policies, credentials, one pull per image at a time. Start at [`Images::ensure`].

pub mod credentials;
pub mod reference;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cri::{AuthConfig, ImageService};
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use stdx::Tasks;
use stdx::clock::SharedClock;
use tokio::sync::oneshot;

type Pull = Shared<BoxFuture<'static, Result<String, String>>>;

/// Finds and pulls images. Shared by all pods.
pub struct Images {
    service: Arc<dyn ImageService>,
    clock: SharedClock,
    tasks: Tasks,
    /// By image and credentials.
    pulls: Mutex<HashMap<String, Pull>>,
}

/// An image that is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Ready {
    pub image: cri::Image,
    /// For the `Pulled` event.
    pub message: String,
}

/// Why it is not: `reason` and `message` of `state.waiting`, and the event to record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotReady {
    pub reason: &'static str,
    pub message: String,
    /// Type is Warning; reason and message.
    pub event: (&'static str, String),
    /// A pull failed: back off.
    pub pull_failed: bool,
}

/// What is wanted.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    pub image: &'a str,
    /// `Always`, `IfNotPresent`, `Never`
    pub policy: &'a str,
    /// In the order they are tried.
    pub credentials: Vec<AuthConfig>,
    /// An earlier pull failed and its back-off is not over: what it said.
    pub backing_off: Option<String>,
}

impl Images {
    pub fn new(service: Arc<dyn ImageService>, clock: SharedClock, tasks: Tasks) -> Self {
        Images { service, clock, tasks, pulls: Mutex::default() }
    }

    pub fn service(&self) -> &Arc<dyn ImageService> {
        &self.service
    }

    /// Makes sure the image is there, by its policy. `pulling` is called when a pull begins.
    pub async fn ensure(&self, wanted: &Wanted<'_>, pulling: impl FnOnce()) -> Result<Ready, NotReady> {
        let given = wanted.image;
        let image = reference::with_default_tag(given).map_err(|why| {
            let message = format!("Failed to apply default image tag {given:?}: {why}");
            NotReady {
                reason: "InvalidImageName",
                event: ("InspectFailed", message.clone()),
                message,
                pull_failed: false,
            }
        })?;
        let present =
            self.service.image_status(&image).await.map_err(|e| inspect_failed(given, &e.to_string()))?;
        match (present, wanted.policy) {
            (Some(image), "IfNotPresent" | "Never") => {
                let message = format!(
                    "Container image {given:?} already present on machine and can be accessed by the pod"
                );
                return Ok(Ready { image, message });
            }
            (None, "Never") => {
                let message = format!("Container image {given:?} is not present with pull policy of Never");
                return Err(NotReady {
                    reason: "ErrImageNeverPull",
                    event: ("ErrImageNeverPull", message.clone()),
                    message,
                    pull_failed: false,
                });
            }
            _ => {}
        }
        if let Some(earlier) = &wanted.backing_off {
            let message = format!("Back-off pulling image {given:?}");
            return Err(NotReady {
                reason: "ImagePullBackOff",
                message: format!("{message}: {earlier}"),
                event: ("BackOff", message),
                pull_failed: false,
            });
        }
        pulling();
        self.pull_new(given, &image, &wanted.credentials).await
    }

    async fn pull_new(
        &self,
        given: &str,
        image: &str,
        credentials: &[AuthConfig],
    ) -> Result<Ready, NotReady> {
        let begun = self.clock.monotonic();
        let pulled = self.pull(image, credentials).await;
        let took = self.clock.monotonic().saturating_sub(begun);
        let reference = pulled.map_err(|why| NotReady {
            reason: "ErrImagePull",
            event: ("Failed", format!("Failed to pull image {given:?}: {why}")),
            message: why,
            pull_failed: true,
        })?;
        match self.service.image_status(&reference).await {
            Ok(Some(image)) => {
                let took = go_duration(took);
                let message = format!(
                    "Successfully pulled image {given:?} in {took} ({took} including waiting). Image size: {} bytes.",
                    image.size
                );
                Ok(Ready { image, message })
            }
            Ok(None) => Err(inspect_failed(given, "the runtime does not know the image it pulled")),
            Err(e) => Err(inspect_failed(given, &e.to_string())),
        }
    }

    /// Joins a pull of the same image by the same credentials that is under way. It goes on when its callers go.
    async fn pull(&self, image: &str, credentials: &[AuthConfig]) -> Result<String, String> {
        let key = pull_key(image, credentials);
        let pull = {
            let mut pulls = self.pulls.lock().unwrap_or_else(PoisonError::into_inner);
            pulls.retain(|_, pull| pull.peek().is_none());
            pulls.entry(key).or_insert_with(|| self.begin(image, credentials)).clone()
        };
        pull.await
    }

    fn begin(&self, image: &str, credentials: &[AuthConfig]) -> Pull {
        let (service, image, credentials) = (self.service.clone(), image.to_owned(), credentials.to_vec());
        let pull = async move {
            let mut failures = Vec::new();
            let anonymous = credentials.is_empty().then_some(None);
            for auth in credentials.iter().map(Some).chain(anonymous) {
                match service.pull_image(&image, auth).await {
                    Ok(reference) => return Ok(reference),
                    Err(e) => failures.push(e.to_string()),
                }
            }
            Err(match failures.len() {
                1 => failures.remove(0),
                _ => format!("[{}]", failures.join(", ")),
            })
        };
        let (done, result) = oneshot::channel();
        self.tasks.spawn_until_shutdown(async move {
            // Nobody may be waiting any more: the image is there all the same.
            let _ = done.send(pull.await);
        });
        async move { result.await.unwrap_or_else(|_| Err("the kubelet is stopping".into())) }.boxed().shared()
    }
}

fn inspect_failed(given: &str, why: &str) -> NotReady {
    let message = format!("Failed to inspect image {given:?}: {why}");
    NotReady {
        reason: "ImageInspectError",
        event: ("InspectFailed", message.clone()),
        message,
        pull_failed: false,
    }
}

fn pull_key(image: &str, credentials: &[AuthConfig]) -> String {
    let by: Vec<_> = credentials
        .iter()
        .map(|c| format!("{}\0{}\0{}\0{}", c.username, c.password, c.identity_token, c.registry_token))
        .collect();
    format!("{image}\0{}", by.join("\0"))
}

/// `1.234s`, `56ms`, `1m2.5s`: milliseconds, as Go prints a duration.
fn go_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis < 1000 {
        return if millis == 0 { "0s".into() } else { format!("{millis}ms") };
    }
    let (minutes, rest) = (millis / 60_000, millis % 60_000);
    let mut seconds = format!("{}.{:03}", rest / 1000, rest % 1000);
    seconds.truncate(seconds.trim_end_matches('0').trim_end_matches('.').len());
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{seconds}s"),
        (0, m) => format!("{m}m{seconds}s"),
        (h, m) => format!("{h}h{m}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests;
