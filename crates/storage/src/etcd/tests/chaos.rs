//! A bad line between us and etcd: no event is lost, and none comes twice.

use stdx::Random;

use super::*;

const WRITES: u64 = 600;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_line_loses_and_repeats_nothing() {
    let server = Server::start(&[]).await;
    let proxy = Proxy::start(&server.url).await;
    let tasks = Tasks::new();
    let (writer, reader) = (open(&server.url, &tasks).await, open(&proxy.url, &tasks).await);
    let start = reader.current_revision().await.unwrap();
    let mut events = reader.watch("/", start).await.unwrap();
    proxy.rough(Some(Random::seeded(7)));

    let random = Random::seeded(8);
    let mut expected = Vec::new();
    for n in 0..WRITES {
        let key = format!("/k{}", random.below(5));
        let exists = writer.get(&key).await.unwrap().is_some();
        let value = format!("{n} {}", "x".repeat(random.below(3000) as usize));
        let (op, change) = match exists && random.below(4) == 0 {
            true => (delete(&key), KeyChange::Deleted(None)),
            false => (put(&key, &value), KeyChange::Put(value.into())),
        };
        let revision = write(&writer, op).await;
        expected.push((key, revision, change));
    }
    // So that the end comes, however bad it was.
    proxy.rough(None);

    let mut seen = Vec::new();
    while seen.len() < expected.len() {
        let batch = events.next().await.unwrap().unwrap();
        seen.extend(batch.events.into_iter().map(|e| (e.key.to_string(), e.revision, e.change)));
    }
    assert!(seen == expected, "the same events in the same order");
    assert!(proxy.connections() > 5, "{} connections: the line was not bad", proxy.connections());
    tasks.stop().await;
}
