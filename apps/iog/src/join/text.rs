//! What a member says to who started it.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use agent::presence::Papers;
use serde::Serialize;
use units::Name;
use wire::Way;
use wire::paper::Membership;

use super::resolve::Resolves;
use crate::screen::{Ink, Screen};
use crate::table::Table;
use crate::verb::net::status::leads;
use crate::visit::openssh::quoted;

/// What a rental's first node is called.
const HEAD: &str = "head";

/// What members are known by here.
#[derive(Debug)]
pub(super) struct Names {
    /// What the network is called, where it has a name.
    pub(super) called: Option<Name>,
    /// What ssh includes to know them.
    pub(super) ssh: Option<PathBuf>,
}

/// A private network that was entered.
#[derive(Debug, Serialize)]
pub(super) struct Entered {
    interface: String,
    #[serde(flatten)]
    me: Named,
    /// Where programs ask for names of members.
    resolver: Option<Ipv4Addr>,
    /// Whether programs find names there.
    resolves: bool,
    /// Whether programs ask the system's resolver, which would know.
    #[serde(skip)]
    is_asked: bool,
    /// What ssh includes to know the nodes.
    ssh_config: Option<PathBuf>,
    /// What ssh would call the head.
    #[serde(skip)]
    ssh_host: String,
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
        Names { called, ssh }: &Names,
        resolver: Option<(Ipv4Addr, Resolves)>,
    ) -> Self {
        let me = papers.membership.node;
        let others = papers.members.iter().filter(|member| member.node != me);
        Self {
            interface: interface.to_owned(),
            me: Named::of(&papers.membership),
            resolver: resolver.map(|(at, _)| at),
            resolves: matches!(resolver, Some((_, Resolves::Yes))),
            is_asked: !matches!(resolver, Some((_, Resolves::NotAsked))),
            ssh_config: ssh.clone(),
            ssh_host: called.as_ref().map_or_else(|| HEAD.to_owned(), |it| format!("{HEAD}.{it}")),
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

    fn note_of_ssh(&self, config: &Path) -> String {
        let all = quoted(&config.with_file_name("*.config"));
        let host = &self.ssh_host;
        format!(
            "`ssh {host}.mesh` is a shell there once `~/.ssh/config` begins with this line:\n  Include {all}"
        )
    }

    /// What is good to know besides.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = vec![String::new()];
        match (self.resolver, self.resolves) {
            (Some(_), false) if !self.is_asked => {
                notes.push(
                    "systemd-resolved knows members by these names, and programs of this machine do not ask it:\n\
                     /etc/resolv.conf leads elsewhere (`resolvectl status` shows where)."
                        .to_owned(),
                );
            }
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
        notes.extend(self.ssh_config.as_deref().map(|config| self.note_of_ssh(config)));
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
            is_asked: true,
            ssh_config: Some("/home/ada/.config/iog/ssh/networks/rnt_1.config".into()),
            ssh_host: "head.training".to_owned(),
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
