//! What a node with its own network reaches beside its mesh: the Internet, and nothing of its supplier's.
//!
//! A program of its own (`pasta`, of the package `passt`) stands between a device in the node's network and sockets of
//! the machine. Rules in the node's network say what gets as far as that device: the node has no privilege to change
//! them, and routes alone would not do, since a program may choose a device against them.
//!
//! # Invariants
//! - Rules stand before the device does.
//! - Not reached: private and shared address space, link-local addresses (metadata of clouds with them), the machine's
//!   own addresses and those at which others see it, networks that it is in, its loopback. Names are asked of the
//!   machine's resolver, and of nobody else near it.
//! - What leads out is on record before it does anything: an agent that dies leaves nobody behind it does not know of.
//! - Nothing from outside reaches the node this way, and nobody in the node's mesh the outside: the node is no router.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{ChildStdin, Command, Output, Stdio};

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

/// Addresses with the same first bits.
type Block = (Ipv4Addr, u8);
/// How many bits an address has.
const ADDRESS_BITS: u8 = 32;
/// A network that a machine is in is not larger: one that is, up to all addresses there are, stands for a line that has
/// nobody but a gateway at its other end.
const NEAR_BITS_MIN: u8 = 8;

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
        Err(fault) if fault.kind() == ErrorKind::NotFound => {
            Err(format!("there is no {program} (hint: install {package})"))
        }
        Err(fault) => Err(format!("{program} does not run: {fault} (hint: install {package})")),
    };
    has("pasta", "passt").and_then(|()| has("nft", "nftables"))
}

/// The rules of a node's network, which keep it from what is this machine's at the moment, and from where others
/// see it.
pub(in crate::runtime) fn rules(seen_at: &BTreeSet<Ipv4Addr>) -> Result<String> {
    let trie = fs::read_to_string("/proc/net/fib_trie").context("list this machine's addresses")?;
    let mut own = own_blocks(&trie);
    own.extend(seen_at.iter().map(|address| (*address, ADDRESS_BITS)));
    Ok(rules_beside(&own))
}

fn rules_beside(own: &BTreeSet<Block>) -> String {
    let near = NEAR.join(", ");
    let mut rules = format!(
        "table inet iog {{\n chain out {{\n  type filter hook output priority 0; policy accept;\n  \
         oifname \"{OUT}\" goto outside\n }}\n chain through {{\n  \
         type filter hook forward priority 0; policy drop;\n }}\n chain outside {{\n  \
         ip daddr {NAMES} meta l4proto {{ tcp, udp }} th dport 53 accept\n  \
         ip daddr {{ {near} }} reject with icmp type admin-prohibited\n"
    );
    for (address, bits) in own {
        // Writing to a string cannot fail.
        let _ =
            writeln!(rules, "  ip daddr {address}/{bits} reject with icmp type admin-prohibited");
    }
    rules.push_str("  meta nfproto ipv4 accept\n  drop\n }\n}\n");
    rules
}

/// The local addresses of `/proc/net/fib_trie` but for loopback, and the networks that this machine is in.
fn own_blocks(trie: &str) -> BTreeSet<Block> {
    let mut last = None;
    let mut found = BTreeSet::new();
    for line in trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if let Some(bits) = block_of(line) {
            found.extend(last.filter(|address| !address.is_loopback()).map(|it| (it, bits)));
        }
    }
    found
}

/// How many bits are given of what such a line says is this machine's, or reached without a gateway.
fn block_of(line: &str) -> Option<u8> {
    let (bits, kind) = line.strip_prefix('/')?.split_once(' ')?;
    let bits = bits.parse().ok()?;
    let is_own = bits == ADDRESS_BITS && kind.starts_with("host LOCAL");
    let is_near = bits >= NEAR_BITS_MIN && kind.starts_with("link UNICAST");
    (is_own || is_near).then_some(bits)
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

/// What is to lead out of a node's network, and waits to be told to. It ends if this is dropped untold.
#[derive(Debug)]
pub(in crate::runtime) struct Poised {
    /// The process that it is, and will be.
    pub(in crate::runtime) process: Process,
    to: ChildStdin,
}

impl Poised {
    /// Has it lead out.
    pub(in crate::runtime) fn go(mut self) -> Result<()> {
        self.to.write_all(b"\n").context("tell pasta to begin")
    }
}

/// Prepares to lead out of a node's network. What it says of itself goes to the file `log`.
pub(in crate::runtime) fn lead_out(
    porter: &Porter,
    user: Option<u32>,
    mark: (&str, &Path),
    log: &Path,
) -> Result<Poised> {
    let own = |name: &str| format!("/proc/{}/ns/{name}", porter.pid());
    let network = File::open(own("net")).context("find the node's network")?;
    let log = File::create(log).context("open the log of what leads out")?;
    let mut words = user.map(privileged).unwrap_or_default();
    words.extend(plain(user.is_none().then(|| own("user"))));
    let mut command = when_told(&words, network);
    poised(command.env(mark.0, mark.1).stderr(log))
}

/// A command that begins when it is told to, by a line, with this file as its input.
fn when_told(words: &[String], input: File) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", r#"read -r _ || exit 1; exec "$@" <&1 >/dev/null"#, "sh"]).args(words);
    command.env_clear().env("PATH", PATH).current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::from(input));
    command
}

fn poised(command: &mut Command) -> Result<Poised> {
    // A signal from the agent's terminal is not for it: it outlives the agent, as the node does.
    std::os::unix::process::CommandExt::process_group(command, 0);
    let mut child = command.spawn().context("start pasta")?;
    let to = child.stdin.take().context("tell pasta to begin")?;
    let process = Process::with_pid(child.id()).context("find pasta")?;
    Ok(Poised { process, to })
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
    use std::time::Duration;

    use super::*;
    use crate::runtime::process::wait_until;
    use crate::runtime::scratch::Scratch;

    #[test]
    fn the_machines_own_addresses_are_found_and_cannot_be_reached() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     \
                    |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 203.0.113.7\n        /32 host LOCAL\n     \
                    |-- 203.0.113.255\n        /32 link BROADCAST\nLocal:\n     |-- 203.0.113.7\n        \
                    /32 host LOCAL\n";
        let own = own_blocks(trie);
        assert_eq!(own, BTreeSet::from([(Ipv4Addr::new(203, 0, 113, 7), 32)]));
        let rules = rules_beside(&own);
        let place = |what: &str| rules.find(what).unwrap();
        assert!(rules.contains("hook forward priority 0; policy drop;"), "{rules}");
        assert!(place("192.0.0.3 meta l4proto") < place("192.168.0.0/16"), "{rules}");
        assert!(place("ip daddr 203.0.113.7/32 reject") < place("nfproto ipv4 accept"), "{rules}");
    }

    #[test]
    fn networks_that_the_machine_is_in_are_not_the_internet() {
        let check = |line: &str, bits| assert_eq!(block_of(line), bits, "{line}");
        check("/24 link UNICAST", Some(24));
        check("/32 host LOCAL", Some(32));
        check("/8 host LOCAL", None);
        check("/24 universe UNICAST", None);
        check("/0 link UNICAST", None);
        check("/1 link UNICAST", None);
        check("/32 link BROADCAST", None);
        check("+-- 203.0.113.0/24 2 0 2", None);
        let trie = "Main:\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     |-- 203.0.113.0\n        \
                    /24 link UNICAST\n        /25 link UNICAST\n";
        let net = Ipv4Addr::new(203, 0, 113, 0);
        assert_eq!(own_blocks(trie), BTreeSet::from([(net, 24), (net, 25)]));
    }

    #[test]
    fn nothing_leads_out_before_it_is_told_to() {
        let scratch = Scratch::new("egress");
        let (input, said) = (scratch.path().join("input"), scratch.path().join("said"));
        std::fs::write(&input, "").unwrap();
        let words = ["sh", "-c", &format!("readlink /proc/self/fd/0 > {}", said.display())];
        let words = words.map(str::to_owned);
        let start = || poised(&mut when_told(&words, File::open(&input).unwrap())).unwrap();
        let ends = |process: Process| {
            assert!(wait_until(Duration::from_secs(30), || !process.is_alive()));
            process.reap();
        };
        let never = start();
        let process = never.process;
        assert!(process.is_alive());
        drop(never);
        ends(process);
        assert!(!said.exists(), "whoever started it was gone before it was on record");
        let told = start();
        let process = told.process;
        told.go().unwrap();
        ends(process);
        assert_eq!(std::fs::read_to_string(&said).unwrap().trim(), input.to_str().unwrap());
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
