//! The rig shown on itself: each kind of network does what it is said to do.
#![expect(clippy::unwrap_used, reason = "a test's own steps fail by panicking")]

mod capture;
mod changes;
mod life;
mod nat;
mod paths;
mod storm;
mod weather;

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use namespaces::probe::{self, Reflector};
use namespaces::{NETWORK_SECONDS_MAX, Place, Rig};

/// How long nothing may come before nothing is coming: paths here take milliseconds.
const SILENCE: Duration = Duration::from_millis(300);
/// More than fits any buffer on the way, so that both directions flow.
const BULK_BYTES: usize = 3 << 20;

/// Carries bytes over TCP from one place to another and back; whether all arrived.
fn carries_tcp(from: &Place<'_>, to: &Place<'_>, address: IpAddr, port: u16) -> bool {
    let listener = to.run(|| TcpListener::bind((address, port))).unwrap();
    let address = listener.local_addr().unwrap();
    let echo = std::thread::spawn(move || echo_once(&listener));
    let stream = from.run(|| TcpStream::connect_timeout(&address, NETWORK_SECONDS_MAX)).unwrap();
    let carried = there_and_back(&stream).unwrap() == BULK_BYTES;
    echo.join().unwrap();
    carried
}

fn echo_once(listener: &TcpListener) {
    let Ok((mut stream, _)) = listener.accept() else { return };
    let mut copy = stream.try_clone().unwrap();
    stream.set_read_timeout(Some(NETWORK_SECONDS_MAX)).unwrap();
    let _ = std::io::copy(&mut copy, &mut stream);
}

fn there_and_back(mut stream: &TcpStream) -> std::io::Result<usize> {
    stream.set_read_timeout(Some(NETWORK_SECONDS_MAX))?;
    stream.set_write_timeout(Some(NETWORK_SECONDS_MAX))?;
    let mut writer = stream.try_clone()?;
    let sender = std::thread::spawn(move || {
        let sent = writer.write_all(&vec![7; BULK_BYTES]);
        writer.shutdown(std::net::Shutdown::Write).and(sent)
    });
    let mut back = Vec::new();
    stream.read_to_end(&mut back)?;
    sender.join().expect("it does not panic")?;
    Ok(back.len())
}

/// A reflector somewhere, and a socket elsewhere that knows it.
fn asked<'a>(rig: &'a Rig, from: &str, to: &str) -> (UdpSocket, Reflector, Place<'a>) {
    let reflector = Reflector::start(&rig.at(to)).unwrap();
    let place = rig.at(from);
    let socket = probe::bind_like(&place, reflector.address()).unwrap();
    (socket, reflector, place)
}

/// Whether UDP goes there and back. Asked until it is so, or for a while.
fn answers(socket: &UdpSocket, reflector: &Reflector) -> bool {
    probe::seen_as(socket, reflector.address()).is_some()
}

/// Whether one datagram of that length arrives.
fn arrives(from: &Place<'_>, to: &Place<'_>, bytes: usize) -> bool {
    comes(from, to, bytes, NETWORK_SECONDS_MAX)
}

/// Whether it does not.
fn vanishes(from: &Place<'_>, to: &Place<'_>, bytes: usize) -> bool {
    !comes(from, to, bytes, SILENCE)
}

fn comes(from: &Place<'_>, to: &Place<'_>, bytes: usize, within: Duration) -> bool {
    let listener = probe::bind(to, SocketAddr::new(to.addresses()[0], 0)).unwrap();
    listener.set_read_timeout(Some(within)).unwrap();
    let target = listener.local_addr().unwrap();
    let socket = probe::bind_like(from, target).unwrap();
    let sent = socket.send_to(&vec![1; bytes], target);
    let mut buffer = [0; 65_535];
    sent.is_ok() && listener.recv(&mut buffer).is_ok_and(|length| length == bytes)
}

/// Looks until it is so.
fn eventually(holds: impl Fn() -> bool) {
    let end = Instant::now() + NETWORK_SECONDS_MAX;
    while !holds() {
        assert!(Instant::now() < end, "it never came true");
        std::thread::sleep(Duration::from_millis(5));
    }
}
