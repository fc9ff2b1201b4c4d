//! From what pods use to how many there should be. Pods that are not ready, or were not measured, count so that they never
//! turn the direction of a change.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use codec::Kind;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{Container, Pod};
use resources::core::pod::PodExt;
use resources::owner::ObjectMetaExt;
use resources::quantity::QuantityExt;

/// A pod that began less than this ago may still be warming up: its CPU says little.
const CPU_INITIALIZATION: SignedDuration = SignedDuration::from_secs(5 * 60);
/// A pod that became unready no later than this after its start has never been ready.
const INITIAL_READINESS_DELAY: SignedDuration = SignedDuration::from_secs(30);

/// One measurement of a pod.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    pub at: Timestamp,
    /// It is the mean over this long before.
    pub window: Duration,
    /// In thousandths.
    pub value: i64,
}

/// By the pod's name.
pub(super) type Samples = BTreeMap<String, Sample>;

/// How far from the target is near enough.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tolerance {
    up: f64,
    down: f64,
}

impl Tolerance {
    pub fn of(scaler: &HorizontalPodAutoscaler) -> Self {
        const DEFAULT: f64 = 0.1;
        let behavior = scaler.spec.behavior.as_ref();
        let of = |rules: Option<&k8s_openapi::api::autoscaling::v2::HPAScalingRules>| {
            rules.and_then(|r| r.tolerance.as_ref()).map_or(DEFAULT, |t| t.amount().approximate())
        };
        Tolerance {
            up: of(behavior.and_then(|b| b.scale_up.as_ref())),
            down: of(behavior.and_then(|b| b.scale_down.as_ref())),
        }
    }

    fn covers(self, ratio: f64) -> bool {
        1.0 - self.down <= ratio && ratio <= 1.0 + self.up
    }
}

/// What was found: how many pods there should be, and what to show as measured (thousandths, percent).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Found {
    pub replicas: i32,
    pub value: i64,
    pub utilization: Option<i32>,
}

/// Who is asked.
pub(super) struct Pods<'a> {
    pub pods: &'a [Pod],
    pub current: i32,
    pub tolerance: Tolerance,
    pub now: Timestamp,
}

/// Pods by how their measurements count.
struct Grouped {
    ready: usize,
    unready: BTreeSet<String>,
    missing: BTreeSet<String>,
}

impl Pods<'_> {
    /// Towards a share (percent) of what pods, or one container of each, request.
    pub fn by_utilization(
        &self,
        mut samples: Samples,
        resource: &str,
        container: Option<&str>,
        target: i32,
    ) -> Result<Found, String> {
        let grouped = self.group(&mut samples, resource)?;
        let requests = requests(self.pods, resource, container)?;
        let share = |samples: &Samples| utilization(samples, &requests);
        let (percent, mean) = share(&samples)?;
        let ratio = |samples: &Samples| Ok(f64::from(share(samples)?.0) / f64::from(target));
        // At the target or fully used, whichever is more.
        let full = i64::from(target.max(100));
        let if_low = |pod: &str| requests.get(pod).copied().unwrap_or(0).saturating_mul(full) / 100;
        let replicas = self.scaled(&grouped, samples, ratio, if_low, false)?;
        Ok(Found { replicas, value: mean, utilization: Some(percent) })
    }

    /// Towards an amount for each pod, in thousandths.
    pub fn by_value(&self, mut samples: Samples, resource: &str, target: i64) -> Result<Found, String> {
        let grouped = self.group(&mut samples, resource)?;
        let mean = |samples: &Samples| samples.values().map(|s| s.value).sum::<i64>() / samples.len() as i64;
        let value = mean(&samples);
        let ratio = |samples: &Samples| Ok(mean(samples) as f64 / target as f64);
        let replicas = self.scaled(&grouped, samples, ratio, |_| target, true)?;
        Ok(Found { replicas, value, utilization: None })
    }

    /// Towards one amount for all pods together, in thousandths.
    pub fn by_total(&self, usage: i64, target: i64) -> Result<Found, String> {
        let ratio = usage as f64 / target as f64;
        let found = |replicas| Found { replicas, value: usage, utilization: None };
        if self.current == 0 {
            return Ok(found(ratio.ceil() as i32));
        }
        if self.tolerance.covers(ratio) {
            return Ok(found(self.current));
        }
        if self.pods.is_empty() {
            return Err(format!("unable to calculate ready pods: {NO_PODS}"));
        }
        let running = |pod: &&Pod| phase(pod) == "Running" && pod.is_ready();
        let ready = self.pods.iter().filter(running).count();
        Ok(found(ceil(ratio * ready as f64)))
    }

    /// Towards an amount (thousandths) for each of `present` pods, of one that is known for all together only.
    pub fn by_share(&self, usage: i64, target: i64, present: i32) -> Found {
        let ratio = usage as f64 / (target as f64 * f64::from(present));
        let near = self.tolerance.covers(ratio);
        let replicas = if near { present } else { ceil(usage as f64 / target as f64) };
        let each = (usage as f64 / f64::from(present)).ceil() as i64;
        Found { replicas, value: each, utilization: None }
    }

    /// Sorts the pods; leaves the measurements of those that count as they are.
    fn group(&self, samples: &mut Samples, resource: &str) -> Result<Grouped, String> {
        if self.pods.is_empty() {
            return Err(NO_PODS.into());
        }
        let mut grouped = Grouped { ready: 0, unready: BTreeSet::new(), missing: BTreeSet::new() };
        for pod in self.pods {
            let name = pod.name().to_owned();
            if pod.metadata.is_deleting() || phase(pod) == "Failed" {
                samples.remove(&name);
            } else if phase(pod) == "Pending" {
                samples.remove(&name);
                grouped.unready.insert(name);
            } else if let Some(sample) = samples.get(&name) {
                if resource == "cpu" && self.says_little(pod, sample) {
                    samples.remove(&name);
                    grouped.unready.insert(name);
                } else {
                    grouped.ready += 1;
                }
            } else {
                grouped.missing.insert(name);
            }
        }
        if samples.is_empty() {
            return Err("did not receive metrics for targeted pods (pods might be unready)".into());
        }
        Ok(grouped)
    }

    /// The CPU of a pod that is starting.
    fn says_little(&self, pod: &Pod, sample: &Sample) -> bool {
        let status = pod.status.as_ref();
        let ready = status.and_then(|s| s.conditions.as_ref()?.iter().find(|c| c.type_ == "Ready"));
        let began = status.and_then(|s| s.start_time.as_ref());
        let (Some(ready), Some(began)) = (ready, began) else { return true };
        let since = ready.last_transition_time.as_ref().map_or(Timestamp::UNIX_EPOCH, |t| t.0);
        let unready = ready.status == "False";
        if self.now.duration_since(began.0) < CPU_INITIALIZATION {
            let window = SignedDuration::try_from(sample.window).unwrap_or_default();
            return unready || sample.at.duration_since(since) < window;
        }
        unready && since.duration_since(began.0) < INITIAL_READINESS_DELAY
    }

    /// As many as the ratio asks for, measured pods, missing ones and starting ones considered.
    fn scaled(
        &self,
        grouped: &Grouped,
        mut samples: Samples,
        ratio: impl Fn(&Samples) -> Result<f64, String>,
        if_low: impl Fn(&str) -> i64,
        idle_at_par: bool,
    ) -> Result<i32, String> {
        let first = ratio(&samples)?;
        let with_unready = !grouped.unready.is_empty() && first > 1.0;
        if !with_unready && grouped.missing.is_empty() {
            let near = self.tolerance.covers(first);
            return Ok(if near { self.current } else { ceil(first * grouped.ready as f64) });
        }
        let assumed = |value| Sample { at: self.now, window: Duration::ZERO, value };
        for pod in &grouped.missing {
            if first < 1.0 {
                samples.insert(pod.clone(), assumed(if_low(pod)));
            } else if first > 1.0 || idle_at_par {
                samples.insert(pod.clone(), assumed(0));
            }
        }
        if with_unready {
            samples.extend(grouped.unready.iter().map(|pod| (pod.clone(), assumed(0))));
        }
        let second = ratio(&samples)?;
        let turned = first < 1.0 && second > 1.0 || first > 1.0 && second < 1.0;
        if self.tolerance.covers(second) || turned {
            return Ok(self.current);
        }
        let wanted = ceil(second * samples.len() as f64);
        let turned = second < 1.0 && wanted > self.current || second > 1.0 && wanted < self.current;
        Ok(if turned { self.current } else { wanted })
    }
}

const NO_PODS: &str = "no pods returned by selector while calculating replica count";

fn ceil(pods: f64) -> i32 {
    pods.ceil() as i32
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|s| s.phase.as_deref()).unwrap_or_default()
}

/// Used of what is requested in percent, and the mean use in thousandths.
fn utilization(samples: &Samples, requests: &BTreeMap<String, i64>) -> Result<(i32, i64), String> {
    let (mut used, mut requested, mut pods) = (0_i64, 0_i64, 0_i64);
    for (pod, sample) in samples {
        let Some(request) = requests.get(pod) else { continue };
        used = used.saturating_add(sample.value);
        requested = requested.saturating_add(*request);
        pods += 1;
    }
    if requested == 0 {
        return Err("no metrics returned matched known pods".into());
    }
    let percent = i128::from(used) * 100 / i128::from(requested);
    Ok((i32::try_from(percent).unwrap_or(i32::MAX), used / pods))
}

/// What each pod requests, in thousandths.
fn requests(pods: &[Pod], resource: &str, container: Option<&str>) -> Result<BTreeMap<String, i64>, String> {
    let of = |pod: &Pod| match container {
        None => of_pod(pod, resource),
        Some(container) => of_containers(pod, resource, Some(container)),
    };
    pods.iter().map(|pod| Ok((pod.name().to_owned(), of(pod)?))).collect()
}

fn of_pod(pod: &Pod, resource: &str) -> Result<i64, String> {
    let level = pod.spec.as_ref().and_then(|s| s.resources.as_ref()?.requests.as_ref());
    let Some(requests) = level.filter(|r| !r.is_empty()) else {
        return of_containers(pod, resource, None);
    };
    match requests.get(resource) {
        Some(amount) => Ok(amount.amount().milli_value()),
        // What is not set for the pod as a whole is the sum of its containers'.
        None => of_containers(pod, resource, None),
    }
}

fn of_containers(pod: &Pod, resource: &str, only: Option<&str>) -> Result<i64, String> {
    let Some(spec) = &pod.spec else { return Ok(0) };
    let sidecars = spec.init_containers.iter().flatten();
    let sidecars = sidecars.filter(|c| c.restart_policy.as_deref() == Some("Always"));
    let all = spec.containers.iter().chain(sidecars);
    let meant = |c: &&Container| only.is_none_or(|name| name == c.name);
    let of = |c: &Container| {
        let requests = c.resources.as_ref().and_then(|r| r.requests.as_ref());
        requests.and_then(|r| r.get(resource)).map(|amount| amount.amount().milli_value()).ok_or_else(|| {
            format!("missing request for {resource} in container {} of Pod {}", c.name, pod.name())
        })
    };
    all.filter(meant).map(of).sum()
}
