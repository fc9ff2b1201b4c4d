use k8s_openapi::api::apps::v1::StatefulSet;
use resources::owner::ObjectMetaExt;

use super::*;

fn set(image: &str) -> StatefulSet {
    let json = format!(
        r#"{{"metadata":{{"name":"web","namespace":"ns","uid":"s","annotations":{{"kubernetes.io/change-cause":"why"}}}},
        "spec":{{"selector":{{"matchLabels":{{"app":"web"}}}},"template":{{"metadata":{{"labels":{{"app":"web"}}}},
        "spec":{{"containers":[{{"name":"c","image":"{image}"}}]}}}}}}}}"#
    );
    StatefulSet::from_json(json.as_bytes()).expect("a set")
}

#[test]
fn a_template_is_created_kept_or_raised() {
    let first = new_revision(&set("v1"), 1, None);
    let second = new_revision(&set("v2"), 2, None);
    let revisions = [first.clone(), second.clone()];
    assert_eq!(next(&set("v1"), &[]), Next::Create(1));
    assert_eq!(next(&set("v2"), &revisions), Next::Keep(&second));
    assert_eq!(next(&set("v1"), &revisions), Next::Raise(&first, 3));
    assert_eq!(next(&set("v3"), &revisions), Next::Create(3));
}

#[test]
fn a_revision_gives_its_template_back() {
    let owner = set("v1");
    let revision = new_revision(&owner, 1, None);
    assert_eq!(template(&revision).as_ref(), Some(&owner.spec.template));
    assert_eq!(revision.data.0["spec"]["template"]["$patch"], "replace");
    assert_eq!(revision.metadata.annotation("kubernetes.io/change-cause"), Some("why"));
    assert!(revision.metadata.is_controlled_by("s"));
    let name = |collisions| new_revision(&owner, 1, collisions).metadata.name;
    assert_ne!(name(None), name(Some(1)));
}

#[test]
fn history_is_cut_from_its_oldest_end() {
    let revisions: Vec<_> = (1..=4).map(|n| new_revision(&set(&format!("v{n}")), n, None)).collect();
    let gone = |limit, lives: &[i64]| -> Vec<i64> {
        superfluous(&revisions, limit, |r| lives.contains(&number(r))).into_iter().map(number).collect()
    };
    assert_eq!(gone(1, &[4]), [1, 2]);
    assert_eq!(gone(1, &[1, 4]), [2]);
    assert_eq!(gone(0, &[4]), [1, 2, 3]);
    assert_eq!(gone(10, &[]), [0; 0]);
    assert_eq!(gone(-1, &[]), [0; 0]);
}
