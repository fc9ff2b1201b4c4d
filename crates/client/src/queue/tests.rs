use std::sync::atomic::{AtomicUsize, Ordering};

use stdx::SystemClock;

use super::*;

fn queue() -> WorkQueue<&'static str> {
    WorkQueue::new(SystemClock::shared())
}

#[tokio::test]
async fn a_key_added_twice_is_worked_on_once() {
    let queue = queue();
    queue.add("a");
    queue.add("b");
    queue.add("a");
    assert_eq!(queue.get().await, Some("a"));
    assert_eq!(queue.get().await, Some("b"));
    assert!(queue.is_empty());
}

#[tokio::test]
async fn a_key_added_during_its_work_comes_back_after_it() {
    let queue = queue();
    queue.add("a");
    assert_eq!(queue.get().await, Some("a"));
    queue.add("a");
    queue.add("a");
    assert!(queue.is_empty(), "never two workers on one key");
    queue.done(&"a");
    assert_eq!(queue.get().await, Some("a"));
    queue.done(&"a");
    assert!(queue.is_empty());
}

#[tokio::test]
async fn the_earlier_of_two_delays_counts() {
    let queue = queue();
    queue.add_after("late", Duration::from_secs(3600));
    queue.add_after("late", Duration::from_millis(20));
    queue.add_after("soon", Duration::from_millis(1));
    queue.add_after("soon", Duration::from_secs(3600));
    assert_eq!(queue.get().await, Some("soon"));
    assert_eq!(queue.get().await, Some("late"));
}

#[tokio::test]
async fn shut_down_drains_what_is_ready_and_wakes_all_workers() {
    let queue = queue();
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.get().await }
    });
    tokio::task::yield_now().await;
    queue.add_after("never", Duration::from_secs(3600));
    queue.shut_down();
    assert_eq!(waiting.await.expect("task"), None);
    queue.add("x");
    assert_eq!(queue.get().await, None);
}

#[test]
fn back_off_doubles_to_its_maximum_and_starts_anew() {
    let mut limit = RateLimit::new(Backoff::CONTROLLER);
    let waits: Vec<_> = (0..19).map(|_| limit.next(&"a", Duration::ZERO).as_millis()).collect();
    assert_eq!(waits[..4], [5, 10, 20, 40]);
    assert_eq!(waits[17], 655_360);
    assert_eq!(waits[18], 1_000_000);
    for _ in 0..60 {
        assert!(limit.next(&"a", Duration::from_secs(60)) <= Backoff::CONTROLLER.max);
    }
    limit.forget(&"a");
    assert_eq!(limit.next(&"a", Duration::from_secs(600)).as_millis(), 5);
}

#[test]
fn all_keys_share_a_bucket() {
    let mut limit = RateLimit::new(Backoff::CONTROLLER);
    for key in 0..100 {
        assert_eq!(limit.next(&key, Duration::ZERO).as_millis(), 5);
    }
    assert_eq!(limit.next(&100, Duration::ZERO).as_millis(), 100);
    assert_eq!(limit.next(&101, Duration::ZERO).as_millis(), 200);
    assert_eq!(limit.next(&102, Duration::from_secs(60)).as_millis(), 5);
}

#[tokio::test]
async fn failures_and_panics_come_back_and_take_no_worker_down() {
    let (queue, tasks) = (queue(), Tasks::new());
    let calls = Arc::new(AtomicUsize::new(0));
    let (finished, mut done) = tokio::sync::mpsc::channel(1);
    let counted = calls.clone();
    run("test", &queue, &tasks, 1, move |key: &'static str| {
        let (call, finished) = (counted.fetch_add(1, Ordering::SeqCst), finished.clone());
        async move {
            match call {
                0 => anyhow::bail!("first try fails"),
                1 => panic!("second try panics"),
                2 => Ok(Requeue::After(Duration::from_millis(1))),
                _ => {
                    finished.send(key).await?;
                    Ok(Requeue::Never)
                }
            }
        }
    });
    queue.add("a");
    assert_eq!(done.recv().await, Some("a"));
    assert_eq!(calls.load(Ordering::SeqCst), 4);
    tasks.stop().await;
}
