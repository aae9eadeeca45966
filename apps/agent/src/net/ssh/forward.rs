//! A connection that a visitor has forwarded: bytes between its channel and a port.

use std::sync::Arc;

use russh::Channel;
use russh::server::Msg;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::mpsc;

use super::input::{Input, Piece};
use super::word::hear;

/// Carries both ways until both ends are over, or the visitor is gone.
pub(super) async fn carry(channel: Channel<Msg>, program: TcpStream, input: Arc<Input>) {
    let (from, to) = channel.split();
    let (mut read, write) = program.into_split();
    let (pieces, taken) = mpsc::unbounded_channel();
    let mut feeding = tokio::spawn(feed(write, taken));
    let answers = async {
        let mut writer = to.make_writer();
        let _ = tokio::io::copy(&mut read, &mut writer).await;
        let _ = writer.flush().await;
        let _ = to.eof().await;
        let _ = (&mut feeding).await;
    };
    tokio::select! {
        () = answers => {}
        // A connection has no terminal.
        () = hear(from, pieces, input, |_, _| {}) => {}
    }
    feeding.abort();
    let _ = to.close().await;
}

/// Gives a program what the visitor said, and says when that ends.
async fn feed(mut write: OwnedWriteHalf, mut pieces: mpsc::UnboundedReceiver<Piece>) {
    while let Some(piece) = pieces.recv().await {
        if write.write_all(&piece.bytes).await.is_err() {
            // It reads no more. What comes is thrown away.
            pieces.close();
        }
    }
    let _ = write.shutdown().await;
}
