//! `iog net status`: a private network, and the ways between its members.

use std::collections::BTreeMap;

use wire::paper::NodeKey;
use wire::{MemberKind, MemberOfMesh, MeshView, Way, WayKind};

use super::relays::short;
use super::up::Which;
use crate::failure::Failure;
use crate::join;
use crate::screen::{Ink, Screen};
use crate::session::Session;
use crate::show::{clock, count};
use crate::table::Table;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
}

impl Args {
    pub(super) fn run(&self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let (label, path) = self.which.find(session, &client)?;
        let mesh: MeshView = client.get(&path)?;
        let me = session.folder().ok().and_then(|folder| join::known(folder, &label));
        session.show(&mesh, |mesh| text(mesh, me.as_ref(), session.screen))
    }
}

/// A private network, its members and their ways. Whoever has the key `me` is the machine that asks.
pub(crate) fn text(mesh: &MeshView, me: Option<&NodeKey>, screen: Screen) -> String {
    let of = mesh.rental.map_or_else(|| "the operator".to_owned(), |rental| rental.to_string());
    if mesh.mesh.is_none() {
        return format!(
            "{of} has no private network: its nodes use the networks of their hosts.\n"
        );
    }
    let blocks: Vec<&str> =
        [&mesh.v4_block, &mesh.v6_block].into_iter().flatten().map(String::as_str).collect();
    let policy = match mesh.policy_version {
        0 => "the usual one: members reach each other".to_owned(),
        version if mesh.rental.is_some() => format!("version {version} of your project"),
        version => format!("version {version}"),
    };
    let mut text = format!(
        "{}\n  addresses  {}\n  policy     {policy}\n  relays     {}\n\n",
        screen.paint(Ink::Strong, &format!("The private network of {of}")),
        blocks.join("  "),
        count(u64::try_from(mesh.relays.len()).unwrap_or_default(), "relay"),
    );
    let mut members = Table::new(&["MEMBER", "KIND", "IPV4", "IPV6", "HEARD"]);
    if mesh.members.is_empty() {
        text.push_str("Nobody is in it at the moment.\n");
        return text;
    }
    for member in &mesh.members {
        members.row([
            format!("{}.mesh", member.name),
            kind(member, me),
            member.v4.to_string(),
            member.v6.to_string(),
            clock(member.heard),
        ]);
    }
    text.push_str(&members.text(screen));
    let ways = ways(&mesh.members, |_| true);
    if !ways.is_empty() {
        text.push('\n');
        text.push_str(&table(&ways, screen));
    }
    text
}

fn kind(member: &MemberOfMesh, me: Option<&NodeKey>) -> String {
    let kind = match member.kind {
        MemberKind::Node => "node",
        MemberKind::Client => "client",
        MemberKind::Machine => "machine",
    };
    let tags = member.tags.iter().filter(|_| member.kind == MemberKind::Machine);
    let words: Vec<&str> = [kind].into_iter().chain(tags.map(String::as_str)).collect();
    let is_me = me == Some(&member.key);
    format!("{}{}", words.join(" "), if is_me { ", this machine" } else { "" })
}

/// A way from one member to another.
pub(super) struct Between<'a> {
    from: &'a str,
    to: String,
    way: &'a Way,
}

/// The ways between members to those that are wanted.
pub(super) fn ways(
    members: &[MemberOfMesh],
    wanted: impl Fn(&NodeKey) -> bool,
) -> Vec<Between<'_>> {
    let names: BTreeMap<&NodeKey, &str> =
        members.iter().map(|member| (&member.key, member.name.text())).collect();
    let all = members.iter().flat_map(|member| member.ways.iter().map(move |way| (member, way)));
    let all = all.filter(|(_, way)| wanted(&way.peer));
    all.map(|(member, way)| {
        let to = names.get(&way.peer).map(|name| (*name).to_owned());
        let to = to.unwrap_or_else(|| short(&way.peer.to_string()));
        Between { from: member.name.text(), to, way }
    })
    .collect()
}

/// Ways, a line each.
pub(super) fn table(ways: &[Between<'_>], screen: Screen) -> String {
    let mut table = Table::new(&["FROM", "TO", "WAY", ">RTT", ">LOST", "WHY"]);
    for Between { from, to, way } in ways {
        table.row([
            (*from).to_owned(),
            to.clone(),
            leads(way),
            way.rtt_micros.map(millis).unwrap_or_default(),
            crate::show::percent(way.loss_bp),
            way.why.clone(),
        ]);
    }
    table.text(screen)
}

/// Which way it is, in short.
pub(crate) fn leads(way: &Way) -> String {
    let at = way.address.map(|address| format!(" {address}")).unwrap_or_default();
    let over = way.relay.map(|relay| format!(" {}", short(&relay.to_string()))).unwrap_or_default();
    match way.kind {
        WayKind::Direct => format!("direct{at}"),
        WayKind::Relayed => format!("relay{over}"),
        WayKind::Stream => format!("relay{over} by TCP"),
        WayKind::Hop => "a hop".to_owned(),
        WayKind::None => "none".to_owned(),
    }
}

/// A span as people read it.
pub(super) fn millis(micros: u64) -> String {
    format!("{}.{:02} ms", micros / 1_000, micros % 1_000 / 10)
}

#[cfg(test)]
mod tests {
    use units::{MeshId, RentalId};
    use wire::Time;

    use super::*;

    fn way(peer: u8, kind: WayKind, why: &str) -> Way {
        Way {
            peer: NodeKey([peer; 32]),
            kind,
            address: (kind == WayKind::Direct).then(|| "192.0.2.7:51820".parse().unwrap()),
            relay: (kind != WayKind::Direct).then_some(NodeKey([9; 32])),
            rtt_micros: Some(1_234),
            loss_bp: 50,
            why: why.to_owned(),
        }
    }

    fn member(name: &str, key: u8, ways: Vec<Way>) -> MemberOfMesh {
        MemberOfMesh {
            name: name.parse().unwrap(),
            kind: MemberKind::Node,
            tags: std::collections::BTreeSet::new(),
            key: NodeKey([key; 32]),
            v4: [100, 64, 0, key].into(),
            v6: "fd00::1".parse().unwrap(),
            relays: Vec::new(),
            ways,
            since: Time(units::Timestamp::from_millis(0)),
            heard: Time(units::Timestamp::from_millis(0)),
        }
    }

    #[test]
    fn a_network_shows_its_members_and_the_ways_between_them() {
        let mesh = MeshView {
            rental: Some(RentalId::from_bits(1)),
            mesh: Some(MeshId::from_bits(1)),
            v4_block: Some("100.64.0.0/20".to_owned()),
            v6_block: None,
            policy_version: 0,
            members: vec![
                member("node-0", 1, vec![way(2, WayKind::Direct, "best of 3")]),
                member("node-1", 2, vec![way(1, WayKind::Stream, "UDP is blocked")]),
            ],
            relays: Vec::new(),
        };
        insta::assert_snapshot!(text(&mesh, Some(&NodeKey([2; 32])), Screen::PLAIN));
    }

    #[test]
    fn spans_are_in_milliseconds() {
        assert_eq!(millis(0), "0.00 ms");
        assert_eq!(millis(1_009), "1.00 ms");
        assert_eq!(millis(1_010), "1.01 ms");
        assert_eq!(millis(12_345_678), "12345.67 ms");
    }
}
