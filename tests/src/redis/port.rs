//! Free ports for servers that must be told theirs, and that come back on the same one.
//!
//! They lie below those that the kernel gives to whoever asks for any: a server that is killed finds its port
//! still free when it is started again.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    ops::Range,
    sync::{
        LazyLock,
        atomic::{AtomicU16, Ordering::Relaxed},
    },
};

const PORTS: Range<u16> = 15_000..32_000;

/// Each process begins somewhere else, and gives no port twice before it has given them all.
static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| AtomicU16::new(fastrand::u16(0..PORTS.end - PORTS.start)));

/// An address of the loopback interface where nobody listens. Another process may come first: whoever starts a server
/// there looks whether it stays.
///
/// # Panics
/// No port is free.
#[must_use]
pub fn free() -> SocketAddr {
    let count = PORTS.end - PORTS.start;
    let ports = (0..count).map(|_| PORTS.start + NEXT.fetch_add(1, Relaxed) % count);
    let addresses = ports.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let free = addresses.into_iter().find(|address| TcpListener::bind(address).is_ok());
    free.expect("a free port")
}
