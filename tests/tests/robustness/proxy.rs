//! A line that can stand still.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use e2e::Host;

/// Passes bytes on, on a machine.
pub struct Proxy {
    address: SocketAddr,
    line: Arc<Line>,
}

struct Line {
    /// This connection, counted from 0, and all after it pass nothing on.
    frozen: Mutex<usize>,
    changed: Condvar,
}

impl Proxy {
    /// For as long as the test's process lives.
    pub fn start(host: &Host, target: &'static str) -> Proxy {
        let line = Arc::new(Line { frozen: Mutex::new(usize::MAX), changed: Condvar::new() });
        let passing = line.clone();
        let address = host.on_machine(move || {
            let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
            let address = listener.local_addr().expect("its address");
            std::thread::spawn(move || {
                for (number, client) in listener.incoming().enumerate() {
                    let (Ok(client), Ok(server)) = (client, TcpStream::connect(target)) else { continue };
                    for (from, to) in [(&client, &server), (&server, &client)] {
                        let (from, to) = (from.try_clone().expect("clone"), to.try_clone().expect("clone"));
                        let line = passing.clone();
                        std::thread::spawn(move || line.pass(number, from, to));
                    }
                }
            });
            address
        });
        Proxy { address, line }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What is sent over this connection, and all later ones, stays here; `usize::MAX`: nothing does.
    pub fn freeze(&self, connection: usize) {
        *self.line.frozen.lock().expect("the line") = connection;
        self.line.changed.notify_all();
    }
}

impl Line {
    fn pass(&self, number: usize, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            let frozen = self.frozen.lock().expect("the line");
            drop(self.changed.wait_while(frozen, |frozen| number >= *frozen).expect("the line"));
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        // Half-closed: the other direction goes on until its own end.
        let _ = to.shutdown(Shutdown::Write);
    }
}
