//! One node's line, from its greeting to its end: what it serves, opens, and says to others.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_rustls::TlsStream;
use trunk::{Driver, Peeked, Stream, carry, system_time};
use tunnel::{Code, Event, Frame, Open, Service, ServiceName, StreamId};
use wire::paper::NodeKey;

use crate::gate::{Turned, holds, who_of};
use crate::limits::{ASKED_MAX, PASS_GRACE, PASS_LOOK_EVERY};
use crate::nodes::Nodes;
use crate::opener::{Entry, Opener, Refused, Visitor};
use crate::packets::PacketSeat;
use crate::registry::Node;

/// One line, and where it comes from.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) nodes: Arc<Nodes>,
    pub(crate) node: Arc<Node>,
    pub(crate) from: SocketAddr,
    /// Which of the relay's own addresses it came to.
    pub(crate) local: SocketAddr,
    /// Where its packets are let through.
    pub(crate) seat: Option<Arc<PacketSeat>>,
}

/// What a node wants to serve from now on, or no longer.
enum Wish {
    Serve(Service),
    Withdraw(ServiceName),
}

impl Member {
    /// Serves the line until it ends, and says why it did. The node may still have to hear so.
    pub(crate) async fn serve(&self, driver: &mut Driver<TlsStream<Peeked>>) -> anyhow::Error {
        let (wishes, asked) = mpsc::channel(ASKED_MAX);
        // One after the other, in the order in which they came; what is under way ends with the line.
        let mut granting = JoinSet::new();
        granting.spawn(self.clone().grant(asked));
        loop {
            let event = tokio::select! {
                event = driver.next() => event,
                () = sleep(self.until_pass_ends().min(PASS_LOOK_EVERY)) => {
                    if self.until_pass_ends() > Duration::ZERO {
                        continue;
                    }
                    return self.end(Code::NotPermitted, "the pass has expired");
                }
                () = self.node.displaced.cancelled() => {
                    return self.end(Code::Limit, "newer lines of the same key take its place");
                }
            };
            let wish = match event {
                Ok(Event::Serve(service)) => Wish::Serve(service),
                Ok(Event::Withdraw(name)) => Wish::Withdraw(name),
                Ok(event) => {
                    self.on(event);
                    continue;
                }
                Err(fault) => return fault.into(),
            };
            if wishes.try_send(wish).is_err() {
                return self.end(Code::Limit, "more was to be served than can be done in time");
            }
        }
    }

    fn end(&self, code: Code, why: &'static str) -> anyhow::Error {
        self.turn(Turned::new(code, why));
        anyhow::anyhow!(why)
    }

    async fn grant(self, mut asked: mpsc::Receiver<Wish>) {
        while let Some(wish) = asked.recv().await {
            match wish {
                Wish::Serve(service) => self.place(service).await,
                Wish::Withdraw(name) => self.nodes.registry().withdraw(&self.node, &name),
            }
        }
    }

    fn until_pass_ends(&self) -> Duration {
        self.node.pass().expires.0.after(PASS_GRACE).since(system_time())
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
            Event::Opened(stream, open) => {
                let taken = self.node.line.take(stream);
                tokio::spawn(self.clone().forward(stream, taken, open));
            }
            Event::Signal(to, body) => {
                let (peer, bytes) = (self.node.key.0, body.len());
                registry.pass_on(&self.node, NodeKey(to), (&Frame::Signal { peer, body }, bytes));
            }
            Event::Packet(to, body) => {
                let (to, peer, bytes) = (NodeKey(to), self.node.key.0, body.len());
                match &self.seat {
                    Some(seat) if !registry.has_line(to) => {
                        if registry.may_send(&self.node, bytes) {
                            seat.carry(to, &body);
                        }
                    }
                    Some(_) | None => {
                        let packet = (&Frame::Packet { peer, body }, bytes);
                        registry.pass_on(&self.node, to, packet);
                    }
                }
            }
            Event::Record(stream, traffic, is_whole) => {
                let records = registry.records();
                self.node.waiting.theirs(stream.number(), (traffic, is_whole), records);
            }
            // Only a relay says these, or they are seen to elsewhere.
            Event::Serve(_)
            | Event::Withdraw(_)
            | Event::Welcome(_)
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
    async fn place(&self, service: Service) {
        let name = service.name.clone();
        let answer = match self.placed(service).await {
            Ok(served) => Frame::Served(served),
            Err(Turned { code, why }) => Frame::Refused { name, code, why },
        };
        self.node.line.answer(&answer);
    }

    async fn placed(&self, service: Service) -> Result<tunnel::Served, Turned> {
        let registry = self.nodes.registry();
        let access = registry.check(&self.node, &service)?;
        let placed = self.nodes.places().place(&service, access).await?;
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
        let pass = self.node.pass();
        if !holds(&pass) {
            return Err(Refused::NotPermitted(open.service.clone()));
        }
        // What the node says of itself is not believed.
        let visitor = Visitor {
            address: self.from,
            local: self.local,
            entry: Entry::Forward,
            subject: pass.account.to_string(),
            who: who_of(&pass),
        };
        self.nodes.registry().open(&open.service, &visitor).await
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
