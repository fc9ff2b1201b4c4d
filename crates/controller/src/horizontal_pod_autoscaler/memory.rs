//! What was recommended and done lately, and how far that lets a new recommendation go.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::autoscaling::v2::{HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscalerBehavior};

/// How long the highest recommendation holds against a lower one, when nothing is said.
const DOWN_WINDOW: i32 = 300;
/// Without a behavior, one step up at most doubles the size, or reaches this.
const STEP_MIN: i32 = 4;
/// No window and no period is longer.
const KEPT: SignedDuration = SignedDuration::from_secs(3600);

#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    recommendations: Vec<(Timestamp, i32)>,
    /// When, and by how many pods.
    ups: Vec<(Timestamp, i32)>,
    downs: Vec<(Timestamp, i32)>,
}

/// A number of pods, and what was done to the wish: a condition's status, reason and message.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Held {
    pub replicas: i32,
    pub changed: bool,
    pub reason: &'static str,
    pub message: &'static str,
}

/// The frame for a wish.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub min: i32,
    pub max: i32,
    pub current: i32,
}

impl Memory {
    /// The size when the autoscaler is first seen counts as recommended: it does not shrink at once.
    pub fn begin(&mut self, current: i32, now: Timestamp) {
        let old = |(at, _): &(Timestamp, i32)| now.duration_since(*at) <= KEPT;
        self.ups.retain(old);
        self.downs.retain(old);
        if self.recommendations.is_empty() {
            self.recommendations.push((now, current));
        }
        self.recommendations.retain(old);
    }

    /// Notes a change of size. Only behaviors look at them.
    pub fn scaled(
        &mut self,
        behavior: Option<&HorizontalPodAutoscalerBehavior>,
        from: i32,
        to: i32,
        now: Timestamp,
    ) {
        match behavior {
            Some(_) if to > from => self.ups.push((now, to - from)),
            Some(_) => self.downs.push((now, from - to)),
            None => {}
        }
    }

    /// `wish`, held against what was recommended lately.
    pub fn stabilized(
        &mut self,
        wish: i32,
        current: i32,
        behavior: Option<&HorizontalPodAutoscalerBehavior>,
        now: Timestamp,
    ) -> Held {
        const DOWN: &str =
            "recent recommendations were higher than current one, applying the highest recent recommendation";
        const UP: &str =
            "recent recommendations were lower than current one, applying the lowest recent recommendation";
        let replicas = match behavior {
            None => self.recent(DOWN_WINDOW, now).fold(wish, i32::max),
            Some(behavior) => {
                let window = |rules: &Option<HPAScalingRules>, default| {
                    rules.as_ref().and_then(|r| r.stabilization_window_seconds).unwrap_or(default)
                };
                let low = self.recent(window(&behavior.scale_up, 0), now).fold(wish, i32::min);
                let high = self.recent(window(&behavior.scale_down, DOWN_WINDOW), now).fold(wish, i32::max);
                current.max(low).min(high)
            }
        };
        self.recommendations.push((now, wish));
        let up = behavior.is_some() && wish >= current;
        let (reason, message) = match (replicas == wish, up) {
            (true, _) => ("ReadyForNewScale", "recommended size matches current size"),
            (false, true) => ("ScaleUpStabilized", UP),
            (false, false) => ("ScaleDownStabilized", DOWN),
        };
        Held { replicas, changed: replicas != wish, reason, message }
    }

    fn recent(&self, window: i32, now: Timestamp) -> impl Iterator<Item = i32> {
        let window = SignedDuration::from_secs(window.into());
        let within = move |at: Timestamp| now.duration_since(at) < window;
        self.recommendations.iter().filter(move |(at, _)| within(*at)).map(|(_, wish)| *wish)
    }

    /// `wish`, within the bounds and no faster than is allowed.
    pub fn limited(
        &self,
        wish: i32,
        frame: Frame,
        behavior: Option<&HorizontalPodAutoscalerBehavior>,
        now: Timestamp,
    ) -> Held {
        const FAST: &str = "the desired replica count is increasing faster than the maximum scale rate";
        const FAST_DOWN: &str = "the desired replica count is decreasing faster than the maximum scale rate";
        const MANY: &str = "the desired replica count is more than the maximum replica count";
        const FEW: &str = "the desired replica count is less than the minimum replica count";
        let Frame { min, max, current } = frame;
        let none = HPAScalingRules::default();
        let (up, down) = match behavior {
            None => (current.saturating_mul(2).max(STEP_MIN), min),
            Some(behavior) => {
                let up = behavior.scale_up.as_ref().unwrap_or(&none);
                let down = behavior.scale_down.as_ref().unwrap_or(&none);
                (
                    self.up_limit(current, up, now).max(current),
                    self.down_limit(current, down, now).min(current),
                )
            }
        };
        let held = |replicas, reason, message| Held { replicas, changed: true, reason, message };
        // A behavior bounds only the direction the wish goes.
        let (rises, falls) = (behavior.is_none() || wish > current, behavior.is_none() || wish < current);
        let highest = max.min(up);
        let lowest = min.max(down);
        if falls && wish < lowest {
            return match min < down {
                true => held(lowest, "ScaleDownLimit", FAST_DOWN),
                false => held(lowest, "TooFewReplicas", FEW),
            };
        }
        if rises && wish > highest {
            return match max > up {
                true => held(highest, "ScaleUpLimit", FAST),
                false => held(highest, "TooManyReplicas", MANY),
            };
        }
        Held {
            replicas: wish,
            changed: false,
            reason: "DesiredWithinRange",
            message: "the desired count is within the acceptable range",
        }
    }

    fn up_limit(&self, current: i32, rules: &HPAScalingRules, now: Timestamp) -> i32 {
        let of = |policy: &HPAScalingPolicy| {
            let start = self.at_start(current, policy, now);
            match &*policy.type_ {
                "Pods" => start.saturating_add(policy.value),
                // Rounded up, or one pod would never become two.
                _ => (f64::from(start) * (1.0 + f64::from(policy.value) / 100.0)).ceil() as i32,
            }
        };
        let limits = rules.policies.iter().flatten().map(of);
        match rules.select_policy.as_deref() {
            Some("Disabled") => Some(current),
            Some("Min") => limits.min(),
            _ => limits.max(),
        }
        .unwrap_or(current)
    }

    fn down_limit(&self, current: i32, rules: &HPAScalingRules, now: Timestamp) -> i32 {
        let of = |policy: &HPAScalingPolicy| {
            let start = self.at_start(current, policy, now);
            match &*policy.type_ {
                "Pods" => start.saturating_sub(policy.value),
                _ => (f64::from(start) * (1.0 - f64::from(policy.value) / 100.0)) as i32,
            }
        };
        let limits = rules.policies.iter().flatten().map(of);
        match rules.select_policy.as_deref() {
            Some("Disabled") => Some(current),
            // The least change keeps the most pods.
            Some("Min") => limits.max(),
            _ => limits.min(),
        }
        .unwrap_or(current)
    }

    /// The size when the policy's period began.
    fn at_start(&self, current: i32, policy: &HPAScalingPolicy, now: Timestamp) -> i32 {
        let period = SignedDuration::from_secs(policy.period_seconds.into());
        let sum = |changes: &[(Timestamp, i32)]| {
            changes.iter().filter(|(at, _)| now.duration_since(*at) < period).map(|(_, by)| by).sum::<i32>()
        };
        current - sum(&self.ups) + sum(&self.downs)
    }
}
