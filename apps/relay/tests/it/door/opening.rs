//! What comes before anything is known of who comes: nonsense, silence, and crowds.

use std::time::Duration;

use futures_util::future::join_all;
use relay::door::DoorLimits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tunnel::{Proto, Visibility};

use super::http::tls;
use super::rig::{DOMAIN, Rig, eventually, web};

/// Short enough for a test, long enough for a handshake on a busy machine.
const SHORT: Duration = Duration::from_secs(3);

fn short() -> DoorLimits {
    DoorLimits { opening_time: SHORT, login_time: SHORT, ..DoorLimits::default() }
}

/// Says this, and reads to the end: the relay ends it.
async fn heard(rig: &Rig, words: &[u8]) -> Vec<u8> {
    let mut connection = TcpStream::connect(rig.doors.address()).await.unwrap();
    let _ = connection.write_all(words).await;
    let mut read = Vec::new();
    let _ = connection.read_to_end(&mut read).await;
    read
}

#[tokio::test]
async fn nonsense_is_closed_and_counted_and_stops_nothing() {
    let rig = Rig::with(short()).await;
    rig.world.serve("app", Proto::Http, Visibility::Public, web().await);
    let nonsense: [&[u8]; 8] = [
        b"\0",
        b"hello\r\n",
        &[0x16, 3, 1, 0xff, 0xff],
        &[0x16, 3, 1, 0, 1, 1],
        &[0x16, 3, 1, 0, 5, 1, 0xff, 0xff, 0xff, 0],
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"\x80\x80\x01\x03\x01",
        &[0xff; 40_000],
    ];
    join_all(nonsense.map(|words| heard(&rig, words))).await;
    assert!(rig.figures().contains("turned_total{why=\"not-understood\"}"), "{}", rig.figures());
    let said = rig.curl(&[&rig.url("app", "/")]).await;
    assert!(said.is_ok, "{said:?}");
}

#[tokio::test]
async fn silence_has_an_end_wherever_it_begins() {
    let rig = Rig::with(short()).await;
    rig.world.serve("app", Proto::Http, Visibility::Public, web().await);
    let begun: [&[u8]; 4] = [b"", &[0x16], b"GET", b"iog"];
    join_all(begun.map(|words| heard(&rig, words))).await;
    rig.shows("iog_relay_visitor_turned_total{why=\"silent\"} 4").await;
    let rig = Rig::with(DoorLimits { head_time: SHORT, ..DoorLimits::default() }).await;
    rig.world.serve("app", Proto::Http, Visibility::Public, web().await);
    let plain = async { heard(&rig, b"GET / HT").await };
    let sealed = async {
        let mut connection = tls(&rig, &format!("app.{DOMAIN}"), &[]).await.unwrap();
        connection.write_all(b"GET / HTTP/1.1\r\nHost: ap").await.unwrap();
        let mut read = Vec::new();
        let _ = connection.read_to_end(&mut read).await;
    };
    tokio::join!(plain, sealed);
    assert!(rig.world.visitors().is_empty(), "nobody was asked");
}

#[tokio::test]
async fn ssh_that_never_logs_in_has_an_end() {
    let rig = Rig::with(short()).await;
    let greeted = heard(&rig, b"SSH-2.0-nobody\r\n").await;
    assert!(greeted.starts_with(b"SSH-2.0-iog_relay\r\n"));
    rig.shows("iog_relay_visitor_turned_total{why=\"silent\"} 1").await;
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused_as_it_comes() {
    let rig = Rig::new().await;
    rig.world.serve("app", Proto::Http, Visibility::Public, web().await);
    let long = format!("X-Long: {}", "x".repeat(40_000));
    let said = rig.curl(&["-w", "%{http_code}", "-H", &long, &rig.url("app", "/")]).await;
    assert!(said.out.ends_with("431"), "{said:?}");
}

#[tokio::test]
async fn a_quiet_connection_is_closed() {
    let limits = DoorLimits { quiet_time: SHORT, ..DoorLimits::default() };
    let rig = Rig::with(limits).await;
    rig.world.serve("app", Proto::Http, Visibility::Public, web().await);
    let host = format!("app.{DOMAIN}");
    let mut connection = tls(&rig, &host, &[]).await.unwrap();
    connection
        .write_all(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut read = Vec::new();
    let _ = connection.read_to_end(&mut read).await;
    assert!(read.starts_with(b"HTTP/1.1 200"));
    rig.shows("iog_relay_visitor_turned_total{why=\"quiet\"} 1").await;
}

#[tokio::test]
async fn one_address_has_so_many_connections() {
    let limits = DoorLimits { connections_per_address: 2, ..DoorLimits::default() };
    let rig = Rig::with(limits).await;
    rig.world.serve("app", Proto::Http, Visibility::Public, web().await);
    let held = [
        TcpStream::connect(rig.doors.address()).await.unwrap(),
        TcpStream::connect(rig.doors.address()).await.unwrap(),
    ];
    assert_eq!(heard(&rig, b"GET ").await, b"", "closed at once");
    rig.shows("iog_relay_visitor_turned_total{why=\"address\"} 1").await;
    drop(held);
    let mut is_in = false;
    for _ in 0..200 {
        is_in = rig.curl(&[&rig.url("app", "/")]).await.is_ok;
        if is_in {
            break;
        }
    }
    assert!(is_in, "places are given back");
}

#[tokio::test]
async fn connections_of_nodes_are_handed_on_as_they_came() {
    let rig = Rig::new().await;
    let _ = tls(&rig, "anything.example", &[b"iog-relay/1"]).await;
    let _ = tls(&rig, "anything.example", &[b"iog-bulk/1"]).await;
    heard(&rig, b"iogbulk1 and a ticket").await;
    eventually(|| rig.world.nodes().len() == 3, "three nodes").await;
    let nodes = rig.world.nodes();
    assert_eq!((nodes[0][0], nodes[1][0], &*nodes[2]), (0x16, 0x16, &b"iogbulk1 and a ticket"[..]));
}
