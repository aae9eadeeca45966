//! What a node with its own network reaches beside its mesh: the Internet, and nothing of its supplier's.
//!
//! A program of its own (`pasta`, of the package `passt`) stands between a device in the node's network and sockets of
//! the machine. Rules in the node's network say what gets as far as that device: the node has no privilege to change
//! them, and routes alone would not do, since a program may choose a device against them.
//!
//! # Invariants
//! - Rules stand before the device does.
//! - Not reached: private and shared address space, link-local addresses (metadata of clouds with them), the machine's
//!   own addresses, its loopback. Names are asked of the machine's resolver, and of nobody else near it.
//! - Nothing from outside reaches the node this way, and nobody in the node's mesh the outside: the node is no router.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};

use super::Addresses;
use super::porter::Porter;
use crate::runtime::process::Process;

/// The device that leads out.
const OUT: &str = "up0";
/// The node's own address there, the other end, and who answers for names: of the block that is set aside for such ends
/// of a line (RFC 7335), so that no network that a renter reaches has them.
const OWN: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 2);
const OTHER: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 1);
const NAMES: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 3);
/// How many bits of such an address are the block's.
const BITS: &str = "29";
/// Blocks that are not the Internet (RFC 6890), but for those of documentation, which nobody has.
const NEAR: [&str; 10] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/3",
];

/// Where the programs are that lead out: those of administrators, too.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What nodes with their own network reach beside their mesh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Egress {
    /// The Internet.
    #[default]
    Internet,
    /// Nothing.
    Off,
}

/// Whether this machine has what leads out, or what it lacks.
pub(in crate::runtime) fn works() -> Result<(), String> {
    let has = |program: &str, package: &str| match Command::new(program)
        .arg("--version")
        .env("PATH", PATH)
        .output()
    {
        Ok(_) => Ok(()),
        Err(fault) => Err(format!("{program} does not run: {fault} (hint: install {package})")),
    };
    has("pasta", "passt").and_then(|()| has("nft", "nftables"))
}

/// The rules of a node's network, which keep it from this machine's addresses as they are now.
pub(super) fn rules() -> Result<String> {
    let trie = fs::read_to_string("/proc/net/fib_trie").context("list this machine's addresses")?;
    Ok(rules_beside(&local_addresses(&trie)))
}

fn rules_beside(own: &BTreeSet<Ipv4Addr>) -> String {
    let near = NEAR.join(", ");
    let mut rules = format!(
        "table inet iog {{\n chain out {{\n  type filter hook output priority 0; policy accept;\n  \
         oifname \"{OUT}\" goto outside\n }}\n chain through {{\n  \
         type filter hook forward priority 0; policy drop;\n }}\n chain outside {{\n  \
         ip daddr {NAMES} meta l4proto {{ tcp, udp }} th dport 53 accept\n  \
         ip daddr {{ {near} }} reject with icmp type admin-prohibited\n"
    );
    for address in own {
        // Writing to a string cannot fail.
        let _ = writeln!(rules, "  ip daddr {address} reject with icmp type admin-prohibited");
    }
    rules.push_str("  meta nfproto ipv4 accept\n  drop\n }\n}\n");
    rules
}

/// The local addresses of `/proc/net/fib_trie`, but for loopback.
fn local_addresses(trie: &str) -> BTreeSet<Ipv4Addr> {
    let mut last = None;
    let mut found = BTreeSet::new();
    for line in trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if line.starts_with("/32 host LOCAL") {
            found.extend(last.filter(|address| !address.is_loopback()));
        }
    }
    found
}

/// Lays down the rules in the network that this process is in. Those of an agent before are replaced.
pub(super) fn lay_down(rules: &str) -> Result<()> {
    let mut command = Command::new("nft");
    // Deleting a table that is not there is refused; adding one that is there is not.
    command
        .args(["-f", "-"])
        .env("PATH", PATH)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().context("run nft")?;
    let mut to = child.stdin.take().context("tell nft the rules")?;
    let whole = format!("add table inet iog\ndelete table inet iog\n{rules}");
    // If it ends early, it says why.
    let _ = to.write_all(whole.as_bytes());
    drop(to);
    let Output { status, stderr, .. } = child.wait_with_output().context("wait for nft")?;
    let said = String::from_utf8_lossy(&stderr);
    let first = said.lines().next().unwrap_or_default();
    ensure!(status.success(), "lay down the rules of egress: nft: {first}");
    Ok(())
}

/// Leads out of a node's network. What it says of itself goes to the file `log`.
pub(in crate::runtime) fn start(
    porter: &Porter,
    user: Option<u32>,
    mark: (&str, &Path),
    log: &Path,
) -> Result<Process> {
    let own = |name: &str| format!("/proc/{}/ns/{name}", porter.pid());
    let network = File::open(own("net")).context("find the node's network")?;
    let log = File::create(log).context("open the log of what leads out")?;
    let mut words = user.map(privileged).unwrap_or_default();
    words.extend(plain(user.is_none().then(|| own("user"))));
    let (program, rest) = words.split_first().context("name what leads out")?;
    let mut command = Command::new(program);
    command.args(rest).env_clear().env("PATH", PATH).env(mark.0, mark.1);
    command.current_dir("/").stdin(Stdio::from(network)).stdout(Stdio::null()).stderr(log);
    // A signal from the agent's terminal is not for it: it outlives the agent, as the node does.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let child = command.spawn().context("start pasta")?;
    Process::with_pid(child.id()).context("find pasta")
}

/// The words before the command, where the agent is root: it runs as the node's user, and has only the privileges that
/// it takes to enter the network and to make a device there. It gives up by itself what it does not need any more.
fn privileged(user: u32) -> Vec<String> {
    let user = user.to_string();
    let privileges = "+sys_admin,+net_admin";
    let ids = ["setpriv", "--reuid", &user, "--regid", &user, "--clear-groups"];
    let words =
        [&ids[..], &["--inh-caps", privileges, "--ambient-caps", privileges, "--"]].concat();
    words.into_iter().map(str::to_owned).collect()
}

/// The command; `users` names the users who own the node's network, where those are not the machine's.
fn plain(users: Option<String>) -> Vec<String> {
    let (own, other, names) = (OWN.to_string(), OTHER.to_string(), NAMES.to_string());
    let device = ["pasta", "--foreground", "--quiet", "--ipv4-only", "--config-net", "-I", OUT];
    let line = ["-a", &own, "-n", BITS, "-g", &other, "--dns-forward", &names];
    // Neither the machine's loopback nor anything that listens in the node is reached through it.
    let shut = ["--no-map-gw", "-t", "none", "-u", "none", "-T", "none", "-U", "none"];
    let words = [&device[..], &line, &shut, &["--netns", "/proc/self/fd/0"]].concat();
    let mut words: Vec<String> = words.into_iter().map(str::to_owned).collect();
    words.extend(match users {
        Some(users) => vec!["--userns".to_owned(), users],
        None => vec!["--netns-only".to_owned()],
    });
    words
}

/// What stands for `/etc/resolv.conf` in the node.
pub(in crate::runtime) fn resolv(addresses: &Addresses, has_egress: bool) -> String {
    let mut text = String::from("search mesh\noptions timeout:2 attempts:2\n");
    let out = has_egress.then_some(NAMES);
    for resolver in addresses.resolver.into_iter().chain(out) {
        let _ = writeln!(text, "nameserver {resolver}");
    }
    text
}

/// What stands for `/etc/hosts` in the node: its name is its address in the mesh, so that others can be told it.
pub(in crate::runtime) fn hosts(addresses: &Addresses, host_name: &str) -> String {
    let Addresses { v4, v6, .. } = addresses;
    format!(
        "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n{v4} {host_name}\n{v6} {host_name}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_own_addresses_are_found_and_cannot_be_reached() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     \
                    |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 203.0.113.7\n        /32 host LOCAL\n     \
                    |-- 203.0.113.255\n        /32 link BROADCAST\nLocal:\n     |-- 203.0.113.7\n        \
                    /32 host LOCAL\n";
        let own = local_addresses(trie);
        assert_eq!(own, BTreeSet::from([Ipv4Addr::new(203, 0, 113, 7)]));
        let rules = rules_beside(&own);
        let place = |what: &str| rules.find(what).unwrap();
        assert!(rules.contains("hook forward priority 0; policy drop;"), "{rules}");
        assert!(place("192.0.0.3 meta l4proto") < place("192.168.0.0/16"), "{rules}");
        assert!(place("ip daddr 203.0.113.7 reject") < place("nfproto ipv4 accept"), "{rules}");
    }

    #[test]
    fn names_are_asked_of_the_mesh_first_and_of_nobody_where_nothing_leads_out() {
        let mut addresses = crate::runtime::net::tests::addresses(16);
        let servers = |addresses: &Addresses, out| {
            let text = resolv(addresses, out);
            let of = |line: &str| line.strip_prefix("nameserver ").map(str::to_owned);
            text.lines().filter_map(of).collect::<Vec<_>>()
        };
        assert_eq!(servers(&addresses, true), ["100.64.16.1", "192.0.0.3"]);
        addresses.resolver = None;
        assert_eq!(servers(&addresses, false), Vec::<String>::new());
    }

    #[test]
    fn nothing_but_the_outside_is_let_through() {
        let words = plain(None);
        for shut in ["--no-map-gw", "--netns-only"] {
            assert!(words.contains(&shut.to_owned()), "{words:?}");
        }
        assert_eq!(words.iter().filter(|word| *word == "none").count(), 4);
    }
}
