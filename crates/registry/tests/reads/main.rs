//! Every combination of what a list or a watch may ask, and what it is told: `expected/` has the answers, which
//! `UPDATE_EXPECT=1 cargo test -p registry --test reads` writes.
//!
//! There are config maps a, b, c, d and e at the revision `old`; then c went, and cc came, which is `now`. Revisions in
//! answers are shown by these names.

mod world;

use std::path::PathBuf;
use std::time::Duration;

use expect_test::expect_file;
use futures::StreamExt;
use registry::WatchItem;
use registry::options::{ListOptions, WatchOptions};

use crate::world::World;

const MATCHES: &[&str] = &["", "Exact", "NotOlderThan", "Other"];

#[tokio::test]
async fn lists() {
    let world = World::new(16 << 20).await;
    let token = world.first_page().await;
    let mut asked = Vec::new();
    for version in ["", "0", "old", "future", "x"] {
        for matching in MATCHES {
            for limit in [0, 2] {
                for continued in [false, true] {
                    for initial in [None, Some(true)] {
                        let continue_token = if continued { token.clone() } else { String::new() };
                        asked.push(ListOptions {
                            resource_version: world.number(version),
                            resource_version_match: (*matching).into(),
                            limit,
                            continue_token,
                            send_initial_events: initial,
                            ..ListOptions::default()
                        });
                    }
                }
            }
        }
    }
    check("lists", &list_all(&world, &asked).await);
}

/// What was is no longer known: a list of it, and what goes on from a page of it.
#[tokio::test]
async fn lists_of_a_forgotten_state() {
    let world = World::new(0).await;
    let token = world.token_of("old", "b");
    let page = |continue_token: &str| ListOptions {
        limit: 2,
        continue_token: continue_token.into(),
        ..ListOptions::default()
    };
    let exact = ListOptions {
        resource_version: world.number("old"),
        resource_version_match: "Exact".into(),
        ..ListOptions::default()
    };
    let mut out = list_all(&world, &[exact, page(&token)]).await;
    // The token in the refusal gives the rest as it is now, in pages of that one state.
    let refused = world.list(&page(&token)).await.unwrap_err();
    let inconsistent = refused.metadata.continue_token.clone();
    assert_eq!(refused.details.map(|d| d.retry_after_seconds), None);
    let first = world.list(&page(&inconsistent)).await.unwrap();
    world.create("ee").await;
    let second = world.list(&page(&first.continue_token)).await.unwrap();
    out += &format!("{}\n{}\n", world.shown(&first), world.shown(&second));
    check("forgotten", &out);
}

#[tokio::test]
async fn a_selected_list_does_not_count_what_remains() {
    let world = World::new(16 << 20).await;
    let mut options = ListOptions { limit: 2, ..ListOptions::default() };
    assert_eq!(world.list(&options).await.unwrap().remaining, Some(3));
    options.selection.label_selector = "!x".into();
    let listing = world.list(&options).await.unwrap();
    assert_eq!((listing.remaining, listing.continue_token.is_empty()), (None, false));
}

#[tokio::test]
async fn watches() {
    let world = World::new(16 << 20).await;
    let mut asked = Vec::new();
    for version in ["", "0", "old", "x"] {
        for matching in MATCHES {
            for initial in [None, Some(true), Some(false)] {
                for bookmarks in [false, true] {
                    for continued in [false, true] {
                        asked.push(WatchOptions {
                            resource_version: world.number(version),
                            resource_version_match: (*matching).into(),
                            send_initial_events: initial,
                            bookmarks,
                            continued,
                            // It ends; what is there already comes before.
                            timeout: Some(Duration::from_millis(200)),
                            ..WatchOptions::default()
                        });
                    }
                }
            }
        }
    }
    let seen = futures::future::join_all(asked.iter().map(|options| watched(&world, options))).await;
    let lines = asked.iter().zip(seen).map(|(options, seen)| {
        let initial = options.send_initial_events.map_or(String::new(), |i| format!(" initial={i}"));
        format!(
            "rv={} match={}{initial}{}{}\n    {seen}\n",
            world.name(&options.resource_version),
            options.resource_version_match,
            if options.bookmarks { " bookmarks" } else { "" },
            if options.continued { " continue" } else { "" },
        )
    });
    check("watches", &lines.collect::<String>());
}

#[tokio::test]
async fn a_watch_of_a_forgotten_state() {
    let world = World::new(0).await;
    let options = WatchOptions { resource_version: world.number("old"), ..WatchOptions::default() };
    let mut stream = world.watch(&options).await.unwrap();
    let Some(WatchItem::Error(status)) = stream.next().await else { panic!("no error") };
    assert_eq!((status.code, &*status.reason), (410, "Expired"));
    assert!(status.message.starts_with("too old resource version: "), "{}", status.message);
    assert!(stream.next().await.is_none());
}

async fn list_all(world: &World, asked: &[ListOptions]) -> String {
    let answers = futures::future::join_all(asked.iter().map(|options| world.list(options))).await;
    let lines = asked.iter().zip(answers).map(|(options, answer)| {
        let answer = match answer {
            Ok(listing) => world.shown(&listing),
            Err(status) => world.refused(&status),
        };
        format!(
            "rv={} match={}{}{}{}\n    {answer}\n",
            world.name(&options.resource_version),
            options.resource_version_match,
            if options.limit > 0 { " limit" } else { "" },
            if options.continue_token.is_empty() { "" } else { " continue" },
            if options.send_initial_events.is_some() { " initial" } else { "" },
        )
    });
    lines.collect()
}

async fn watched(world: &World, options: &WatchOptions) -> String {
    let stream = match world.watch(options).await {
        Ok(stream) => stream,
        Err(status) => return world.refused(&status),
    };
    let items: Vec<_> = stream.collect().await;
    let words = items.iter().map(|item| match item {
        WatchItem::Event(event) => format!("{} {}", event.kind.as_str(), event.object.key.name),
        WatchItem::Bookmark { initial_events_end: true, .. } => "END OF INITIAL".into(),
        WatchItem::Bookmark { .. } => "BOOKMARK".into(),
        WatchItem::Error(status) => world.refused(status),
    });
    words.collect::<Vec<_>>().join(", ")
}

fn check(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/reads/expected/{name}.txt"));
    expect_file![path].assert_eq(text);
}
