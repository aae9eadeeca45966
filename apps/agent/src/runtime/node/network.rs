//! A node's own network, as long as the node runs: made, kept whole, and forgotten.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{Common, Node, environment};
use crate::runtime::inside::Inside;
use crate::runtime::last_words;
use crate::runtime::net::{self, Making, NodeNet};
use crate::runtime::process::Process;
use crate::runtime::reach::Reach;
use crate::runtime::record::BOX;

/// How long what belongs to a node's network is left alone before it is tried again.
const NETWORK_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// How often a node is let out to the Internet before it stays without.
const LET_OUT_MAX: u32 = 5;

/// How a node is connected.
#[derive(Debug, Default)]
pub(super) struct Connection {
    /// Its own network, once it is there.
    pub(super) net: Option<Arc<NodeNet>>,
    /// When something of it was tried last.
    tried: Option<Instant>,
    /// How often the node was let out to the Internet.
    let_out: u32,
}

impl Node {
    /// Makes its network, or finds it as an agent before left it.
    pub(super) fn connect(&mut self, common: &Common) -> Result<()> {
        let Some(addresses) = self.record.network.clone() else { return Ok(()) };
        self.connection.tried = Some(Instant::now());
        self.disconnect(common);
        let inside = Inside::of_started(&self.record).context("find the node's sandbox")?;
        let first = self.record.inner.context("find the node's first process")?;
        let environment = environment(&self.place, &self.record, common)?.into_iter().collect();
        let (program, has_egress) = (&common.program, common.has_egress);
        let making = Making { program, inside, first, addresses, has_egress, environment };
        let made = Arc::new(NodeNet::make(making)?);
        common.nets.is_up(made.clone());
        self.connection.net = Some(made);
        if let Err(fault) = self.lead_out(common) {
            let fault = format!("{fault:#}");
            tracing::warn!(fault, node = ?self.record.key(), "a node is not let out to the Internet");
        }
        Ok(())
    }

    /// Lets it out to the Internet, unless it is let out already.
    fn lead_out(&mut self, common: &Common) -> Result<()> {
        let Some(net) = self.connection.net.as_ref().filter(|_| common.has_egress) else {
            return Ok(());
        };
        if self.record.egress.is_some_and(|egress| egress.is_alive()) {
            return Ok(());
        }
        self.record.egress.inspect(Process::reap);
        self.connection.let_out += 1;
        let mark = (BOX, self.record.folder.as_path());
        let log = self.place.egress_output();
        let egress = net::lead_out(net.porter(), self.record.user, mark, &log)?;
        self.record.egress = Some(egress);
        self.place.write(&self.record)
    }

    /// Forgets its network.
    pub(super) fn disconnect(&mut self, common: &Common) {
        if self.connection.net.take().is_some() {
            common.nets.is_down(self.record.key());
        }
    }

    /// Sees to it that a node that runs has its network, whoever died meanwhile.
    pub(super) fn stay_connected(&mut self, common: &Common) {
        let has_net = self.connection.net.as_ref().is_some_and(|net| net.is_alive());
        let is_let_out = self.record.egress.is_some_and(|egress| egress.is_alive())
            || !common.has_egress
            || self.connection.let_out >= LET_OUT_MAX;
        let is_whole = has_net && is_let_out;
        let was_tried = self.connection.tried.is_some_and(|at| at.elapsed() < NETWORK_AGAIN_AFTER);
        if self.record.network.is_none() || is_whole || was_tried || !self.is_alive() {
            return;
        }
        self.connection.tried = Some(Instant::now());
        if has_net {
            let said = last_words::of_egress(&self.place);
            tracing::warn!(said, node = ?self.record.key(), "what let a node out to the Internet has ended");
        }
        let mended = if has_net { self.lead_out(common) } else { self.connect(common) };
        if let Err(fault) = mended {
            let fault = format!("{fault:#}");
            tracing::warn!(fault, node = ?self.record.key(), "a node's network is not whole; it is tried again");
        }
    }

    /// How it is reached from the agent.
    pub(super) fn reach(&self) -> Reach {
        self.connection.net.as_ref().map_or(Reach::Machine, |net| Reach::Node(net.clone()))
    }
}
