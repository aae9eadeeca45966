//! A stream of datagrams, each with its length before it, and the program that takes them one by one.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UdpSocket;
use trunk::Stream;
use tunnel::Code;

use super::streams::Desk;
use super::{Behind, Exposed, Target};

/// The longest datagram that a length of two bytes can say.
const LONGEST: usize = 65_535;

pub(super) async fn serve(desk: Desk, stream: Stream, exposed: &Exposed) {
    let Ok(socket) = connect(exposed.target, &desk.behind).await else {
        return desk.refuse(stream, Code::NotListening);
    };
    let (mut from, mut to) = tokio::io::split(desk.accept(stream));
    // The stream's end is the visitor's; a program never ends a flow.
    tokio::select! {
        _ = out(&mut from, &socket) => {}
        _ = back(&socket, &mut to) => {}
    }
    let _ = to.shutdown().await;
}

async fn connect(target: Target, behind: &Arc<dyn Behind>) -> io::Result<UdpSocket> {
    match target {
        Target::Address(address) => {
            let mut any = address;
            any.set_port(0);
            let socket = UdpSocket::bind(any).await?;
            socket.connect(address).await?;
            Ok(socket)
        }
        Target::InNode(port) => {
            let behind = behind.clone();
            let dialed = tokio::task::spawn_blocking(move || behind.dial_udp(port)).await;
            let socket = dialed.map_err(io::Error::other)??;
            socket.set_nonblocking(true)?;
            UdpSocket::from_std(socket)
        }
        Target::Agent => Err(io::Error::other("the agent takes no datagrams")),
    }
}

async fn out<R: AsyncRead + Unpin>(from: &mut R, socket: &UdpSocket) -> io::Result<()> {
    let mut datagram = Vec::new();
    loop {
        let length = from.read_u16_le().await?;
        datagram.resize(usize::from(length), 0);
        from.read_exact(&mut datagram).await?;
        // What a program does not take is lost, as datagrams are.
        let _ = socket.send(&datagram).await;
    }
}

async fn back<W: AsyncWrite + Unpin>(socket: &UdpSocket, to: &mut W) -> io::Result<()> {
    let mut words = vec![0; 2 + LONGEST];
    loop {
        // A program that is away for a moment answers with an error that says so.
        let Ok(many) = socket.recv(&mut words[2..]).await else { continue };
        let length = u16::try_from(many).unwrap_or(u16::MAX);
        words[..2].copy_from_slice(&length.to_le_bytes());
        to.write_all(&words[..2 + many]).await?;
        to.flush().await?;
    }
}
