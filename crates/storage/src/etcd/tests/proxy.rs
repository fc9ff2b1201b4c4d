//! What may happen on the way to etcd.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stdx::{Clock, Random, SystemClock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Passes bytes on, as long as it is in the mood.
pub(super) struct Proxy {
    pub url: String,
    way: Arc<Way>,
}

struct Way {
    target: String,
    /// Counted from 0.
    connections: AtomicUsize,
    /// This one and all after it.
    frozen: AtomicUsize,
    refusing: AtomicBool,
    /// Delays, cuts and half-closes at random.
    rough: Mutex<Option<Random>>,
    /// Something above has changed.
    changed: watch::Sender<()>,
}

impl Proxy {
    pub async fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let way = Arc::new(Way {
            target: target.trim_start_matches("http://").into(),
            connections: AtomicUsize::new(0),
            frozen: AtomicUsize::new(usize::MAX),
            refusing: AtomicBool::new(false),
            rough: Mutex::default(),
            changed: watch::Sender::new(()),
        });
        tokio::spawn(accept(listener, way.clone()));
        Proxy { url, way }
    }

    /// What is sent over this connection, and all later ones, stays here.
    pub fn freeze(&self, connection: usize) {
        self.way.frozen.store(connection, Ordering::SeqCst);
        self.way.changed.send_replace(());
    }

    /// Ends all connections, and new ones at once.
    pub fn refuse(&self, refusing: bool) {
        self.way.refusing.store(refusing, Ordering::SeqCst);
        self.way.changed.send_replace(());
    }

    /// Delays, cuts and half-closes at random, or no more.
    pub fn rough(&self, random: Option<Random>) {
        *self.way.rough.lock().unwrap() = random;
    }

    pub fn connections(&self) -> usize {
        self.way.connections.load(Ordering::SeqCst)
    }
}

async fn accept(listener: TcpListener, way: Arc<Way>) {
    while let Ok((client, _)) = listener.accept().await {
        if way.refusing.load(Ordering::SeqCst) {
            continue;
        }
        let number = way.connections.fetch_add(1, Ordering::SeqCst);
        let way = way.clone();
        tokio::spawn(async move {
            let Ok(server) = TcpStream::connect(&way.target).await else { return };
            let ((from_client, to_client), (from_server, to_server)) =
                (client.into_split(), server.into_split());
            let mut changed = way.changed.subscribe();
            let refused = async {
                while !way.refusing.load(Ordering::SeqCst) {
                    changed.changed().await.unwrap();
                }
            };
            tokio::select! {
                _ = async { tokio::join!(pass(&way, number, from_client, to_server), pass(&way, number, from_server, to_client)) } => {}
                () = refused => {}
            }
        });
    }
}

/// One direction.
async fn pass(
    way: &Way,
    number: usize,
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let mut changed = way.changed.subscribe();
        while number >= way.frozen.load(Ordering::SeqCst) {
            if changed.changed().await.is_err() {
                return;
            }
        }
        let dice =
            way.rough.lock().unwrap().as_ref().map(|r| (r.below(40), r.below(20), r.below(read as u64)));
        let whole = match dice {
            // In the middle of a frame.
            Some((0, _, some)) => some as usize,
            Some((1..10, millis, _)) => {
                SystemClock.sleep(Duration::from_millis(millis)).await;
                read
            }
            _ => read,
        };
        if to.write_all(&buffer[..whole]).await.is_err() || whole < read {
            break;
        }
    }
    // Half-closed: the other direction goes on until its own end.
    let _ = to.shutdown().await;
}
