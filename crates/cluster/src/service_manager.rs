//! What systemd is told (sd_notify(3)), where it asks to be.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// `READY=1`, when NOTIFY_SOCKET is set. Nobody listening is no reason to fail.
pub fn ready() {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let address = match path.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&path),
    };
    let told = address.and_then(|to| UnixDatagram::unbound()?.send_to_addr(b"READY=1\n", &to));
    if let Err(error) = told {
        tracing::warn!(%error, "cannot tell the service manager that this process is ready");
    }
}
