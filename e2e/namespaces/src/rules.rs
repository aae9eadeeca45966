//! The rules of one node's packet filter, as text for `nft`. They are written anew as a whole after each change, and
//! the kernel takes them in one step; what a full cone has learned stays.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::IpAddr;

use crate::layout::Laid;
use crate::plan::{Kind, Nat};
use crate::state::{Blocked, NodeState};

/// Where mappings that do not keep the port begin, and how many there are: above what hosts use of themselves.
const SHIFTED_FIRST: u16 = 20_000;
const SHIFTED_COUNT: u16 = 40_000;

/// The rules, or nothing for a node that needs none.
pub(crate) fn rules(node: &Laid, state: &NodeState) -> String {
    let mut text = String::new();
    if let Kind::Router(nat) = node.kind
        && nat.translates()
    {
        text += &translation(node, nat, state.rebound);
    }
    text += &filter(node, state);
    text
}

/// Whether a node has any rule from the beginning: without, the kernel does not even look up connections.
pub(crate) fn has_rules(node: &Laid) -> bool {
    node.nat().is_some_and(Nat::translates)
}

fn translation(node: &Laid, nat: Nat, rebound: u32) -> String {
    let mut out = table("ip", "translate");
    let learns = matches!(nat, Nat::FullCone | Nat::AddressRestricted);
    if learns {
        // By the outer port: who is inside, and whom they have sent to.
        out += "  map inside { type inet_service : ipv4_addr . inet_service; size 65535; flags dynamic; }\n";
        out += "  set sent { type inet_service . ipv4_addr; size 65535; flags dynamic; }\n";
    }
    out += "  chain before { type nat hook prerouting priority dstnat; policy accept;\n";
    let known = match nat {
        Nat::None | Nat::Easy | Nat::Symmetric => None,
        Nat::FullCone => Some(""),
        Nat::AddressRestricted => Some("udp dport . ip saddr @sent "),
    };
    if let Some(known) = known {
        line(
            &mut out,
            format_args!("iifname \"wan*\" {known}dnat ip addr . port to udp dport map @inside"),
        );
    }
    out += "  }\n  chain after { type nat hook postrouting priority srcnat; policy accept;\n";
    for wire in &node.uplinks {
        if let Some(v4) = wire.v4 {
            let how = mapping(nat, v4, rebound);
            line(&mut out, format_args!("oifname \"{}\" {how}", wire.child_end));
        }
    }
    line(&mut out, format_args!("oifname \"wan*\" masquerade"));
    out += "  }\n";
    if learns {
        out +=
            "  chain learn { type filter hook postrouting priority srcnat + 10; policy accept;\n";
        line(
            &mut out,
            format_args!(
                "oifname \"wan*\" meta l4proto udp \
                 update @inside {{ udp sport : ct original ip saddr . ct original proto-src }}"
            ),
        );
        line(
            &mut out,
            format_args!(
                "oifname \"wan*\" meta l4proto udp update @sent {{ udp sport . ip daddr }}"
            ),
        );
        out += "  }\n";
    }
    out + "}\n"
}

/// How an outer port is chosen. One that is not kept follows from the inner address and port, so that it is the same
/// whatever the destination, and from how often mappings were forgotten.
fn mapping(nat: Nat, outer: std::net::Ipv4Addr, rebound: u32) -> String {
    match nat {
        Nat::Symmetric => "masquerade fully-random".to_owned(),
        Nat::None | Nat::FullCone | Nat::AddressRestricted | Nat::Easy if rebound == 0 => {
            "masquerade".to_owned()
        }
        Nat::None | Nat::FullCone | Nat::AddressRestricted | Nat::Easy => format!(
            "meta l4proto {{ tcp, udp }} snat to {outer}:jhash ip saddr . th sport mod {SHIFTED_COUNT} \
             seed {rebound} offset {SHIFTED_FIRST}"
        ),
    }
}

fn filter(node: &Laid, state: &NodeState) -> String {
    let mut out = table("inet", "sieve");
    blocked_chain(&mut out, &state.blocked);
    out += "  chain first { type filter hook prerouting priority raw; policy accept;\n";
    for name in &state.dead_ends {
        line(&mut out, format_args!("iifname \"{name}\" drop"));
    }
    match_addresses(&mut out, "saddr", &[&state.severed, &state.unheard]);
    match_addresses(&mut out, "daddr", &[&state.severed]);
    out += "  }\n  chain sent { type filter hook output priority raw; policy accept;\n";
    for name in &state.dead_ends {
        line(&mut out, format_args!("oifname \"{name}\" drop"));
    }
    match_addresses(&mut out, "daddr", &[&state.severed]);
    if !state.silent.is_empty() {
        line(
            &mut out,
            format_args!("icmp type destination-unreachable icmp code frag-needed drop"),
        );
        line(&mut out, format_args!("icmpv6 type packet-too-big drop"));
    }
    if node.kind == Kind::Host {
        // Its own tunnels and its loopback are its own affair.
        line(&mut out, format_args!("oifname \"eth*\" jump blocked"));
    }
    out += "  }\n  chain through { type filter hook forward priority filter; policy accept;\n";
    for name in &state.dead_ends {
        line(&mut out, format_args!("oifname \"{name}\" drop"));
    }
    line(&mut out, format_args!("jump blocked"));
    if let Some(nat) = node.nat()
        && nat.translates()
    {
        guard(&mut out, nat);
    }
    out += "  }\n  chain to_us { type filter hook input priority filter; policy accept;\n";
    if node.nat().is_some_and(Nat::translates) {
        // A packet that comes too early must leave no trace: the router's own connection would take the port, and the
        // mapping that was meant to have it would get another.
        line(
            &mut out,
            format_args!("iifname \"wan*\" meta l4proto {{ tcp, udp }} ct state new drop"),
        );
    }
    if node.kind == Kind::Host {
        line(&mut out, format_args!("iifname \"eth*\" jump blocked"));
    }
    out + "  }\n}\n"
}

/// Nobody comes in who was not called, but by what the kind of translation lets in.
fn guard(out: &mut String, nat: Nat) {
    line(out, format_args!("ct state established,related accept"));
    line(out, format_args!("ct status dnat accept"));
    line(out, format_args!("iifname != \"wan*\" accept"));
    if nat == Nat::FullCone {
        line(out, format_args!("meta nfproto ipv6 meta l4proto udp accept"));
    }
    line(out, format_args!("meta l4proto ipv6-icmp accept"));
    line(out, format_args!("drop"));
}

/// Chains see what is blocked by jumping here. Ports are matched one rule each: `nft` 1.0.6 takes two that must both
/// differ for one match of both at once.
fn blocked_chain(out: &mut String, blocked: &Blocked) {
    *out += "  chain blocked {\n";
    match blocked {
        Blocked::Nothing => {}
        Blocked::Udp => line(out, format_args!("meta l4proto udp drop")),
        Blocked::AllButTcp(ports) => {
            for port in ports {
                line(out, format_args!("tcp dport {port} return"));
                line(out, format_args!("tcp sport {port} return"));
            }
            // Without it neighbors are not found.
            line(out, format_args!("meta l4proto ipv6-icmp return"));
            line(out, format_args!("drop"));
        }
    }
    *out += "  }\n";
}

fn match_addresses(out: &mut String, field: &str, cuts: &[&BTreeMap<usize, Vec<IpAddr>>]) {
    let all = || cuts.iter().flat_map(|cut| cut.values().flatten());
    for (family, of_family) in [
        ("ip", all().filter(|ip| ip.is_ipv4()).collect::<Vec<_>>()),
        ("ip6", all().filter(|ip| ip.is_ipv6()).collect()),
    ] {
        let mut texts: Vec<String> = of_family.iter().map(ToString::to_string).collect();
        texts.sort_unstable();
        texts.dedup();
        if !texts.is_empty() {
            line(out, format_args!("{family} {field} {{ {} }} drop", texts.join(", ")));
        }
    }
}

/// A table that exists and is empty, opened. Flushing keeps its sets, so what was learned stays.
fn table(family: &str, name: &str) -> String {
    format!("table {family} {name} {{}}\nflush table {family} {name}\ntable {family} {name} {{\n")
}

fn line(out: &mut String, rule: std::fmt::Arguments<'_>) {
    writeln!(out, "    {rule}").expect("text grows");
}
