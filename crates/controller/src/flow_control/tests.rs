use std::fmt::Write as _;

use expect_test::{Expect, expect};
use serde_json::json;

use super::*;

/// The suggested levels `system` and `workload-low` and the mandatory `catch-all` are wanted; each line of `there` is an object:
/// name, generation, annotation (or `-`), shares.
fn check(there: &str, expect: Expect) {
    let wanted: Vec<_> = bootstrap::priority_levels()
        .into_iter()
        .filter(|l| ["system", "workload-low", "catch-all"].contains(&l.name()))
        .collect();
    let object = |line: &str| {
        let [name, generation, annotation, shares] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let known = bootstrap::priority_levels().into_iter().find(|l| l.name() == name);
        let mut level = known.unwrap_or_else(|| {
            let json = json!({"metadata": {"name": name}, "spec": {"type": "Limited", "limited": {}}});
            PriorityLevelConfiguration::from_json(json.to_string().as_bytes()).unwrap()
        });
        level.metadata.generation = Some(generation.parse().unwrap());
        level.metadata.uid = Some(format!("{name}-uid"));
        if annotation != "-" {
            annotate(&mut level, annotation == "true");
        }
        if let (Some(limited), Ok(shares)) = (&mut level.spec.limited, shares.parse()) {
            limited.nominal_concurrency_shares = Some(shares);
        }
        level
    };
    let there: Vec<_> = there.trim().lines().map(|line| object(line.trim())).collect();
    let mut out = String::new();
    for action in plan(&there, wanted, same_level) {
        let (what, level) = match &action {
            Action::Create(level) => ("create", level),
            Action::Update(level) => ("update", level),
            Action::Delete(level) => ("delete", level),
        };
        let shares = level.spec.limited.as_ref().and_then(|l| l.nominal_concurrency_shares).unwrap_or(0);
        let (name, uid) = (level.name(), level.uid());
        writeln!(out, "{what} {name} {uid:?} annotated {:?}, {shares} shares", annotation(level)).unwrap();
    }
    expect.assert_eq(&out);
}

#[test]
fn what_is_missing_is_made() {
    check(
        "catch-all 1 true -",
        expect![[r#"
            create system "" annotated Some(true), 30 shares
            create workload-low "" annotated Some(true), 100 shares
        "#]],
    );
}

#[test]
fn what_is_as_it_should_be_stays() {
    check("catch-all 1 true -\nsystem 1 true -\nworkload-low 7 false 3", expect![[""]]);
}

#[test]
fn what_was_changed_is_put_right() {
    check(
        "catch-all 2 false 9\nsystem 2 true 9\nworkload-low 1 - -",
        expect![[r#"
            update catch-all "catch-all-uid" annotated Some(true), 5 shares
            update system "system-uid" annotated Some(true), 30 shares
            update workload-low "workload-low-uid" annotated Some(true), 100 shares
        "#]],
    );
}

#[test]
fn what_somebody_changed_before_is_theirs() {
    check(
        "catch-all 1 true -\nsystem 1 true -\nworkload-low 2 - 3",
        expect![[r#"
            update workload-low "workload-low-uid" annotated Some(false), 3 shares
        "#]],
    );
}

#[test]
fn what_another_version_made_goes() {
    check(
        "catch-all 1 true -\nsystem 1 true -\nworkload-low 1 true -\nold 1 true -\nmine 1 - -\nother 1 false -",
        expect![[r#"
            delete old "old-uid" annotated Some(true), 0 shares
        "#]],
    );
}

#[test]
fn schemas_without_a_level_dangle() {
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let schema = |name: &str, level: &str| {
        let json =
            json!({"metadata": {"name": name}, "spec": {"priorityLevelConfiguration": {"name": level}}});
        FlowSchema::from_json(json.to_string().as_bytes()).unwrap()
    };
    let levels = bootstrap::priority_levels();
    let found = judged(vec![schema("a", "system"), schema("b", "nowhere")], &levels, now);
    let mut out = String::new();
    for schema in &found {
        let condition = &schema.status.as_ref().unwrap().conditions.as_ref().unwrap()[0];
        let text = |t: &Option<String>| t.clone().unwrap();
        let (status, reason) = (text(&condition.status), text(&condition.reason));
        writeln!(out, "{} {status} {reason}: {}", schema.name(), text(&condition.message)).unwrap();
    }
    expect![[r#"
        a False Found: This FlowSchema references the PriorityLevelConfiguration object named "system" and it exists
        b True NotFound: This FlowSchema references the PriorityLevelConfiguration object named "nowhere" but there is no such object
    "#]]
    .assert_eq(&out);
    let later: Timestamp = "2026-01-01T01:00:00Z".parse().unwrap();
    assert_eq!(judged(found, &levels, later), []);
}
