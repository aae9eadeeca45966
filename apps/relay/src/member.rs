//! One node's line, from its greeting to its end: what it serves, opens, and says to others.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tokio_rustls::TlsStream;
use trunk::{Driver, Peeked, Stream, carry, now};
use tunnel::{Code, Event, Frame, Open, Service, StreamId};

use crate::gate::Turned;
use crate::limits::PASS_GRACE;
use crate::nodes::Nodes;
use crate::opener::{Entry, Opener, Refused, Visitor};
use crate::packets::PacketSeat;
use crate::registry::Node;

/// Serves a line until it ends, and says why it did.
pub(crate) async fn serve(
    nodes: &Arc<Nodes>,
    node: &Arc<Node>,
    mut driver: Driver<TlsStream<Peeked>>,
    from: SocketAddr,
    seat: Option<Arc<PacketSeat>>,
) -> anyhow::Error {
    let member = Member { nodes: nodes.clone(), node: node.clone(), from, seat };
    loop {
        let event = tokio::select! {
            event = driver.next() => event,
            () = sleep(member.until_pass_ends()) => {
                member.turn(Turned::new(Code::NotPermitted, "the pass has expired"));
                let _ = driver.flush().await;
                return anyhow::anyhow!("the pass has expired");
            }
        };
        match event {
            Ok(event) => member.on(event),
            Err(fault) => return fault.into(),
        }
    }
}

#[derive(Clone)]
struct Member {
    nodes: Arc<Nodes>,
    node: Arc<Node>,
    from: SocketAddr,
    /// Where its packets are let through.
    seat: Option<Arc<PacketSeat>>,
}

impl Member {
    fn until_pass_ends(&self) -> Duration {
        self.node.pass().expires.0.after(PASS_GRACE).since(now())
    }

    fn turn(&self, Turned { code, why }: Turned) {
        self.node.line.say(&Frame::Turned { code, why });
    }

    fn on(&self, event: Event) {
        let registry = self.nodes.registry();
        match event {
            Event::Hello(hello) => {
                let admitted = self.nodes.pass(self.node.key, &hello);
                let renewed = admitted.and_then(|pass| {
                    registry.renew(&self.node, &pass)?;
                    self.seat.iter().for_each(|seat| seat.renew(&pass));
                    Ok(())
                });
                if let Err(turned) = renewed {
                    self.turn(turned);
                }
            }
            Event::Serve(service) => drop(tokio::spawn(self.clone().place(service))),
            Event::Withdraw(name) => registry.withdraw(&self.node, &name),
            Event::Opened(stream, open) => {
                let taken = self.node.line.take(stream);
                tokio::spawn(self.clone().forward(stream, taken, open));
            }
            Event::Signal(to, body) => {
                let frame = Frame::Signal { peer: self.node.key.0, body };
                registry.pass_on(&self.node, wire::paper::NodeKey(to), &frame);
            }
            Event::Packet(to, body) => {
                let frame = Frame::Packet { peer: self.node.key.0, body };
                registry.pass_on(&self.node, wire::paper::NodeKey(to), &frame);
            }
            Event::Record(stream, traffic, is_whole) => {
                let records = registry.records();
                self.node.waiting.theirs(stream.number(), (traffic, is_whole), records);
            }
            // Only a relay says these, or the line keeps them to itself.
            Event::Welcome(_)
            | Event::Served(_)
            | Event::Refused(..)
            | Event::Accepted(_)
            | Event::Readable(_)
            | Event::Writable(_)
            | Event::Closed(..)
            | Event::Spare(..)
            | Event::Turned(..)
            | Event::Drain(_)
            | Event::Pong(_) => {}
        }
    }

    /// Finds a place for a service, and tells the node.
    async fn place(self, service: Service) {
        let name = service.name.clone();
        let answer = match self.placed(service).await {
            Ok(served) => Frame::Served(served),
            Err(Turned { code, why }) => Frame::Refused { name, code, why },
        };
        self.node.line.say(&answer);
    }

    async fn placed(&self, service: Service) -> Result<tunnel::Served, Turned> {
        let registry = self.nodes.registry();
        registry.check(&self.node, &service)?;
        let tenant = self.node.pass().account.to_string();
        let placed = self.nodes.places().place(&service, tenant).await?;
        registry.seat(&self.node, service, placed.kept)?;
        Ok(placed.served)
    }

    /// Carries a stream that the node opened to another node's service.
    async fn forward(self, id: StreamId, stream: Stream, open: Open) {
        match self.open(&open).await {
            Ok(service) => {
                self.node.line.accept(id);
                carry(service, stream).await;
            }
            Err(refused) => {
                // Before it is let go, which would only say that it broke.
                self.node.line.refuse(id, code_of(&refused));
                drop(stream);
            }
        }
    }

    async fn open(&self, open: &Open) -> Result<Stream, Refused> {
        let (registry, pass) = (self.nodes.registry(), self.node.pass());
        if !registry.may_visit(&pass, &open.service) {
            return Err(Refused::NotPermitted(open.service.clone()));
        }
        // What the node says of itself is not believed.
        let visitor = Visitor {
            address: self.from,
            local: open.local,
            entry: Entry::Forward,
            subject: pass.account.to_string(),
        };
        registry.open(&open.service, &visitor).await
    }
}

fn code_of(refused: &Refused) -> Code {
    match refused {
        Refused::NoSuchService(_) => Code::NoSuchService,
        Refused::NotPermitted(_) => Code::NotPermitted,
        Refused::Draining => Code::Draining,
        Refused::Limit(_) => Code::Limit,
        Refused::Silent | Refused::NotListening(_) => Code::NotListening,
        Refused::Broke => Code::BrokenOff,
    }
}
