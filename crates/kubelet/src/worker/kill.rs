//! Stopping a container: its event, its preStop hook, the signal.

use std::time::Duration;

use client::EventType;
use codec::Kind as _;
use futures::FutureExt as _;

use super::Worker;
use super::jobs::Done;
use crate::hooks;
use crate::plan::Kill;
use crate::spec;

/// What is left for the signal when the hook took everything.
const LEAST: i64 = 2;
/// The runtime could not: the first wait and the longest.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(10);

impl Worker {
    pub(super) fn kill(&mut self, kill: Kill) {
        self.observed.work.killing.insert(kill.id.clone(), kill.grace);
        if kill.message.ends_with("resize requires restart") {
            self.observed.resize.restarting.insert(kill.id.clone());
        }
        let (context, pod, ips) = (self.context.clone(), self.pod.clone(), self.pod_ips());
        self.jobs.push(
            async move {
                let spec = spec::find(&pod, &kill.name);
                if let Some(spec) = &spec {
                    context.container_event(&pod, spec, EventType::Normal, "Killing", &kill.message);
                }
                let begun = context.clock.monotonic();
                let hook = spec.as_ref().and_then(|s| s.container.lifecycle.as_ref()?.pre_stop.clone());
                if let (Some(spec), Some(hook)) = (&spec, hook) {
                    let patience = Duration::from_secs(kill.grace.unsigned_abs());
                    let run = hooks::run(&context, &spec.container, &kill.id, &ips, &hook);
                    let failed = tokio::select! {
                        done = run => done.err(),
                        () = context.clock.sleep(patience) => Some("the grace period is over".to_owned()),
                    };
                    if let Some(why) = failed {
                        let message = format!("PreStopHook failed: {why}");
                        context.container_event(
                            &pod,
                            spec,
                            EventType::Warning,
                            "FailedPreStopHook",
                            &message,
                        );
                    }
                }
                let used = context.clock.monotonic().saturating_sub(begun).as_secs();
                let left = kill.grace - i64::try_from(used).unwrap_or(0);
                let grace = if used > 0 { left.max(LEAST) } else { kill.grace };
                let mut wait = RETRY;
                while let Err(e) = context.runtime.stop_container(&kill.id, grace).await {
                    tracing::error!(pod = pod.name(), container = kill.id, "cannot stop a container: {e}");
                    context.clock.sleep(wait).await;
                    wait = (wait * 2).min(RETRY_MAX);
                }
                Done::Killed(kill.id)
            }
            .boxed(),
        );
    }
}
