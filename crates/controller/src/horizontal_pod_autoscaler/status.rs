//! The status as it will be written, and the events that go with it, in upstream's words.

use apimachinery::{ObjectKey, Selector};
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::{
    HorizontalPodAutoscaler, HorizontalPodAutoscalerCondition, HorizontalPodAutoscalerStatus, MetricStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

pub(super) const ABLE: &str = "AbleToScale";
pub(super) const ACTIVE: &str = "ScalingActive";
pub(super) const LIMITED: &str = "ScalingLimited";

/// An event to be recorded.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    pub normal: bool,
    pub reason: &'static str,
    pub message: String,
}

/// What is to be said of one look at an autoscaler.
pub(super) struct Draft {
    pub status: HorizontalPodAutoscalerStatus,
    pub events: Vec<Event>,
    pub now: Timestamp,
    generation: Option<i64>,
}

impl Draft {
    pub fn new(scaler: &HorizontalPodAutoscaler, now: Timestamp) -> Self {
        let mut status = scaler.status.clone().unwrap_or_default();
        let generation = scaler.meta().generation;
        status.observed_generation = generation;
        Draft { status, events: Vec::new(), now, generation }
    }

    pub fn warn(&mut self, reason: &'static str, message: impl Into<String>) {
        self.events.push(Event { normal: false, reason, message: message.into() });
    }

    /// Sets a condition; its time moves only when `told` does.
    pub fn condition(&mut self, kind: &str, told: bool, reason: &str, message: impl Into<String>) {
        let told = if told { "True" } else { "False" };
        let conditions = self.status.conditions.get_or_insert_default();
        let at = conditions.iter().position(|c| c.type_ == kind).unwrap_or_else(|| {
            conditions.push(HorizontalPodAutoscalerCondition { type_: kind.into(), ..Default::default() });
            conditions.len() - 1
        });
        let condition = &mut conditions[at];
        if condition.status != told {
            condition.last_transition_time = Some(Time(self.now));
        }
        condition.status = told.into();
        condition.reason = Some(reason.into());
        condition.message = Some(message.into());
        condition.observed_generation = self.generation;
    }

    pub fn unreachable(&mut self, error: &str) {
        self.warn("FailedGetScale", error);
        let text = format!("the HPA controller was unable to get the target's current scale: {error}");
        self.condition(ABLE, false, "FailedGetScale", text);
    }

    pub fn reachable(&mut self) {
        let text = "the HPA controller was able to get the target's current scale";
        self.condition(ABLE, true, "SucceededGetScale", text);
    }

    /// Which pods the target's scale names.
    pub fn selector(&mut self, text: &str) -> Result<Selector, String> {
        if text.is_empty() {
            let error = "selector is required";
            self.warn("SelectorRequired", error);
            let told = "the HPA target's scale is missing a selector";
            self.condition(ACTIVE, false, "InvalidSelector", told);
            return Err(self.failed(error.into()));
        }
        Selector::parse(text).map_err(|error| {
            let error =
                format!("couldn't convert selector into a corresponding internal selector object: {error}");
            self.warn("InvalidSelector", &*error);
            self.condition(ACTIVE, false, "InvalidSelector", &*error);
            self.failed(error)
        })
    }

    /// No other autoscaler scales the same pods.
    pub fn unambiguous(&mut self, selector: &str, scalers: &[ObjectKey]) -> Result<(), String> {
        if scalers.len() < 2 {
            return Ok(());
        }
        let shown: Vec<_> = scalers.iter().map(|k| format!("{{{} {}}}", k.name, k.namespace)).collect();
        let shown = shown.join(" ");
        let error = format!("pods by selector {selector} are controlled by multiple HPAs: [{shown}]");
        self.warn("AmbiguousSelector", &*error);
        self.condition(ACTIVE, false, "AmbiguousSelector", &*error);
        Err(self.failed(error))
    }

    /// Nothing could be worked out.
    pub fn failed(&mut self, error: String) -> String {
        self.warn("FailedComputeMetricsReplicas", &*error);
        error
    }

    /// How many pods there are, though nothing could be worked out.
    pub fn counted(&mut self, current: i32) {
        self.status.current_replicas = Some(current);
    }

    pub fn settled(&mut self, current: i32, desired: i32, metrics: Vec<MetricStatus>) {
        self.status.current_replicas = Some(current);
        self.status.desired_replicas = desired;
        self.status.current_metrics = (!metrics.is_empty()).then_some(metrics);
    }

    pub fn scaled(&mut self, from: i32, to: i32, reason: &str, metrics: Vec<MetricStatus>) {
        let text = format!("the HPA controller was able to update the target scale to {to}");
        self.condition(ABLE, true, "SucceededRescale", text);
        let message = format!("New size: {to}; reason: {reason}");
        self.events.push(Event { normal: true, reason: "SuccessfulRescale", message });
        self.settled(from, to, metrics);
        self.status.last_scale_time = Some(Time(self.now));
    }

    pub fn not_scaled(&mut self, current: i32, to: i32, reason: &str, error: &str) {
        self.warn("FailedRescale", format!("New size: {to}; reason: {reason}; error: {error}"));
        let text = format!("the HPA controller was unable to update the target scale: {error}");
        self.condition(ABLE, false, "FailedUpdateScale", text);
        self.counted(current);
    }
}
