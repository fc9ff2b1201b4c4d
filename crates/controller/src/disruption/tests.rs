use codec::Kind;
use expect_test::{Expect, expect};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodCondition};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::budget;

/// The spec, how many pods their controllers want, the seconds since pods were evicted (`a=30`), and pods: `a ready going`.
fn check(spec: &str, wanted: i32, evicted: &str, pods: &str, expected: Expect) {
    let now = Timestamp::from_second(10_000).expect("a time");
    let json = format!(r#"{{"metadata":{{"name":"b","namespace":"ns","generation":3}},"spec":{spec}}}"#);
    let mut pdb = PodDisruptionBudget::from_json(json.as_bytes()).expect("a budget");
    for word in evicted.split_whitespace() {
        let (pod, seconds) = word.split_once('=').expect("pod=seconds");
        let since =
            Timestamp::from_second(10_000 - seconds.parse::<i64>().expect("seconds")).expect("a time");
        let status = pdb.status.get_or_insert_default();
        status.disrupted_pods.get_or_insert_default().insert(pod.into(), Time(since));
    }
    let pods: Vec<_> = pods.lines().map(str::trim).filter(|l| !l.is_empty()).map(pod).collect();
    let count = if budget::needs_scales(&pdb) { wanted } else { pods.len() as i32 };
    let outcome = budget::judge(&pdb, &pods, count, now);
    let s = outcome.status;
    let n = |count: Option<i32>| count.unwrap_or(0);
    let conditions = s.conditions.iter().flatten();
    let told: String = conditions.map(|c| format!("{} {} {}", c.type_, c.status, c.reason)).collect();
    let out = format!(
        "allowed {} healthy {} desired {} expected {}\n{told}\ngone {:?} overdue {:?} recheck {:?}\n",
        n(s.disruptions_allowed),
        n(s.current_healthy),
        n(s.desired_healthy),
        n(s.expected_pods),
        s.disrupted_pods.iter().flatten().map(|(name, _)| name).collect::<Vec<_>>(),
        outcome.overdue,
        outcome.recheck
    );
    expected.assert_eq(&out);
}

fn pod(text: &str) -> Pod {
    let mut words = text.split_whitespace();
    let mut pod = Pod::default();
    pod.metadata.name = words.next().map(str::to_owned);
    for word in words {
        match word {
            "ready" => {
                let ready =
                    PodCondition { type_: "Ready".into(), status: "True".into(), ..PodCondition::default() };
                pod.status.get_or_insert_default().conditions = Some(vec![ready]);
            }
            "going" => pod.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH)),
            other => panic!("{other}?"),
        }
    }
    pod
}

const THREE: &str = "
    a ready
    b ready
    c ready";

#[test]
fn a_number_that_must_stay() {
    check(
        r#"{"minAvailable": 2}"#,
        0,
        "",
        THREE,
        expect![[r#"
        allowed 1 healthy 3 desired 2 expected 3
        DisruptionAllowed True SufficientPods
        gone [] overdue [] recheck None
    "#]],
    );
    check(
        r#"{"minAvailable": 3}"#,
        0,
        "",
        THREE,
        expect![[r#"
        allowed 0 healthy 3 desired 3 expected 3
        DisruptionAllowed False InsufficientPods
        gone [] overdue [] recheck None
    "#]],
    );
    check(
        r#"{"minAvailable": 0}"#,
        0,
        "",
        "",
        expect![[r#"
        allowed 0 healthy 0 desired 0 expected 0
        DisruptionAllowed False InsufficientPods
        gone [] overdue [] recheck None
    "#]],
    );
}

#[test]
fn shares_of_what_is_wanted() {
    check(
        r#"{"minAvailable": "50%"}"#,
        5,
        "",
        THREE,
        expect![[r#"
        allowed 0 healthy 3 desired 3 expected 5
        DisruptionAllowed False InsufficientPods
        gone [] overdue [] recheck None
    "#]],
    );
    check(
        r#"{"maxUnavailable": 1}"#,
        3,
        "",
        THREE,
        expect![[r#"
        allowed 1 healthy 3 desired 2 expected 3
        DisruptionAllowed True SufficientPods
        gone [] overdue [] recheck None
    "#]],
    );
    check(
        r#"{"maxUnavailable": "30%"}"#,
        3,
        "",
        THREE,
        expect![[r#"
        allowed 1 healthy 3 desired 2 expected 3
        DisruptionAllowed True SufficientPods
        gone [] overdue [] recheck None
    "#]],
    );
    check(
        r#"{"maxUnavailable": 5}"#,
        3,
        "",
        THREE,
        expect![[r#"
        allowed 3 healthy 3 desired 0 expected 3
        DisruptionAllowed True SufficientPods
        gone [] overdue [] recheck None
    "#]],
    );
}

#[test]
fn evicted_pods_do_not_count_until_they_stay_too_long() {
    check(
        r#"{"minAvailable": 1}"#,
        0,
        "a=30 gone=30",
        THREE,
        expect![[r#"
        allowed 1 healthy 2 desired 1 expected 3
        DisruptionAllowed True SufficientPods
        gone ["a"] overdue [] recheck Some(91s)
    "#]],
    );
    check(
        r#"{"minAvailable": 1}"#,
        0,
        "a=121 b=100",
        THREE,
        expect![[r#"
        allowed 1 healthy 2 desired 1 expected 3
        DisruptionAllowed True SufficientPods
        gone ["b"] overdue ["a"] recheck Some(21s)
    "#]],
    );
    check(
        r#"{"minAvailable": 1}"#,
        0,
        "a=30",
        "a ready going\nb ready\nc",
        expect![[r#"
        allowed 0 healthy 1 desired 1 expected 3
        DisruptionAllowed False InsufficientPods
        gone [] overdue [] recheck None
    "#]],
    );
}
