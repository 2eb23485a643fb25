//! Free loopback ports.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Returns listeners on `count` free ports. Drop them to free the ports for the broker.
///
/// Not port 0: the system would choose ephemeral ports. A client that keeps connecting to a killed
/// broker's ephemeral port eventually gets that port as its own and connects to itself, so the
/// broker cannot restart.
pub(super) fn reserve(count: usize) -> Vec<TcpListener> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const LOWEST: u16 = 10_000;
    let span = lowest_ephemeral_port() - LOWEST;
    // Processes begin at different places, so that two of them rarely want the same port.
    let offset = (std::process::id().wrapping_mul(0x9e37_79b1) >> 16) as u16;
    let mut listeners = Vec::with_capacity(count);
    for _ in 0..span {
        if listeners.len() == count {
            break;
        }
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = LOWEST + offset.wrapping_add(step) % span;
        listeners.extend(TcpListener::bind((Ipv4Addr::LOCALHOST, port)));
    }
    assert_eq!(
        listeners.len(),
        count,
        "no free ports between {LOWEST} and the ephemeral ones"
    );
    listeners
}

pub(super) fn number(listener: &TcpListener) -> u16 {
    listener.local_addr().expect("it is bound").port()
}

fn lowest_ephemeral_port() -> u16 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    let lowest = range
        .ok()
        .and_then(|range| range.split_whitespace().next()?.parse().ok());
    // 32768 is Linux's default. Other systems have higher ones.
    lowest.filter(|&port| port > 11_000).unwrap_or(32_768)
}
