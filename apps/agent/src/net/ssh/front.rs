//! SSH at the node's own addresses, where members of its private network find it as they find SSH anywhere.
//!
//! # Invariants
//! - It is the same server as behind the node's tunnels: the same visitors are let in, with the same rights. Who may
//!   come as far as the port is the network's policy to say.
//! - A program of the node that listens there already keeps its place.
//! - When it is dropped nothing holds the node's network: it listens no more, and who came by it is cut.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio_util::sync::{CancellationToken, DropGuard};
use worker::NodeKey as NodeId;

use super::SshServer;
use crate::net::in_node::InNode;

/// Where everybody looks for SSH.
const PORT: u16 = 22;
/// How soon it is tried again where it could not listen.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// After a connection could not be taken (there are too many open files, say), the next is waited for as long.
const NAP: Duration = Duration::from_millis(100);

/// Where the server of one node listens.
#[derive(Debug)]
pub(in crate::net) struct Front {
    node: NodeId,
    handle: Handle,
    listens: BTreeMap<IpAddr, DropGuard>,
    tried: Option<Instant>,
    /// What was said last of why it does not listen everywhere.
    told: Option<String>,
}

impl Front {
    /// Of this node; connections are served there.
    pub(in crate::net) const fn of(node: NodeId, handle: Handle) -> Self {
        Self { node, handle, listens: BTreeMap::new(), tried: None, told: None }
    }

    /// Listens wherever it does not yet, if that is worth trying.
    pub(in crate::net) fn keep(&mut self, net: &dyn InNode, server: &SshServer) {
        let missing = [IpAddr::V4(net.v4()), IpAddr::V6(net.v6())];
        let missing = missing.into_iter().filter(|at| !self.listens.contains_key(at));
        let missing: Vec<IpAddr> = missing.collect();
        let is_early = self.tried.is_some_and(|at| at.elapsed() < AGAIN_AFTER);
        if missing.is_empty() || is_early {
            return;
        }
        self.tried = Some(Instant::now());
        let mut why = None;
        for at in missing {
            let listens = net.listen(SocketAddr::new(at, PORT));
            match listens.and_then(|listener| listen(listener, server, &self.handle)) {
                Ok(guard) => drop(self.listens.insert(at, guard)),
                Err(fault) => why = Some(words(&fault)),
            }
        }
        if why != self.told {
            self.tell(why.as_deref());
            self.told = why;
        }
    }

    fn tell(&self, why: Option<&str>) {
        let (rental, node) = (self.node.rental, self.node.node);
        match why {
            Some(why) => {
                tracing::warn!(%rental, node, why, "SSH of a node is not at all of its own addresses");
            }
            None => tracing::info!(%rental, node, "SSH of a node is at all of its own addresses"),
        }
    }

    /// Listens nowhere, and cuts who came.
    pub(in crate::net) fn close(&mut self) {
        self.listens.clear();
        (self.tried, self.told) = (None, None);
    }
}

fn words(fault: &io::Error) -> String {
    if fault.kind() == ErrorKind::AddrInUse {
        return format!("a program of the node listens at port {PORT} already");
    }
    fault.to_string()
}

/// Serves whoever comes, until what it returns is dropped.
fn listen(
    listener: std::net::TcpListener,
    server: &SshServer,
    handle: &Handle,
) -> io::Result<DropGuard> {
    listener.set_nonblocking(true)?;
    let _within = handle.enter();
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let over = CancellationToken::new();
    handle.spawn(take(listener, server.clone(), over.clone()));
    Ok(over.drop_guard())
}

async fn take(listener: tokio::net::TcpListener, server: SshServer, over: CancellationToken) {
    loop {
        let came = tokio::select! {
            () = over.cancelled() => return,
            came = listener.accept() => came,
        };
        let Ok((visitor, _)) = came else {
            tokio::time::sleep(NAP).await;
            continue;
        };
        // A key that is pressed goes at once.
        let _ = visitor.set_nodelay(true);
        let (serving, over) = (server.clone().serve(visitor), over.clone());
        tokio::spawn(over.run_until_cancelled_owned(serving));
    }
}
