use k8s_openapi::api::core::v1::Pod;
use stdx::SystemClock;

use super::*;
use crate::fake::FakeApi;

fn pod(name: &str) -> ObjectReference {
    let mut pod = Pod::default();
    pod.metadata.namespace = Some("ns".into());
    pod.metadata.name = Some(name.into());
    pod.metadata.uid = Some(format!("uid-{name}"));
    reference(&pod)
}

fn recorder(api: &FakeApi, tasks: &Tasks) -> EventRecorder {
    EventRecorder::new(
        api.transport(),
        tasks,
        SystemClock::shared(),
        Random::seeded(1),
        "test-controller",
        "",
    )
}

#[tokio::test]
async fn the_same_event_again_raises_the_count() {
    let (api, tasks) = (FakeApi::new(SystemClock::shared()), Tasks::new());
    let recorder = recorder(&api, &tasks);
    for _ in 0..3 {
        recorder.event(&pod("a"), EventType::Normal, "Pulled", "image");
    }
    recorder.event(&pod("a"), EventType::Warning, "Failed", "other");
    api.until(|api| api.all::<Event>().len() == 2).await;
    let events = api.all::<Event>();
    let pulled = events.iter().find(|e| e.reason.as_deref() == Some("Pulled")).expect("event");
    assert_eq!(pulled.count, Some(3));
    assert_eq!(pulled.type_.as_deref(), Some("Normal"));
    assert_eq!(pulled.source.as_ref().and_then(|s| s.component.as_deref()), Some("test-controller"));
    assert!(pulled.name().starts_with("a."), "{}", pulled.name());
    assert_eq!(pulled.namespace(), "ns");
    tasks.stop().await;
}

#[tokio::test]
async fn an_expired_event_is_created_again() {
    let (api, tasks) = (FakeApi::new(SystemClock::shared()), Tasks::new());
    let recorder = recorder(&api, &tasks);
    recorder.event(&pod("a"), EventType::Normal, "Pulled", "image");
    api.until(|api| api.all::<Event>().len() == 1).await;
    let name = api.all::<Event>()[0].name().to_owned();
    api.remove::<Event>("ns", &name);
    recorder.event(&pod("a"), EventType::Normal, "Pulled", "image");
    api.until(|api| api.all::<Event>().len() == 1).await;
    assert_eq!(api.all::<Event>()[0].count, Some(2));
    tasks.stop().await;
}

fn correlate(correlator: &mut Correlator, message: &str, at: i64) -> Option<(String, bool)> {
    let event = Event {
        involved_object: pod("a"),
        message: Some(message.into()),
        reason: Some("R".into()),
        ..Event::default()
    };
    let now = jiff::Timestamp::from_second(at).expect("time");
    let outcome = correlator.correlate(event, now)?;
    let (text, repeated) = (outcome.event.message.clone(), outcome.existing.is_some());
    let mut stored = outcome.event;
    stored.metadata.name = Some("stored".into());
    correlator.stored(&outcome.key, stored);
    Some((text.unwrap_or_default(), repeated))
}

#[test]
fn many_similar_events_become_one() {
    let mut correlator = Correlator::default();
    for n in 0..9 {
        assert_eq!(correlate(&mut correlator, &format!("m{n}"), 0), Some((format!("m{n}"), false)));
    }
    let combined = |m: &str| format!("(combined from similar events): {m}");
    assert_eq!(correlate(&mut correlator, "m9", 0), Some((combined("m9"), false)));
    assert_eq!(correlate(&mut correlator, "m10", 0), Some((combined("m10"), true)));
    assert_eq!(correlate(&mut correlator, "m11", 601), Some(("m11".into(), false)));
}

#[test]
fn a_noisy_object_is_silenced_for_a_while() {
    let mut correlator = Correlator::default();
    for _ in 0..25 {
        assert!(correlate(&mut correlator, "same", 0).is_some());
    }
    assert_eq!(correlate(&mut correlator, "same", 0), None);
    assert_eq!(correlate(&mut correlator, "same", 299), None);
    assert_eq!(correlate(&mut correlator, "same", 301), Some(("same".into(), true)));
    assert_eq!(correlate(&mut correlator, "same", 302), None);
}
