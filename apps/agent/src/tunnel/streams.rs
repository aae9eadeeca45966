//! A stream that came over a line, and the program it is for.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use trunk::{Line, Stream, carry_tcp};
use tunnel::{Code, Open, Proto, StreamId, Traffic};

use super::{Exposed, datagrams, proxy_header};

/// A program on this machine takes a connection sooner, or is not there.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// Where a stream came from.
pub(crate) struct Desk {
    pub(crate) line: Line,
    pub(crate) stream: StreamId,
    pub(crate) open: Open,
}

/// Serves a stream to its end.
pub(crate) async fn serve(desk: Desk, stream: Stream, exposed: Option<Exposed>) {
    let Some(exposed) = exposed else { return desk.refuse(stream, Code::NoSuchService) };
    if exposed.service.proto == Proto::Udp {
        return datagrams::serve(desk, stream, &exposed).await;
    }
    match connect(&exposed, &desk.open).await {
        Ok(program) => {
            let is_plain_allowed = exposed.service.is_plain_allowed;
            let stream = desk.accept(stream).may_be_plain(is_plain_allowed);
            carry_tcp(program, stream).await;
        }
        Err(fault) => {
            tracing::debug!(service = %desk.open.service, %fault, "a program did not take a connection");
            desk.refuse(stream, Code::NotListening);
        }
    }
}

async fn connect(exposed: &Exposed, open: &Open) -> std::io::Result<TcpStream> {
    let mut program = timeout(CONNECT_WITHIN, TcpStream::connect(exposed.target)).await??;
    program.set_nodelay(true)?;
    if exposed.wants_proxy_header {
        program.write_all(&proxy_header::of_stream(open.visitor, open.local)).await?;
    }
    Ok(program)
}

impl Desk {
    pub(crate) fn refuse(&self, stream: Stream, code: Code) {
        self.line.refuse(self.stream, code);
        drop(stream);
    }

    /// Takes the stream, and says at its end what it came to.
    pub(crate) fn accept(self, stream: Stream) -> Stream {
        let Self { line, stream: id, .. } = self;
        line.accept(id);
        stream.at_end(move |to_visitor, to_service, is_whole| {
            line.record(id, Traffic { to_service, to_visitor }, is_whole);
        })
    }
}
