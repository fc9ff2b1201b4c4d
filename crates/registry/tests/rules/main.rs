//! Rules counted, not claimed: two samples of every kind that is served, spoilt in every way that the tables of fields know,
//! and what the registry says of each. Start at [`every_kind_is_counted`].
//!
//! - `samples/`: a file for each group, two documents for each kind: the least that is accepted, and a full one.
//! - `expected/`: what was said. `UPDATE_EXPECT=1 cargo test -p registry --test rules` writes it; read it, it is the
//!   specification from then on.
//! - `docs/rules.md`: the table of counts, written by the same run. A cell without anything in it has to be excused by
//!   `excuses.txt`, with the reason.

mod census;
mod excuses;
mod samples;
mod spoil;
mod trial;

use std::collections::BTreeMap;
use std::path::PathBuf;

use apimachinery::raw::Raw;
use expect_test::expect_file;

use crate::census::Census;
use crate::excuses::Excuses;
use crate::samples::Samples;

/// Every kind of the tables has samples, answers every spoilt one as is written down, and leaves no cell of the table blank.
#[tokio::test]
async fn every_kind_is_counted() {
    let registry = trial::registry().await;
    let (samples, excuses) = (Samples::read(&here("samples")), Excuses::read(&here("excuses.txt")));
    let mut said: BTreeMap<String, String> = BTreeMap::new();
    let mut rows = Vec::new();
    let mut faults = Vec::new();
    for resource in registry.resources().iter().filter(|r| r.verbs.contains(&"create")) {
        let Some(pair) = samples.of(&resource.gvk) else {
            faults.push(format!("{} has no samples: docs/how-to/add-a-kind.md", resource.gvk.kind));
            continue;
        };
        let census = Census::take(&registry, resource, &pair).await;
        let group = if resource.gvk.group.is_empty() { "core" } else { &resource.gvk.group };
        said.entry(group.to_owned()).or_default().push_str(&census.transcript());
        faults.extend(census.faults(&excuses));
        rows.push(census);
    }
    for (group, text) in &said {
        expect_file![here(&format!("expected/{group}.txt"))].assert_eq(text);
    }
    expect_file![here("../../../../docs/rules.md")].assert_eq(&census::table(&rows, &excuses));
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// What is read from stored JSON for selectors is what the decoded object says.
#[tokio::test]
async fn stored_fields_are_the_fields() {
    let (registry, samples) = (trial::registry().await, Samples::read(&here("samples")));
    let mut compared = 0;
    // What is stored is of the version that all others are made from.
    for resource in registry.resources().iter().filter(|r| r.conversion.is_none()) {
        let Some(pair) = samples.of(&resource.gvk) else { continue };
        for sample in [pair.least, pair.full] {
            let mut object = resource.strategy.decode(sample.to_string().as_bytes()).unwrap();
            resource.strategy.default(&mut *object);
            let json = String::from_utf8(object.encode()).unwrap();
            let Some(fields) = resource.strategy.stored_fields(Raw::new(&json)) else { continue };
            assert_eq!(fields, resource.strategy.fields(&*object), "{}", resource.gvk.kind);
            compared += 1;
        }
    }
    assert_eq!(compared, 6, "pods, secrets and events");
}

fn here(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/rules").join(name)
}
