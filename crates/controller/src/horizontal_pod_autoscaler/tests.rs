use std::sync::Arc;
use std::time::Duration;

use apimachinery::{Gvr, Status};
use async_trait::async_trait;
use bytes::Bytes;
use client::transport::{Options, Request, Transport, View, ViewScope, WatchEvent};
use codec::Kind;
use expect_test::{Expect, expect};
use futures::stream::BoxStream;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::Pod;
use resources::Strategy as _;
use resources::autoscaling::horizontal_pod_autoscaler::Strategy;
use serde_json::{Value, json};

use super::memory::Memory;
use super::metrics::Meter;
use super::plan::{self, Seen, Size};
use super::proposal::{Measured, Reading};
use super::ratio::{Sample, Samples};
use super::status::Draft;
use crate::context::Served;

/// Each look is at this second, unless told otherwise.
const NOW: i64 = 100_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn scaler(spec: &str) -> HorizontalPodAutoscaler {
    let mut spec: Value = serde_json::from_str(spec).unwrap();
    spec["scaleTargetRef"] = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"});
    let json = json!({"metadata": {"name": "web", "namespace": "ns", "generation": 2}, "spec": spec});
    let mut scaler = HorizontalPodAutoscaler::from_json(json.to_string().as_bytes()).unwrap();
    Strategy.default(&mut scaler);
    scaler
}

/// `a 300/200` uses 300m of the 200m it requests; `-` was not measured. Words: `pending`, `failed`, `going`, `unready` (from
/// its start on), `young` (began a minute ago).
fn pods(lines: &str) -> (Vec<Pod>, Samples) {
    let mut samples = Samples::new();
    let pods = lines.lines().map(str::trim).filter(|l| !l.is_empty()).map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let (used, request) = words[1].split_once('/').unwrap();
        if used != "-" {
            let value = used.parse().unwrap();
            let sample = Sample { at: at(NOW - 10), window: Duration::from_secs(30), value };
            samples.insert(words[0].into(), sample);
        }
        let has = |word| words.contains(&word);
        let began = if has("young") { NOW - 60 } else { NOW - 3000 };
        let phase = match () {
            () if has("pending") => "Pending",
            () if has("failed") => "Failed",
            () => "Running",
        };
        let requests = match request {
            "none" => json!({}),
            request => json!({"cpu": format!("{request}m")}),
        };
        let mut pod = json!({
            "metadata": {"name": words[0], "namespace": "ns"},
            "spec": {"containers": [{"name": "c", "resources": {"requests": requests}}]},
            "status": {"phase": phase, "startTime": at(began).to_string(), "conditions": [{
                "type": "Ready", "status": if has("unready") { "False" } else { "True" },
                "lastTransitionTime": at(began + 5).to_string(),
            }]},
        });
        if has("going") {
            pod["metadata"]["deletionTimestamp"] = json!(at(NOW).to_string());
        }
        Pod::from_json(pod.to_string().as_bytes()).unwrap()
    });
    let pods = pods.collect();
    (pods, samples)
}

/// What is decided, the conditions, and the events.
fn told(
    scaler: &HorizontalPodAutoscaler,
    seen: &Seen<'_>,
    memory: &mut Memory,
    now: Timestamp,
) -> (String, Option<i32>) {
    let mut draft = Draft::new(scaler, now);
    memory.begin(seen.size.wanted, now);
    let decided = match plan::bounds(scaler, seen.size.wanted) {
        Some(bound) => plan::without_metrics(bound, &mut draft),
        None => plan::decide(scaler, seen, memory, &mut draft),
    };
    let mut out = String::new();
    let mut scaled = None;
    match decided {
        Ok(decision) => {
            scaled = decision.scale_to;
            match decision.scale_to {
                Some(to) => out += &format!("to {to}: {}\n", decision.reason),
                None => out += "stays\n",
            }
            for status in decision.statuses {
                out += &format!("measured {}\n", json!(status));
            }
            if let Some(error) = decision.partly {
                out += &format!("partly: {error}\n");
            }
        }
        Err(error) => out += &format!("error: {error}\n"),
    }
    for c in draft.status.conditions.iter().flatten() {
        let text = |t: &Option<String>| t.clone().unwrap_or_default();
        out += &format!("{} {} {}: {}\n", c.type_, c.status, text(&c.reason), text(&c.message));
    }
    for event in &draft.events {
        out += &format!("event {}: {}\n", event.reason, event.message);
    }
    (out, scaled)
}

#[track_caller]
fn check(spec: &str, current: i32, lines: &str, expected: Expect) {
    let (pods, samples) = pods(lines);
    let readings = [Ok(Measured::Pods(samples))];
    let size = Size { wanted: current, present: current };
    let seen = Seen { size, pods: &pods, readings: &readings };
    expected.assert_eq(&told(&scaler(spec), &seen, &mut Memory::default(), at(NOW)).0);
}

const HALF: &str = r#"{"minReplicas": 1, "maxReplicas": 10, "metrics": [{"type": "Resource", "resource":
    {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}]}"#;

#[test]
fn more_and_fewer_pods() {
    check(
        HALF,
        2,
        "a 200/200\nb 200/200",
        expect![[r#"
        to 4: cpu resource utilization (percentage of request) above target
        measured {"resource":{"current":{"averageUtilization":100,"averageValue":"200m"},"name":"cpu"},"type":"Resource"}
        ScalingActive True ValidMetricFound: the HPA was able to successfully calculate a replica count from cpu resource utilization (percentage of request)
        AbleToScale True ReadyForNewScale: recommended size matches current size
        ScalingLimited False DesiredWithinRange: the desired count is within the acceptable range
    "#]],
    );
    check(
        HALF,
        4,
        "a 10/200\nb 10/200\nc 10/200\nd 10/200",
        expect![[r#"
        stays
        measured {"resource":{"current":{"averageUtilization":5,"averageValue":"10m"},"name":"cpu"},"type":"Resource"}
        ScalingActive True ValidMetricFound: the HPA was able to successfully calculate a replica count from cpu resource utilization (percentage of request)
        AbleToScale True ScaleDownStabilized: recent recommendations were higher than current one, applying the highest recent recommendation
        ScalingLimited False DesiredWithinRange: the desired count is within the acceptable range
    "#]],
    );
    check(
        HALF,
        2,
        "a 105/200\nb 100/200",
        expect![[r#"
        stays
        measured {"resource":{"current":{"averageUtilization":51,"averageValue":"102m"},"name":"cpu"},"type":"Resource"}
        ScalingActive True ValidMetricFound: the HPA was able to successfully calculate a replica count from cpu resource utilization (percentage of request)
        AbleToScale True ReadyForNewScale: recommended size matches current size
        ScalingLimited False DesiredWithinRange: the desired count is within the acceptable range
    "#]],
    );
    check(
        HALF,
        5,
        "a 200/200\nb 200/200\nc 200/200\nd 200/200\ne 200/200",
        expect![[r#"
        to 10: cpu resource utilization (percentage of request) above target
        measured {"resource":{"current":{"averageUtilization":100,"averageValue":"200m"},"name":"cpu"},"type":"Resource"}
        ScalingActive True ValidMetricFound: the HPA was able to successfully calculate a replica count from cpu resource utilization (percentage of request)
        AbleToScale True ReadyForNewScale: recommended size matches current size
        ScalingLimited False DesiredWithinRange: the desired count is within the acceptable range
    "#]],
    );
}

#[test]
fn bounds() {
    check(
        HALF,
        0,
        "",
        expect![[r#"
        stays
        ScalingActive False ScalingDisabled: scaling is disabled since the replica count of the target is zero
    "#]],
    );
    check(
        HALF,
        11,
        "",
        expect![[r#"
        to 10: Current number of replicas above Spec.MaxReplicas
    "#]],
    );
    check(
        r#"{"minReplicas": 3, "maxReplicas": 10}"#,
        2,
        "",
        expect![[r#"
        to 3: Current number of replicas below Spec.MinReplicas
    "#]],
    );
}

#[test]
fn pods_that_do_not_count() {
    // The starting one would hold the mean down, the missing one up.
    check(
        HALF,
        3,
        "a 400/200\nb 400/200\nc 10/200 unready",
        expect![[r#"
        to 6: cpu resource utilization (percentage of request) above target
        measured {"resource":{"current":{"averageUtilization":200,"averageValue":"400m"},"name":"cpu"},"type":"Resource"}
        ScalingActive True ValidMetricFound: the HPA was able to successfully calculate a replica count from cpu resource utilization (percentage of request)
        AbleToScale True ReadyForNewScale: recommended size matches current size
        ScalingLimited True ScaleUpLimit: the desired replica count is increasing faster than the maximum scale rate
    "#]],
    );
    check(
        HALF,
        3,
        "a 400/200\nb 400/200\nc 10/200 young",
        expect![[r#"
        to 6: cpu resource utilization (percentage of request) above target
        measured {"resource":{"current":{"averageUtilization":135,"averageValue":"270m"},"name":"cpu"},"type":"Resource"}
        ScalingActive True ValidMetricFound: the HPA was able to successfully calculate a replica count from cpu resource utilization (percentage of request)
        AbleToScale True ReadyForNewScale: recommended size matches current size
        ScalingLimited True ScaleUpLimit: the desired replica count is increasing faster than the maximum scale rate
    "#]],
    );
    check(
        HALF,
        3,
        "a 400/200\nb 400/200\nc -/200",
        expect![[r#"
        to 6: cpu resource utilization (percentage of request) above target
        measured {"resource":{"current":{"averageUtilization":200,"averageValue":"400m"},"name":"cpu"},"type":"Resource"}
        ScalingActive True ValidMetricFound: the HPA was able to successfully calculate a replica count from cpu resource utilization (percentage of request)
        AbleToScale True ReadyForNewScale: recommended size matches current size
        ScalingLimited True ScaleUpLimit: the desired replica count is increasing faster than the maximum scale rate
    "#]],
    );
    check(
        HALF,
        3,
        "a 60/200\nb 60/200\nc -/200",
        expect![[r#"
        stays
        measured {"resource":{"current":{"averageUtilization":30,"averageValue":"60m"},"name":"cpu"},"type":"Resource"}
        ScalingActive True ValidMetricFound: the HPA was able to successfully calculate a replica count from cpu resource utilization (percentage of request)
        AbleToScale True ReadyForNewScale: recommended size matches current size
        ScalingLimited False DesiredWithinRange: the desired count is within the acceptable range
    "#]],
    );
    check(
        HALF,
        3,
        "a 400/200\nb 400/200\nc -/200 pending",
        expect![[r#"
        to 6: cpu resource utilization (percentage of request) above target
        measured {"resource":{"current":{"averageUtilization":200,"averageValue":"400m"},"name":"cpu"},"type":"Resource"}
        ScalingActive True ValidMetricFound: the HPA was able to successfully calculate a replica count from cpu resource utilization (percentage of request)
        AbleToScale True ReadyForNewScale: recommended size matches current size
        ScalingLimited True ScaleUpLimit: the desired replica count is increasing faster than the maximum scale rate
    "#]],
    );
    check(
        HALF,
        2,
        "a 200/200\nb 400/200 failed\nc 400/200 going",
        expect![[r#"
        stays
        measured {"resource":{"current":{"averageUtilization":100,"averageValue":"200m"},"name":"cpu"},"type":"Resource"}
        ScalingActive True ValidMetricFound: the HPA was able to successfully calculate a replica count from cpu resource utilization (percentage of request)
        AbleToScale True ReadyForNewScale: recommended size matches current size
        ScalingLimited False DesiredWithinRange: the desired count is within the acceptable range
    "#]],
    );
}

#[test]
fn what_cannot_be_told() {
    check(
        HALF,
        1,
        "",
        expect![[r#"
        error: invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric value: failed to get cpu utilization: no pods returned by selector while calculating replica count
        ScalingActive False FailedGetResourceMetric: the HPA was unable to compute the replica count: failed to get cpu utilization: no pods returned by selector while calculating replica count
        event FailedGetResourceMetric: failed to get cpu utilization: no pods returned by selector while calculating replica count
        event FailedComputeMetricsReplicas: invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric value: failed to get cpu utilization: no pods returned by selector while calculating replica count
    "#]],
    );
    check(
        HALF,
        1,
        "a -/200",
        expect![[r#"
        error: invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric value: failed to get cpu utilization: did not receive metrics for targeted pods (pods might be unready)
        ScalingActive False FailedGetResourceMetric: the HPA was unable to compute the replica count: failed to get cpu utilization: did not receive metrics for targeted pods (pods might be unready)
        event FailedGetResourceMetric: failed to get cpu utilization: did not receive metrics for targeted pods (pods might be unready)
        event FailedComputeMetricsReplicas: invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric value: failed to get cpu utilization: did not receive metrics for targeted pods (pods might be unready)
    "#]],
    );
    check(
        HALF,
        1,
        "a 5/none",
        expect![[r#"
        error: invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric value: failed to get cpu utilization: missing request for cpu in container c of Pod a
        ScalingActive False FailedGetResourceMetric: the HPA was unable to compute the replica count: failed to get cpu utilization: missing request for cpu in container c of Pod a
        event FailedGetResourceMetric: failed to get cpu utilization: missing request for cpu in container c of Pod a
        event FailedComputeMetricsReplicas: invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric value: failed to get cpu utilization: missing request for cpu in container c of Pod a
    "#]],
    );
}

#[track_caller]
fn check_readings(spec: &str, readings: &[Reading], expected: Expect) {
    let (pods, _) = pods("a 1/1\nb 1/1");
    let seen = Seen { size: Size { wanted: 2, present: 2 }, pods: &pods, readings };
    expected.assert_eq(&told(&scaler(spec), &seen, &mut Memory::default(), at(NOW)).0);
}

#[test]
fn other_metrics() {
    const MANY: &str = r#"{"maxReplicas": 9, "metrics": [
        {"type": "Object", "object": {"describedObject": {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "x"},
            "metric": {"name": "rps"}, "target": {"type": "Value", "value": "2k"}}},
        {"type": "External", "external": {"metric": {"name": "q", "selector": {"matchLabels": {"a": "b"}}},
            "target": {"type": "AverageValue", "averageValue": "30"}}},
        {"type": "Pods", "pods": {"metric": {"name": "p"}, "target": {"type": "AverageValue", "averageValue": "10"}}}
    ]}"#;
    let sample = |value| Sample { at: at(NOW), window: Duration::from_secs(60), value };
    let of_pods = Samples::from([("a".into(), sample(9_000)), ("b".into(), sample(11_500))]);
    check_readings(
        MANY,
        &[Ok(Measured::Total(5_000_000)), Ok(Measured::Total(100_000)), Ok(Measured::Pods(of_pods.clone()))],
        expect![[r#"
            to 4: Ingress metric rps above target
            measured {"object":{"current":{"value":"5k"},"describedObject":{"apiVersion":"networking.k8s.io/v1","kind":"Ingress","name":"x"},"metric":{"name":"rps"}},"type":"Object"}
            measured {"external":{"current":{"averageValue":"50"},"metric":{"name":"q","selector":{"matchLabels":{"a":"b"}}}},"type":"External"}
            measured {"pods":{"current":{"averageValue":"10250m"},"metric":{"name":"p"}},"type":"Pods"}
            ScalingActive True ValidMetricFound: the HPA was able to successfully calculate a replica count from Ingress metric rps
            AbleToScale True ReadyForNewScale: recommended size matches current size
            ScalingLimited True ScaleUpLimit: the desired replica count is increasing faster than the maximum scale rate
        "#]],
    );
    // Enough is known to grow, not to shrink.
    check_readings(
        MANY,
        &[Err("no".into()), Ok(Measured::Total(100_000)), Err("no".into())],
        expect![[r#"
            to 4: external metric q(&LabelSelector{MatchLabels:map[string]string{a: b,},MatchExpressions:[]LabelSelectorRequirement{},}) above target
            measured {"type":""}
            measured {"external":{"current":{"averageValue":"50"},"metric":{"name":"q","selector":{"matchLabels":{"a":"b"}}}},"type":"External"}
            measured {"type":""}
            partly: invalid metrics (2 invalid out of 3), first error is: failed to get object metric value: unable to get metric rps: Ingress on ns x/no
            ScalingActive True ValidMetricFound: the HPA was able to successfully calculate a replica count from external metric q(&LabelSelector{MatchLabels:map[string]string{a: b,},MatchExpressions:[]LabelSelectorRequirement{},})
            AbleToScale True ReadyForNewScale: recommended size matches current size
            ScalingLimited False DesiredWithinRange: the desired count is within the acceptable range
            event FailedGetObjectMetric: unable to get metric rps: Ingress on ns x/no
            event FailedGetPodsMetric: unable to get metric p: no
        "#]],
    );
    check_readings(
        MANY,
        &[Err("no".into()), Ok(Measured::Total(10_000)), Ok(Measured::Pods(of_pods))],
        expect![[r#"
            stays
            measured {"type":""}
            measured {"external":{"current":{"averageValue":"5"},"metric":{"name":"q","selector":{"matchLabels":{"a":"b"}}}},"type":"External"}
            measured {"pods":{"current":{"averageValue":"10250m"},"metric":{"name":"p"}},"type":"Pods"}
            partly: invalid metrics (1 invalid out of 3), first error is: failed to get object metric value: unable to get metric rps: Ingress on ns x/no
            ScalingActive True ValidMetricFound: the HPA was able to successfully calculate a replica count from pods metric p
            AbleToScale True ReadyForNewScale: recommended size matches current size
            ScalingLimited False DesiredWithinRange: the desired count is within the acceptable range
            event FailedGetObjectMetric: unable to get metric rps: Ingress on ns x/no
        "#]],
    );
}

/// `second wish` by line; each is done to the size at once. Prints what became of it.
#[track_caller]
fn check_memory(behavior: &str, start: i32, wishes: &str, expected: Expect) {
    let behavior: Value = serde_json::from_str(behavior).unwrap();
    let mut spec = json!({"minReplicas": 1, "maxReplicas": 100});
    if !behavior.is_null() {
        spec["behavior"] = behavior;
    }
    spec["metrics"] = json!([{"type": "External", "external": {"metric": {"name": "q"},
        "target": {"type": "AverageValue", "averageValue": "1"}}}]);
    let scaler = scaler(&spec.to_string());
    let (mut memory, mut size, mut out) = (Memory::default(), start, String::new());
    let (pods, _) = pods("a 1/1");
    for line in wishes.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let (second, wish) = line.split_once(' ').unwrap();
        let now = at(NOW + second.parse::<i64>().unwrap());
        let readings = [Ok(Measured::Total(wish.parse::<i64>().unwrap() * 1000))];
        let seen = Seen { size: Size { wanted: size, present: size }, pods: &pods, readings: &readings };
        let (text, scaled) = told(&scaler, &seen, &mut memory, now);
        if let Some(to) = scaled {
            memory.scaled(scaler.spec.behavior.as_ref(), size, to, now);
            size = to;
        }
        let reasons: Vec<_> =
            text.lines().filter(|l| l.starts_with("Able") || l.starts_with("ScalingL")).collect();
        let reasons = reasons.iter().filter_map(|l| l.split([' ', ':']).nth(2)).collect::<Vec<_>>();
        out += &format!("{second} wish {wish} size {size} {}\n", reasons.join(" "));
    }
    expected.assert_eq(&out);
}

#[test]
fn stabilization_and_rates() {
    const WISHES: &str = "
        0 20
        15 20
        30 20
        60 4
        329 4
        331 4
        340 200";
    check_memory(
        "null",
        2,
        WISHES,
        expect![[r#"
        0 wish 20 size 4 ReadyForNewScale ScaleUpLimit
        15 wish 20 size 8 ReadyForNewScale ScaleUpLimit
        30 wish 20 size 16 ReadyForNewScale ScaleUpLimit
        60 wish 4 size 20 ScaleDownStabilized DesiredWithinRange
        329 wish 4 size 20 ScaleDownStabilized DesiredWithinRange
        331 wish 4 size 4 ReadyForNewScale DesiredWithinRange
        340 wish 200 size 8 ReadyForNewScale ScaleUpLimit
    "#]],
    );
    check_memory(
        r#"{"scaleUp": {"policies": [{"type": "Pods", "value": 3, "periodSeconds": 60}]},
            "scaleDown": {"stabilizationWindowSeconds": 0, "policies":
                [{"type": "Percent", "value": 50, "periodSeconds": 30}, {"type": "Pods", "value": 1, "periodSeconds": 30}],
                "selectPolicy": "Min"}}"#,
        2,
        WISHES,
        expect![[r#"
            0 wish 20 size 5 ReadyForNewScale ScaleUpLimit
            15 wish 20 size 5 ReadyForNewScale ScaleUpLimit
            30 wish 20 size 5 ReadyForNewScale ScaleUpLimit
            60 wish 4 size 4 ReadyForNewScale DesiredWithinRange
            329 wish 4 size 4 ReadyForNewScale DesiredWithinRange
            331 wish 4 size 4 ReadyForNewScale DesiredWithinRange
            340 wish 200 size 7 ReadyForNewScale ScaleUpLimit
        "#]],
    );
    check_memory(
        r#"{"scaleUp": {"stabilizationWindowSeconds": 60}, "scaleDown": {"selectPolicy": "Disabled"}}"#,
        2,
        WISHES,
        expect![[r#"
            0 wish 20 size 2 ScaleUpStabilized DesiredWithinRange
            15 wish 20 size 2 ScaleUpStabilized DesiredWithinRange
            30 wish 20 size 2 ScaleUpStabilized DesiredWithinRange
            60 wish 4 size 4 ReadyForNewScale DesiredWithinRange
            329 wish 4 size 4 ReadyForNewScale DesiredWithinRange
            331 wish 4 size 4 ReadyForNewScale DesiredWithinRange
            340 wish 200 size 4 ScaleUpStabilized DesiredWithinRange
        "#]],
    );
}

/// Answers with what it is given, and tells what it was asked.
struct Answering(Result<Value, Status>, std::sync::Mutex<Vec<String>>);

#[async_trait]
impl Transport for Answering {
    async fn send(&self, request: Request) -> Result<Bytes, Status> {
        let Request { gvr, namespace, name, subresource, options, .. } = request;
        let asked = format!(
            "{} {namespace}/{name} {subresource} labels={} metrics={}",
            gvr.group_resource(),
            options.label_selector,
            options.metric_label_selector
        );
        self.1.lock().unwrap().push(asked);
        self.0.clone().map(|json| json.to_string().into())
    }

    async fn watch(&self, _: &Gvr, _: &str, _: &Options) -> Result<BoxStream<'static, WatchEvent>, Status> {
        Err(Status::internal("not asked for"))
    }

    fn reflect(&self, _: &Gvr, _: &ViewScope) -> Arc<dyn View> {
        unreachable!("the meter keeps no view")
    }
}

async fn check_meter(metric: Value, answer: Result<Value, Status>, expected: Expect) {
    let transport = Arc::new(Answering(answer, Default::default()));
    let meter = Meter::new(transport.clone(), Served::builtin(&[]));
    let metric = serde_json::from_value(metric).unwrap();
    let reading = meter.read(&metric, "ns", "app=web").await;
    let asked = transport.1.lock().unwrap().join("\n");
    expected.assert_eq(&format!("{asked}\n{reading:?}\n"));
}

fn unknown() -> Status {
    Status::failure(404, "NotFound", "the server could not find the requested resource")
}

#[tokio::test]
async fn metrics_are_read_by_their_own_paths() {
    let cpu = json!({"type": "Resource", "resource": {"name": "cpu", "target": {}}});
    check_meter(cpu.clone(), Err(unknown()), expect![[r#"
        pods.metrics.k8s.io ns/  labels=app=web metrics=
        Err("unable to fetch metrics from resource metrics API: the server could not find the requested resource (get pods.metrics.k8s.io)")
    "#]]).await;
    check_meter(
        cpu.clone(),
        Ok(json!({"items": []})),
        expect![[r#"
        pods.metrics.k8s.io ns/  labels=app=web metrics=
        Err("no metrics returned from resource metrics API")
    "#]],
    )
    .await;
    let of_pods = json!({"items": [
        {"metadata": {"name": "a", "namespace": "ns"}, "timestamp": "2026-01-01T00:00:00Z", "window": "1m2.5s",
            "containers": [{"name": "x", "usage": {"cpu": "1500u", "memory": "1Mi"}}, {"name": "y", "usage": {"cpu": "3"}}]},
        {"metadata": {"name": "b", "namespace": "ns"}, "timestamp": "2026-01-01T00:00:00Z", "window": "15s",
            "containers": [{"name": "x", "usage": {"memory": "1Mi"}}]},
    ]});
    check_meter(
        cpu,
        Ok(of_pods.clone()),
        expect![[r#"
        pods.metrics.k8s.io ns/  labels=app=web metrics=
        Ok(Pods({"a": Sample { at: 2026-01-01T00:00:00Z, window: 62.5s, value: 3002 }}))
    "#]],
    )
    .await;
    let container = json!({"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "y", "target": {}}});
    check_meter(
        container,
        Ok(of_pods),
        expect![[r#"
        pods.metrics.k8s.io ns/  labels=app=web metrics=
        Err("failed to get container metrics: container y not present in metrics for pod ns/b")
    "#]],
    )
    .await;
    let rps = json!({"type": "Pods", "pods": {"metric": {"name": "rps", "selector": {"matchLabels": {"a": "b"}}}, "target": {}}});
    check_meter(rps.clone(), Err(unknown()), expect![[r#"
        pods.custom.metrics.k8s.io ns/* rps labels=app=web metrics=a=b
        Err("unable to fetch metrics from custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered")
    "#]]).await;
    let values = json!({"items": [{"describedObject": {"name": "a"}, "value": "2500m", "timestamp": "2026-01-01T00:00:00Z"}]});
    check_meter(
        rps,
        Ok(values.clone()),
        expect![[r#"
        pods.custom.metrics.k8s.io ns/* rps labels=app=web metrics=a=b
        Ok(Pods({"a": Sample { at: 2026-01-01T00:00:00Z, window: 60s, value: 2500 }}))
    "#]],
    )
    .await;
    let object = json!({"type": "Object", "object": {"metric": {"name": "rps"}, "target": {},
        "describedObject": {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "x"}}});
    check_meter(
        object,
        Ok(values.clone()),
        expect![[r#"
        ingresses.networking.k8s.io.custom.metrics.k8s.io ns/x rps labels= metrics=
        Ok(Total(2500))
    "#]],
    )
    .await;
    let namespace = json!({"type": "Object", "object": {"metric": {"name": "rps"}, "target": {},
        "describedObject": {"apiVersion": "v1", "kind": "Namespace", "name": "n"}}});
    check_meter(
        namespace,
        Ok(values.clone()),
        expect![[r#"
        metrics.custom.metrics.k8s.io n/rps  labels= metrics=
        Ok(Total(2500))
    "#]],
    )
    .await;
    let queue = json!({"type": "External", "external": {"metric": {"name": "q", "selector": {"matchLabels": {"a": "b"}}}, "target": {}}});
    check_meter(queue.clone(), Err(unknown()), expect![[r#"
        q.external.metrics.k8s.io ns/  labels=a=b metrics=
        Err("unable to fetch metrics from external metrics API: the server could not find the requested resource (get q.external.metrics.k8s.io)")
    "#]]).await;
    check_meter(
        queue,
        Ok(values),
        expect![[r#"
        q.external.metrics.k8s.io ns/  labels=a=b metrics=
        Ok(Total(2500))
    "#]],
    )
    .await;
}

#[test]
fn a_window_is_a_go_duration() {
    for (text, seconds) in [("30s", 30.0), ("1m2.5s", 62.5), ("1h0m0s", 3600.0), ("150ms", 0.15)] {
        assert_eq!(text.parse::<SignedDuration>().unwrap().as_secs_f64(), seconds, "{text}");
    }
}
