//! Leased ports, with plain sockets.

use std::time::Duration;

use relay::door::{DoorLimits, NoLease, NoPort};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tunnel::{Proto, Visibility};

use super::rig::{Rig, each, echo, eventually, offered};

#[tokio::test]
async fn a_leased_tcp_port_is_its_services_until_the_lease_is_dropped() {
    let rig = Rig::new().await;
    rig.world.serve("db", Proto::Tcp, Visibility::Public, echo().await);
    let (name, offered) = ("db".parse().unwrap(), offered(Proto::Tcp, Visibility::Public));
    let lease = rig.doors.lease(&name, &offered, 0).await.unwrap();
    let port = lease.port();
    let mut connection = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let from = connection.local_addr().unwrap();
    let sent = vec![7; 1 << 20];
    let (mut read, mut write) = connection.split();
    let mut heard = Vec::new();
    let (said, read) = tokio::join!(
        async {
            write.write_all(&sent).await?;
            write.shutdown().await
        },
        read.read_to_end(&mut heard)
    );
    said.and(read.map(|_| ())).unwrap();
    assert_eq!(heard, sent);
    assert_eq!(
        (rig.world.visitors()[0].address, rig.world.visitors()[0].entry),
        (from, relay::Entry::Tcp)
    );
    rig.shows("iog_relay_visitor_ports{door=\"tcp\"} 1").await;
    rig.shows("iog_relay_visitor_bytes_total{door=\"tcp\",way=\"to-service\"} 1048576").await;
    drop(lease);
    rig.shows("iog_relay_visitor_ports{door=\"tcp\"} 0").await;
    let again = rig.doors.lease(&name, &offered, 0).await.unwrap();
    assert_eq!(again.port(), port, "it comes back to where it was");
}

#[tokio::test]
async fn not_every_service_gets_a_port() {
    let rig = Rig::new().await;
    let name = "a".parse().unwrap();
    let lease = async |proto, visibility| {
        rig.doors.lease(&name, &offered(proto, visibility), 0).await.map(drop)
    };
    assert_eq!(lease(Proto::Http, Visibility::Public).await, Err(NoLease::ByName(Proto::Http)));
    assert_eq!(lease(Proto::Tcp, Visibility::Members).await, Err(NoLease::NotPublic));
    let mut leases = Vec::new();
    let offered = offered(Proto::Udp, Visibility::Public);
    let named = |number: usize| format!("a{number}").parse().unwrap();
    for number in 0..10 {
        leases.push(rig.doors.lease(&named(number), &offered, 0).await.unwrap());
    }
    let full = rig.doors.lease(&named(10), &offered, 0).await.map(drop);
    assert_eq!(full, Err(NoLease::NoPort(NoPort::AllTaken(10))));
    let again = rig.doors.lease(&named(3), &offered, 0).await.unwrap();
    assert_eq!(again.port(), leases[3].port(), "who comes back by another line has it still");
    drop(leases.remove(3));
    drop(again);
    let full = rig.doors.lease(&named(10), &offered, 0).await.map(drop);
    assert_eq!(full, Err(NoLease::NoPort(NoPort::AllTaken(10))), "it is kept for who had it");
    assert!(rig.doors.lease(&named(3), &offered, 0).await.is_ok());
}

/// Datagrams with their lengths before them, said in capitals.
async fn shouting() -> std::net::SocketAddr {
    each(|mut connection| async move {
        while let Ok(length) = connection.read_u16_le().await {
            let mut datagram = vec![0; usize::from(length)];
            connection.read_exact(&mut datagram).await.unwrap();
            datagram.make_ascii_uppercase();
            let framed = [&length.to_le_bytes()[..], &datagram].concat();
            connection.write_all(&framed).await.unwrap();
        }
    })
    .await
}

#[tokio::test]
async fn datagrams_of_each_visitor_go_to_the_service_and_back() {
    let limits = DoorLimits {
        udp_flows: 2,
        udp_quiet_time: Duration::from_secs(3),
        ..DoorLimits::default()
    };
    let rig = Rig::with(limits).await;
    rig.world.serve("game", Proto::Udp, Visibility::Public, shouting().await);
    let (name, offered) = ("game".parse().unwrap(), offered(Proto::Udp, Visibility::Public));
    let lease = rig.doors.lease(&name, &offered, 0).await.unwrap();
    let visitor = async || {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(("127.0.0.1", lease.port())).await.unwrap();
        socket
    };
    let (one, two) = (visitor().await, visitor().await);
    let mut heard = vec![0; 70_000];
    for size in [0, 1, 1_400, 60_000] {
        for (socket, letter) in [(&one, b'a'), (&two, b'b')] {
            socket.send(&vec![letter; size]).await.unwrap();
            let length = socket.recv(&mut heard).await.unwrap();
            assert_eq!(&heard[..length], vec![letter.to_ascii_uppercase(); size]);
        }
    }
    assert_eq!(rig.world.visitors().len(), 2, "a stream for each visitor");
    assert_eq!(rig.world.visitors()[0].address, one.local_addr().unwrap());
    let three = visitor().await;
    three.send(b"no room").await.unwrap();
    eventually(|| rig.figures().contains("datagrams_dropped_total 1"), "a datagram is dropped")
        .await;
    // Quiet visitors are forgotten, and make room.
    rig.shows("iog_relay_visitor_open{door=\"udp\"} 0").await;
    let mut is_heard = false;
    for _ in 0..100 {
        three.send(b"room").await.unwrap();
        let answer = tokio::time::timeout(Duration::from_millis(100), three.recv(&mut heard)).await;
        is_heard = answer.is_ok();
        if is_heard {
            break;
        }
    }
    assert!(is_heard, "there is room again");
}
