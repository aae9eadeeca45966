//! What a member says to who started it.

use std::net::{Ipv4Addr, Ipv6Addr};

use agent::presence::Papers;
use serde::Serialize;
use wire::Way;
use wire::paper::Membership;

use crate::screen::{Ink, Screen};
use crate::table::Table;
use crate::verb::net::status::leads;

/// A private network that was entered.
#[derive(Debug, Serialize)]
pub(super) struct Entered {
    interface: String,
    #[serde(flatten)]
    me: Named,
    /// Where programs ask for names of members.
    resolver: Option<Ipv4Addr>,
    /// Whether the system's resolver asks there.
    resolves: bool,
    members: Vec<Named>,
}

/// A member by name.
#[derive(Clone, Debug, Serialize)]
struct Named {
    name: String,
    v4: Ipv4Addr,
    v6: Ipv6Addr,
}

impl Named {
    fn of(member: &Membership) -> Self {
        Self { name: format!("{}.mesh", member.name), v4: member.v4, v6: member.v6 }
    }
}

impl Entered {
    pub(super) fn of(
        papers: &Papers,
        interface: &str,
        resolver: Option<Ipv4Addr>,
        resolves: bool,
    ) -> Self {
        let me = papers.membership.node;
        let others = papers.members.iter().filter(|member| member.node != me);
        Self {
            interface: interface.to_owned(),
            me: Named::of(&papers.membership),
            resolver,
            resolves,
            members: others.map(Named::of).collect(),
        }
    }

    pub(super) fn text(&self, screen: Screen) -> String {
        let Self { interface, me, members, .. } = self;
        let title = format!("This machine is {}", me.name);
        let mut text = format!(
            "{}\n  device     {interface}\n  addresses  {}  {}\n\n",
            screen.paint(Ink::Strong, &title),
            me.v4,
            me.v6,
        );
        if members.is_empty() {
            text.push_str("Nobody else is there yet.\n");
            return text;
        }
        let mut table = Table::new(&["MEMBER", "IPV4", "IPV6"]);
        for Named { name, v4, v6 } in members {
            table.row([name.clone(), v4.to_string(), v6.to_string()]);
        }
        text.push_str(&table.text(screen));
        text
    }

    /// What is good to know besides.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = vec![String::new()];
        match (self.resolver, self.resolves) {
            (Some(_), true) => {
                notes.push("Programs of this machine find members by these names.".to_owned());
            }
            (Some(resolver), false) => {
                notes.push(format!(
                    "Members are known by address. The name server {resolver} knows their names: this system has no\n\
                     systemd-resolved that could be told so, and its /etc/resolv.conf is yours to change."
                ));
            }
            (None, _) => {}
        }
        notes.push("Ctrl-C ends it.".to_owned());
        notes
    }
}

/// Who came and who left, a line each.
pub(super) fn comings(before: &[Membership], after: &[Membership]) -> Vec<String> {
    let is_in = |list: &[Membership], member: &Membership| {
        list.iter().any(|other| (other.node, &other.name) == (member.node, &member.name))
    };
    let left = before.iter().filter(|member| !is_in(after, member));
    let left = left.map(|member| format!("{}.mesh has left", member.name));
    let came = after.iter().filter(|member| !is_in(before, member));
    let came = came.map(|member| format!("{}.mesh is there: {}", member.name, member.v4));
    left.chain(came).collect()
}

/// A line about a way that is other than it was.
pub(super) fn news_of_way(name: &str, way: &Way) -> String {
    let why = if way.why.is_empty() { String::new() } else { format!(" ({})", way.why) };
    format!("{name}.mesh: {}{why}", leads(way))
}

#[cfg(test)]
mod tests {
    use units::{MeshId, Timestamp};
    use wire::paper::{MeshKey, NodeKey, mesh_v4, mesh_v6};
    use wire::{Time, WayKind};

    use super::*;

    fn member(name: &str, at: u16) -> Membership {
        let (mesh, node) = (MeshId::from_bits(1), NodeKey([at.to_le_bytes()[0]; 32]));
        let time = Time(Timestamp::from_millis(0));
        Membership {
            mesh,
            node,
            x25519: MeshKey([1; 32]),
            name: name.parse().unwrap(),
            v4: mesh_v4(mesh, at).unwrap(),
            v6: mesh_v6(mesh, &node),
            groups: Default::default(),
            tags: Default::default(),
            suites: Vec::new(),
            relays: Vec::new(),
            serial: 1,
            issued: time,
            expires: time,
        }
    }

    #[test]
    fn what_was_entered_is_told_with_its_members() {
        let entered = |members: &[Membership], resolves| Entered {
            interface: "iog0".to_owned(),
            me: Named::of(&member("client-1", 2064)),
            resolver: Some(Ipv4Addr::new(100, 64, 0, 1)),
            resolves,
            members: members.iter().map(Named::of).collect(),
        };
        let some = entered(&[member("head", 16), member("node-1", 17)], false);
        let told = format!("{}{}\n", some.text(Screen::PLAIN), some.notes().join("\n"));
        insta::assert_snapshot!(told);
        let alone = entered(&[], true);
        let told = format!("{}{}\n", alone.text(Screen::PLAIN), alone.notes().join("\n"));
        assert!(
            told.contains("Nobody else is there yet.") && told.contains("by these names"),
            "{told}"
        );
    }

    #[test]
    fn who_came_and_who_left_is_told_once() {
        let (head, node) = (member("head", 16), member("node-1", 17));
        let both = [head.clone(), node];
        assert_eq!(comings(&both, &both), [""; 0]);
        assert_eq!(comings(&both, std::slice::from_ref(&head)), ["node-1.mesh has left"]);
        let at = mesh_v4(MeshId::from_bits(1), 17).unwrap();
        assert_eq!(comings(&[head], &both), [format!("node-1.mesh is there: {at}")]);
    }

    #[test]
    fn a_way_is_told_with_its_reason() {
        let way = |kind, why: &str| Way {
            peer: NodeKey([1; 32]),
            kind,
            address: (kind == WayKind::Direct).then(|| "192.0.2.7:9".parse().unwrap()),
            relay: None,
            rtt_micros: None,
            loss_bp: 0,
            why: why.to_owned(),
        };
        assert_eq!(news_of_way("head", &way(WayKind::Direct, "")), "head.mesh: direct 192.0.2.7:9");
        let relayed = news_of_way("head", &way(WayKind::Stream, "UDP does not get through"));
        assert_eq!(relayed, "head.mesh: relay by TCP (UDP does not get through)");
    }
}
