//! A stream that came over a line, and the program it is for.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use trunk::{Line, Stream, carry_tcp};
use tunnel::{Code, Open, Proto, StreamId, StreamRecord, Traffic};
use wire::paper::NodeKey;

use super::{Behind, Exposed, Target, datagrams, proxy_header};

/// A program on this machine takes a connection sooner, or is not there.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// Where a stream came from.
pub(crate) struct Desk {
    pub(crate) line: Line,
    pub(crate) stream: StreamId,
    pub(crate) open: Open,
    pub(crate) relay: NodeKey,
    pub(crate) session: [u8; 16],
    pub(crate) behind: Arc<dyn Behind>,
    /// The stream's place among those that are served.
    pub(crate) place: Arc<OwnedSemaphorePermit>,
}

/// Serves a stream to its end.
pub(crate) async fn serve(desk: Desk, stream: Stream, exposed: Option<Exposed>) {
    let Some(exposed) = exposed else { return desk.refuse(stream, Code::NoSuchService) };
    if exposed.service.proto == Proto::Udp {
        return datagrams::serve(desk, stream, &exposed).await;
    }
    if exposed.target == Target::Agent {
        let (behind, open) = (desk.behind.clone(), desk.open.clone());
        return behind.serve(desk.accept(stream), &open);
    }
    match connect(&exposed, &desk).await {
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

async fn connect(exposed: &Exposed, desk: &Desk) -> io::Result<TcpStream> {
    let mut program = timeout(CONNECT_WITHIN, dial(exposed.target, desk)).await??;
    program.set_nodelay(true)?;
    if exposed.wants_proxy_header {
        let open = &desk.open;
        program.write_all(&proxy_header::of_stream(open.visitor, open.local)).await?;
    }
    Ok(program)
}

async fn dial(target: Target, desk: &Desk) -> io::Result<TcpStream> {
    match target {
        Target::Address(address) => TcpStream::connect(address).await,
        Target::InNode(port) => {
            let (behind, place) = (desk.behind.clone(), desk.place.clone());
            let dialed = tokio::task::spawn_blocking(move || {
                // Who is waited for no more is still dialed: until that is over the place is taken.
                let _place = place;
                behind.dial(port)
            });
            let dialed = dialed.await;
            let program = dialed.map_err(io::Error::other)??;
            program.set_nonblocking(true)?;
            TcpStream::from_std(program)
        }
        Target::Agent => Err(io::Error::other("the agent serves it")),
    }
}

impl Desk {
    pub(crate) fn refuse(&self, stream: Stream, code: Code) {
        self.line.refuse(self.stream, code);
        drop(stream);
    }

    /// Takes the stream, and says at its end what it came to.
    pub(crate) fn accept(self, stream: Stream) -> Stream {
        let Self { line, stream: id, open, relay, session, behind, place } = self;
        line.accept(id);
        let opened = trunk::system_time();
        stream.at_end(move |to_visitor, to_service, is_whole| {
            let traffic = Traffic { to_service, to_visitor };
            line.record(id, traffic, is_whole);
            let record = StreamRecord {
                session: HEXLOWER.encode(&session),
                stream: id.number(),
                service: open.service,
                visitor: open.visitor,
                subject: open.subject,
                opened,
                closed: trunk::system_time(),
                traffic,
                is_whole,
            };
            behind.on_record(relay, &record);
            drop(place);
        })
    }
}
