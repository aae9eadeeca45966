//! A node of the mesh: `mesh-shell INTERFACE FILE`. `SIGHUP` reads the file's peers again, `SIGUSR1` tells how they
//! are.

mod wish;

use std::io::Write as _;

use anyhow::Context as _;
use mesh::PeerConfig;
use mesh_shell::{Config, Engine};

use crate::wish::{Wish, Wishes};

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(interface), Some(file)) = (args.next(), args.next()) else {
        anyhow::bail!("usage: mesh-shell INTERFACE FILE");
    };
    let read = || -> anyhow::Result<Config> {
        let text = std::fs::read_to_string(&file).with_context(|| format!("read {file}"))?;
        Config::parse(&interface, &text)
    };
    let wishes = Wishes::collect()?;
    let config = read()?;
    let mut peers = config.peers.clone();
    let engine = Engine::start(config)?;
    while !engine.has_failed() {
        match wishes.next() {
            Some(Wish::End) => break,
            Some(Wish::Reload) => {
                let wanted = read()?.peers;
                reconcile(&engine, &peers, &wanted)?;
                peers = wanted;
            }
            Some(Wish::Status) => tell_status(&engine)?,
            None => {}
        }
    }
    engine.stop()
}

/// Changes only what differs: who stays as it is keeps its sessions.
fn reconcile(engine: &Engine, peers: &[PeerConfig], wanted: &[PeerConfig]) -> anyhow::Result<()> {
    for peer in peers.iter().filter(|peer| wanted.iter().all(|other| other.key != peer.key)) {
        engine.remove_peer(peer.key)?;
    }
    for peer in wanted.iter().filter(|peer| !peers.contains(peer)) {
        engine.set_peer(peer.clone())?;
    }
    Ok(())
}

/// One line per peer, on standard output: key, address, age of the session, datagrams and bytes both ways, refused.
fn tell_status(engine: &Engine) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for peer in engine.peers()? {
        let carried = peer.link.carried();
        let endpoint = peer.way.map_or_else(|| "-".into(), |way| way.to_string().replace(' ', "/"));
        let since = peer.session_since.map_or(0, |since| since.millis());
        let ((sent, sent_bytes), (heard, heard_bytes)) = (carried.sent, carried.heard);
        let refused = carried.refused;
        let key = peer.key;
        writeln!(
            out,
            "{key} {endpoint} {since} {sent} {sent_bytes} {heard} {heard_bytes} {refused}"
        )?;
    }
    out.flush().context("write status")
}
