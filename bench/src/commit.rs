//! What durable writes alone cost here.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::Result;

/// Syncs per second of one 4 KiB append each.
pub fn syncs(dir: &Path, most: Duration) -> Result<f64> {
    let mut file = File::create(dir.join("syncs"))?;
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < most {
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        count += 1;
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}

/// Records per second that `writers` get to disk, each waiting for its last before the next, all that wait in one sync.
pub fn group(dir: &Path, writers: usize, size: usize, most: Duration) -> Result<f64> {
    let mut file = File::create(dir.join("group"))?;
    let (sender, records) = sync_channel::<(Vec<u8>, SyncSender<()>)>(writers);
    let start = Instant::now();
    let threads: Vec<_> = (0..writers)
        .map(|_| {
            let sender = sender.clone();
            std::thread::spawn(move || {
                let (done, acknowledged) = sync_channel(1);
                let mut count = 0u64;
                while start.elapsed() < most {
                    if sender.send((vec![7; size], done.clone())).is_err() || acknowledged.recv().is_err() {
                        break;
                    }
                    count += 1;
                }
                count
            })
        })
        .collect();
    drop(sender);
    while let Ok(first) = records.recv() {
        let batch: Vec<_> = std::iter::once(first).chain(records.try_iter()).collect();
        for (bytes, _) in &batch {
            file.write_all(bytes)?;
        }
        file.sync_data()?;
        batch.iter().for_each(|(_, done)| {
            // Its writer has seen the end of the time, perhaps.
            let _ = done.send(());
        });
    }
    let count: u64 = threads.into_iter().filter_map(|t| t.join().ok()).sum();
    Ok(count as f64 / start.elapsed().as_secs_f64())
}
