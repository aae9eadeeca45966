//! A connection that a visitor has forwarded: bytes between its channel and a port.

use std::sync::Arc;

use russh::server::Msg;
use russh::{Channel, ChannelReadHalf};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::mpsc;

use super::input::{Input, Piece};
use super::word::Word;

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
        () = listen(from, pieces, input) => {}
    }
    feeding.abort();
    let _ = to.close().await;
}

/// Hears the visitor until it is gone. What it said is kept: the channel must never be waited for.
async fn listen(
    mut from: ChannelReadHalf,
    pieces: mpsc::UnboundedSender<Piece>,
    input: Arc<Input>,
) {
    let mut pieces = Some(pieces);
    while let Some(message) = from.wait().await {
        match Word::from(message) {
            Word::Input(bytes) => {
                if let Some(pieces) = &pieces {
                    let _ = pieces.send(input.keep(bytes));
                }
            }
            Word::End => drop(pieces.take()),
            Word::Gone => return,
            // Nothing else is said of a connection.
            Word::Terminal(..)
            | Word::Variable(..)
            | Word::Shell(_)
            | Word::Command(..)
            | Word::Files(_)
            | Word::Strange(_)
            | Word::Size(..)
            | Word::Nothing => {}
        }
    }
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
