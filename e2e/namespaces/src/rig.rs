//! A network that runs: building it, changing it, and taking it away.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, bail};

use crate::kernel::{self, MARK, inside};
use crate::layout::{Layout, Wire};
use crate::lines;
use crate::place::Place;
use crate::plan::{Kind, Nat, Plan};
use crate::rules;
use crate::state::{Blocked, NodeState};
use crate::weather::{Counts, Pump, Weather};

/// More at once only wait for each other in the kernel.
const BUILDERS: usize = 4;

/// A network that runs. Everything about it can be changed by shared reference, from any thread.
#[derive(Debug)]
pub struct Rig {
    layout: Layout,
    /// By node, as in the layout.
    states: Mutex<Vec<NodeState>>,
    /// By the number of the link.
    pumps: BTreeMap<usize, Pump>,
    folder: PathBuf,
}

/// The network, or nothing where there can be none, which is said. In continuous integration that is a failure: a test
/// that skips shows nothing.
///
/// # Panics
/// When the network cannot be built though the machine could, or could not and `CI` is set.
pub fn rig_or_skip(plan: &Plan) -> Option<Rig> {
    if let Some(obstacle) = kernel::obstacle() {
        assert!(std::env::var_os("CI").is_none(), "no network can be built here: {obstacle}");
        say_skipped(obstacle);
        return None;
    }
    Some(Rig::build(plan).unwrap_or_else(|fault| panic!("could not build the network: {fault:#}")))
}

#[expect(
    clippy::print_stderr,
    reason = "whoever reads the test's words learns why it showed nothing"
)]
fn say_skipped(obstacle: &str) {
    eprintln!("skipped: no network can be built here: {obstacle}");
}

impl Rig {
    /// Makes a plan real, after removing what killed processes have left behind.
    pub fn build(plan: &Plan) -> anyhow::Result<Rig> {
        static RIGS: AtomicUsize = AtomicUsize::new(0);
        plan.check()?;
        if let Some(obstacle) = kernel::obstacle() {
            bail!("{obstacle}");
        }
        let prefix =
            format!("{MARK}{}-{}", std::process::id(), RIGS.fetch_add(1, Ordering::Relaxed));
        kernel::sweep(&prefix);
        let layout = Layout::of(plan, &prefix);
        let states = Mutex::new(vec![NodeState::default(); layout.nodes.len()]);
        let folder = kernel::logs_folder().join(&prefix);
        // Complete before anything is made, so that a failure halfway is cleaned up as well.
        let mut rig = Rig { layout, states, pumps: BTreeMap::new(), folder };
        rig.make()?;
        Ok(rig)
    }

    fn make(&mut self) -> anyhow::Result<()> {
        fs::create_dir_all(&self.folder).context("create a folder for logs")?;
        kernel::ip(&lines::skeleton(&self.layout)).context("make namespaces and links")?;
        let nodes: Vec<usize> = (0..self.layout.nodes.len()).collect();
        let layout = &self.layout;
        std::thread::scope(|scope| {
            let share = nodes.len().div_ceil(BUILDERS);
            let builders: Vec<_> = nodes
                .chunks(share)
                .map(|mine| scope.spawn(|| mine.iter().try_for_each(|at| furnish(layout, *at))))
                .collect();
            builders.into_iter().try_for_each(|builder| builder.join().expect("it does not panic"))
        })?;
        self.start_weather()?;
        for (index, node) in self.layout.nodes.iter().enumerate() {
            let interfaces = self.layout.interfaces(index);
            let settle =
                || interfaces.iter().try_for_each(|name| kernel::until_running(name, true));
            inside(&node.netns, settle)?;
        }
        self.let_routes_settle()
    }

    /// The kernel first says that an interface has a carrier and then tells the routes, all under one lock, which a
    /// change that changes nothing waits for.
    fn let_routes_settle(&self) -> anyhow::Result<()> {
        inside(&self.layout.nodes[0].netns, || kernel::ip("link set dev lo up\n"))
    }

    fn start_weather(&mut self) -> anyhow::Result<()> {
        if !self.layout.has_weather() {
            return Ok(());
        }
        let layout = &self.layout;
        self.pumps = inside(&layout.weather_netns(), || {
            kernel::set(&[
                ("ipv6/conf/all/disable_ipv6", "1"),
                ("ipv6/conf/default/disable_ipv6", "1"),
            ])?;
            kernel::ip(&lines::middles(layout))?;
            let mut pumps = BTreeMap::new();
            for (_, wire) in layout.wires() {
                let Some(weather) = wire.weather else { continue };
                let (up, down) = wire.middle();
                let seed = layout.seed ^ (wire.number as u64) << 32;
                pumps.insert(wire.number, Pump::start(&up, &down, weather, seed)?);
            }
            Ok(pumps)
        })
        .context("start the weather")?;
        Ok(())
    }

    /// A node by its name; "internet" is the router on top.
    ///
    /// # Panics
    /// When the plan has no such node.
    pub fn at(&self, name: &str) -> Place<'_> {
        Place { rig: self, laid: &self.layout.nodes[self.index(name)] }
    }

    /// The first link of a node, towards the internet.
    ///
    /// # Panics
    /// When the plan has no such node.
    pub fn link(&self, child: &str) -> Link<'_> {
        let child = self.index(child);
        let wire = self.layout.nodes[child].uplinks.first();
        Link { rig: self, child, wire: wire.expect("the internet is not below anything") }
    }

    /// The link of a node to one of its routers.
    ///
    /// # Panics
    /// When the plan has no such link.
    pub fn link_to(&self, child: &str, parent: &str) -> Link<'_> {
        let (child, parent) = (self.index(child), self.index(parent));
        let wire = self.layout.nodes[child].uplinks.iter().find(|wire| wire.parent == parent);
        Link { rig: self, child, wire: wire.expect("the plan has that link") }
    }

    /// Two nodes no longer hear each other under any address, though both reach everybody else. Somebody who shares a
    /// translated address with one of them is cut as well.
    pub fn partition(&self, one: &str, other: &str) -> anyhow::Result<()> {
        let (one, other) = (self.index(one), self.index(other));
        let (of_one, of_other) = self.faces_apart(one, other);
        self.change(one, |state| drop(state.severed.insert(other, of_other)))?;
        self.change(other, |state| drop(state.severed.insert(one, of_one)))
    }

    /// The second no longer hears the first; the other way is as before.
    pub fn deafen(&self, speaker: &str, listener: &str) -> anyhow::Result<()> {
        let (speaker, listener) = (self.index(speaker), self.index(listener));
        let (of_speaker, _) = self.faces_apart(speaker, listener);
        self.change(listener, |state| drop(state.unheard.insert(speaker, of_speaker)))
    }

    /// Two nodes hear each other again.
    pub fn heal(&self, one: &str, other: &str) -> anyhow::Result<()> {
        let (one, other) = (self.index(one), self.index(other));
        for (at, cut) in [(one, other), (other, one)] {
            self.change(at, |state| {
                state.severed.remove(&cut);
                state.unheard.remove(&cut);
            })?;
        }
        Ok(())
    }

    /// What a node lets nobody send, from now on; for a router that is everybody behind it.
    pub fn block(&self, name: &str, blocked: Blocked) -> anyhow::Result<()> {
        self.change(self.index(name), |state| state.blocked = blocked)
    }

    /// A router forgets all connections, as when it restarts: those behind it get other outer ports.
    pub fn rebind(&self, router: &str) -> anyhow::Result<()> {
        let index = self.index(router);
        let nat = self.layout.nodes[index].nat();
        if !nat.is_some_and(Nat::translates) {
            bail!("{router} translates nothing");
        }
        self.change(index, |state| state.rebound += 1)?;
        inside(&self.layout.nodes[index].netns, || {
            if matches!(nat, Some(Nat::FullCone | Nat::AddressRestricted)) {
                kernel::nft("flush map ip translate inside\nflush set ip translate sent\n")?;
            }
            kernel::tool("conntrack", &["-F"], "")
        })
    }

    /// Packets over so many bytes vanish on a router's first link without a word; `None`: as it was planned.
    pub fn black_hole(&self, router: &str, bytes: Option<u16>) -> anyhow::Result<()> {
        let index = self.index(router);
        if self.layout.nodes[index].kind == Kind::Host {
            bail!(
                "{router} is a host, which knows how long packets may be on its own link: put a router before it"
            );
        }
        let link = self.link(router);
        for end in [index, link.wire.parent] {
            self.change(end, |state| {
                if bytes.is_some() {
                    state.silent.insert(link.wire.number);
                } else {
                    state.silent.remove(&link.wire.number);
                }
            })?;
        }
        link.set_mtu(bytes.unwrap_or(link.wire.mtu))
    }

    /// The nearest router that translates for a node.
    pub(crate) fn translator_of(&self, name: &str) -> Option<String> {
        let mut at = self.index(name);
        while let Some(wire) = self.layout.nodes[at].uplinks.first() {
            at = wire.parent;
            if self.layout.nodes[at].nat().is_some_and(Nat::translates) {
                return Some(self.layout.nodes[at].name.clone());
            }
        }
        None
    }

    /// Where programs of a node that are started by [`Place::exec`] ask for names.
    pub fn name_server(&self, node: &str, address: std::net::IpAddr) -> anyhow::Result<()> {
        let folder = kernel::config_folder(&self.at(node).laid.netns);
        fs::create_dir_all(&folder).context("create a folder for a resolver")?;
        fs::write(folder.join("resolv.conf"), format!("nameserver {address}\n"))
            .context("write a resolver")
    }

    /// A path for a file that is removed with the rig, and stays when the test fails.
    pub fn new_file(&self, name: &str) -> anyhow::Result<PathBuf> {
        let taken = |path: &PathBuf| path.exists();
        let path = self.folder.join(name);
        if !taken(&path) {
            return Ok(path);
        }
        let others = (2..1000).map(|n| self.folder.join(format!("{n}-{name}")));
        others.into_iter().find(|path| !taken(path)).context("find a free name for a file")
    }

    fn index(&self, name: &str) -> usize {
        self.layout.index(name).unwrap_or_else(|| panic!("the plan has no `{name}`"))
    }

    /// Under which addresses each is seen, without those they share.
    fn faces_apart(
        &self,
        one: usize,
        other: usize,
    ) -> (Vec<std::net::IpAddr>, Vec<std::net::IpAddr>) {
        let (of_one, of_other) = (self.layout.faces(one), self.layout.faces(other));
        let without = |all: &[std::net::IpAddr], shared: &[std::net::IpAddr]| {
            all.iter().filter(|face| !shared.contains(face)).copied().collect()
        };
        (without(&of_one, &of_other), without(&of_other, &of_one))
    }

    fn change(&self, index: usize, change: impl FnOnce(&mut NodeState)) -> anyhow::Result<()> {
        let mut states = self.states();
        change(&mut states[index]);
        let node = &self.layout.nodes[index];
        let rules = rules::rules(node, &states[index]);
        inside(&node.netns, || kernel::nft(&rules)).with_context(|| format!("change {}", node.name))
    }

    fn states(&self) -> MutexGuard<'_, Vec<NodeState>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.pumps.clear();
        kernel::remove(&self.layout.namespaces());
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// Makes one namespace what its node is to be.
fn furnish(layout: &Layout, index: usize) -> anyhow::Result<()> {
    let node = &layout.nodes[index];
    let furnish = || {
        kernel::set(&[
            ("ipv4/conf/all/rp_filter", "0"),
            ("ipv4/conf/default/rp_filter", "0"),
            ("ipv4/icmp_ratelimit", "0"),
            ("ipv6/icmp/ratelimit", "0"),
            ("ipv4/ping_group_range", "0 2147483647"),
        ])?;
        for interface in layout.interfaces(index) {
            kernel::set(&[
                (&format!("ipv4/conf/{interface}/rp_filter"), "0"),
                (&format!("ipv4/conf/{interface}/ignore_routes_with_linkdown"), "1"),
                (&format!("ipv6/conf/{interface}/ignore_routes_with_linkdown"), "1"),
            ])?;
        }
        if !node.v6 {
            kernel::set(&[("ipv6/conf/all/disable_ipv6", "1")])?;
        }
        if node.nat().is_some() {
            kernel::set(&[("ipv4/ip_forward", "1"), ("ipv6/conf/all/forwarding", "1")])?;
        }
        for interface in layout.interfaces_in_weather(index) {
            kernel::tool(
                "ethtool",
                &["-K", &interface, "tso", "off", "gso", "off", "gro", "off", "tx", "off"],
                "",
            )?;
        }
        kernel::ip(&lines::node(layout, index))?;
        // `ip` guesses the family of a route, and not that of a rule.
        for (family, choice) in ["-4", "-6"].into_iter().zip(lines::link_choice(node)) {
            if !choice.is_empty() {
                kernel::tool("ip", &[family, "-batch", "-"], &choice)?;
            }
        }
        if rules::has_rules(node) {
            kernel::nft(&rules::rules(node, &NodeState::default()))?;
        }
        if let Some(seconds) = node.mapping_seconds {
            let seconds = seconds.to_string();
            kernel::set(&[
                ("netfilter/nf_conntrack_udp_timeout", &seconds),
                ("netfilter/nf_conntrack_udp_timeout_stream", &seconds),
            ])?;
        }
        Ok(())
    };
    inside(&node.netns, furnish).with_context(|| format!("furnish {}", node.name))
}

/// A link of a running network, between a node and the router above it.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a> {
    rig: &'a Rig,
    child: usize,
    wire: &'a Wire,
}

impl Link<'_> {
    /// Other weather both ways.
    ///
    /// # Panics
    /// When the plan gave the link no weather: [`Weather::CLEAR`] is enough.
    pub fn weather(&self, weather: Weather) {
        self.weather_up(weather);
        self.weather_down(weather);
    }

    /// Towards the internet alone.
    ///
    /// # Panics
    /// As [`Link::weather`].
    pub fn weather_up(&self, weather: Weather) {
        self.pump().set_up(weather);
    }

    /// From the internet alone.
    ///
    /// # Panics
    /// As [`Link::weather`].
    pub fn weather_down(&self, weather: Weather) {
        self.pump().set_down(weather);
    }

    /// What became of packets, towards the internet and from it.
    ///
    /// # Panics
    /// As [`Link::weather`].
    pub fn counts(&self) -> [Counts; 2] {
        self.pump().counts()
    }

    /// The cable is out: both sides see that there is no carrier.
    pub fn down(&self) -> anyhow::Result<()> {
        self.set_middle("down")?;
        let line = format!("link set dev {} down\n", self.wire.parent_end);
        inside(self.parent_netns(), || kernel::ip(&line))?;
        self.settle(false)
    }

    /// The cable is in again.
    pub fn up(&self) -> anyhow::Result<()> {
        self.set_middle("up")?;
        let lines = lines::parent_end(&self.rig.layout, self.child, self.wire);
        // Forced: addresses of IPv4 outlive it, those of IPv6 do not.
        inside(self.parent_netns(), || {
            let _ = kernel::tool("ip", &["-force", "-batch", "-"], &lines);
            Ok(())
        })?;
        self.settle(true)
    }

    /// Until both ends have noticed whether there is a carrier: the kernel tells routes of it up to a second later.
    fn settle(&self, has_carrier: bool) -> anyhow::Result<()> {
        let child = &self.rig.layout.nodes[self.child].netns;
        inside(child, || kernel::until_running(&self.wire.child_end, has_carrier))?;
        let end = &self.wire.parent_end;
        inside(self.parent_netns(), || kernel::until_running(end, has_carrier))?;
        self.rig.let_routes_settle()
    }

    /// Swallows everything, though both sides see it up; [`Link::mend`] ends that.
    pub fn cut(&self) -> anyhow::Result<()> {
        self.rig.change(self.wire.parent, |state| {
            state.dead_ends.insert(self.wire.parent_end.clone());
        })
    }

    pub fn mend(&self) -> anyhow::Result<()> {
        self.rig.change(self.wire.parent, |state| {
            state.dead_ends.remove(&self.wire.parent_end);
        })
    }

    /// The longest IP packet, in bytes. Routers on both sides say so to who sends a longer one.
    pub fn set_mtu(&self, bytes: u16) -> anyhow::Result<()> {
        let (child, parent) = lines::mtu(self.wire, bytes);
        inside(&self.rig.layout.nodes[self.child].netns, || kernel::ip(&child))?;
        inside(self.parent_netns(), || kernel::ip(&parent))
    }

    fn pump(&self) -> &Pump {
        let pump = self.rig.pumps.get(&self.wire.number);
        pump.expect("only a link whose plan says `.weather(…)` has any")
    }

    /// Carrier passes through the middle of a link with weather.
    fn set_middle(&self, state: &str) -> anyhow::Result<()> {
        if self.wire.weather.is_none() {
            return Ok(());
        }
        let (end, _) = self.wire.middle();
        let line = format!("link set dev {end} {state}\n");
        inside(&self.rig.layout.weather_netns(), || kernel::ip(&line))
    }

    fn parent_netns(&self) -> &str {
        &self.rig.layout.nodes[self.wire.parent].netns
    }
}
