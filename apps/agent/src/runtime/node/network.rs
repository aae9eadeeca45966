//! A node's own network, as long as the node runs: made, kept whole, and forgotten.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use super::{Common, KILL_PATIENCE, Node, environment};
use crate::runtime::inside::Inside;
use crate::runtime::last_words;
use crate::runtime::net::{self, Making, NodeNet};
use crate::runtime::process::{Process, wait_until};
use crate::runtime::reach::Reach;
use crate::runtime::record::BOX;

/// How long what belongs to a node's network is left alone before it is tried again.
const NETWORK_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// How often a node is let out to the Internet before it stays without.
const LET_OUT_MAX: u32 = 5;
/// A way out that has held for so long does not count any more.
const LET_OUT_FORGOTTEN_AFTER: Duration = Duration::from_secs(3_600);
/// How often it is looked whether this machine has other addresses, which a node must not reach: one may come with a
/// lease, a tunnel, or a line to a relay.
const ADDRESSES_EVERY: Duration = Duration::from_secs(10);

/// How a node is connected.
#[derive(Debug, Default)]
pub(super) struct Connection {
    /// Its own network, once it is there.
    pub(super) net: Option<Arc<NodeNet>>,
    /// When something of it was tried last.
    tried: Option<Instant>,
    /// How often the node was let out to the Internet.
    let_out: u32,
    /// When it was let out last.
    let_out_at: Option<Instant>,
    /// What may leave for the Internet.
    rules: Option<String>,
    /// When it was last looked whether that is still so.
    rules_at: Option<Instant>,
}

impl Node {
    /// Makes its network, or finds it as an agent before left it.
    pub(super) fn connect(&mut self, common: &Common) -> Result<()> {
        let Some(addresses) = self.record.network.clone() else { return Ok(()) };
        self.connection.tried = Some(Instant::now());
        self.disconnect(common);
        if !common.has_egress {
            self.shut()?;
        }
        self.tell_resolvers(common)?;
        let inside = Inside::of_started(&self.record).context("find the node's sandbox")?;
        let first = self.record.inner.context("find the node's first process")?;
        let environment = environment(&self.place, &self.record, common)?.into_iter().collect();
        let program = &common.program;
        let rules = common.has_egress.then(|| net::rules(&common.nets.seen_at())).transpose()?;
        (self.connection.rules, self.connection.rules_at) = (rules.clone(), Some(Instant::now()));
        let making = Making { program, inside, first, addresses, rules, environment };
        let made = Arc::new(NodeNet::make(making)?);
        common.nets.is_up(made.clone());
        self.connection.net = Some(made);
        if let Err(fault) = self.lead_out(common) {
            let fault = format!("{fault:#}");
            tracing::warn!(fault, node = ?self.record.key(), "a node is not let out to the Internet");
        }
        Ok(())
    }

    /// Ends what an agent before let lead out, who was told otherwise.
    fn shut(&mut self) -> Result<()> {
        let Some(egress) = self.record.egress else { return Ok(()) };
        egress.signal(Signal::KILL);
        let is_over = wait_until(KILL_PATIENCE, || !egress.is_alive());
        ensure!(is_over, "end what leads out of the node's network");
        egress.reap();
        self.record.egress = None;
        self.place.write(&self.record)
    }

    /// Has the node ask those for names who answer, also where its agent was told otherwise before.
    fn tell_resolvers(&self, common: &Common) -> Result<()> {
        let Some(addresses) = &self.record.network else { return Ok(()) };
        let (file, text) = (self.place.resolv(), net::resolv(addresses, common.has_egress));
        if fs::read_to_string(&file).is_ok_and(|told| told == text) {
            return Ok(());
        }
        // The file is written to, not replaced: the node has this one.
        fs::write(file, text).context("write the sandbox's list of resolvers")
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
        self.connection.let_out_at = Some(Instant::now());
        let mark = (BOX, self.record.folder.as_path());
        let log = self.place.egress_output();
        let egress = net::lead_out(net.porter(), self.record.user, mark, &log)?;
        self.record.egress = Some(egress.process);
        self.place.write(&self.record)?;
        egress.go()
    }

    /// Forgets its network.
    pub(super) fn disconnect(&mut self, common: &Common) {
        if self.connection.net.take().is_some() {
            common.nets.is_down(self.record.key());
        }
    }

    /// Sees to it that a node that runs has its network, whoever died meanwhile.
    pub(super) fn stay_connected(&mut self, common: &Common) {
        if self.record.network.is_none() || !self.is_alive() {
            return;
        }
        if let Err(fault) = self.keep_from_own(common) {
            let fault = format!("{fault:#}");
            tracing::warn!(fault, node = ?self.record.key(), "a node may reach new addresses of this machine");
        }
        let has_net = self.connection.net.as_ref().is_some_and(|net| net.is_alive());
        let is_whole = has_net && (self.is_let_out() || !common.has_egress);
        let was_tried = self.connection.tried.is_some_and(|at| at.elapsed() < NETWORK_AGAIN_AFTER);
        if is_whole || was_tried {
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

    /// Whether it is let out to the Internet, or was so often in vain that it stays without.
    fn is_let_out(&mut self) -> bool {
        let held =
            self.connection.let_out_at.is_some_and(|at| at.elapsed() > LET_OUT_FORGOTTEN_AFTER);
        if held {
            self.connection.let_out = 0;
        }
        self.record.egress.is_some_and(|egress| egress.is_alive())
            || self.connection.let_out >= LET_OUT_MAX
    }

    /// Keeps it from what is this machine's own, which is not the same for ever.
    fn keep_from_own(&mut self, common: &Common) -> Result<()> {
        let Connection { net: Some(net), rules_at: Some(at), .. } = &self.connection else {
            return Ok(());
        };
        if !common.has_egress || at.elapsed() < ADDRESSES_EVERY {
            return Ok(());
        }
        let net = net.clone();
        self.connection.rules_at = Some(Instant::now());
        let rules = net::rules(&common.nets.seen_at())?;
        if self.connection.rules.as_ref() == Some(&rules) {
            return Ok(());
        }
        let first = self.record.inner.context("find the node's first process")?;
        net.lay_down(first, rules.clone())?;
        self.connection.rules = Some(rules);
        Ok(())
    }

    /// How it is reached from the agent.
    pub(super) fn reach(&self) -> Reach {
        self.connection.net.as_ref().map_or(Reach::Machine, |net| Reach::Node(net.clone()))
    }
}
