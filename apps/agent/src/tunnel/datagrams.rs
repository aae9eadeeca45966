//! A stream of datagrams, each with its length before it, and the program that takes them one by one.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UdpSocket;
use trunk::Stream;
use tunnel::Code;

use super::Exposed;
use super::streams::Desk;

/// The longest datagram that a length of two bytes can say.
const LONGEST: usize = 65_535;

pub(super) async fn serve(desk: Desk, stream: Stream, exposed: &Exposed) {
    let Ok(socket) = connect(exposed).await else { return desk.refuse(stream, Code::NotListening) };
    let (mut from, mut to) = tokio::io::split(desk.accept(stream));
    // The stream's end is the visitor's; a program never ends a flow.
    tokio::select! {
        _ = out(&mut from, &socket) => {}
        _ = back(&socket, &mut to) => {}
    }
    let _ = to.shutdown().await;
}

async fn connect(exposed: &Exposed) -> io::Result<UdpSocket> {
    let mut any = exposed.target;
    any.set_port(0);
    let socket = UdpSocket::bind(any).await?;
    socket.connect(exposed.target).await?;
    Ok(socket)
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
