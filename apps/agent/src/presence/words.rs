//! What papers say, in the mesh's words, and the mesh's in theirs.

use mesh::policy::{Ports, Range, Rule, Tables};
use mesh::{Direction, Member, PublicKey, WayKind};
use wire::paper::{Heading, Membership, PolicyPaper, PolicyRule, SuiteName};

/// The member that a membership names.
pub(super) fn member(paper: &Membership) -> Member {
    Member {
        mesh: paper.mesh,
        node: paper.node.0,
        key: PublicKey(paper.x25519.0),
        addresses: vec![paper.v4.into(), paper.v6.into()],
        opens_fast: paper.suites.contains(&SuiteName::Aes256gcm),
        relays: paper.relays.iter().map(|relay| mesh::CallSign::of_node(&relay.0)).collect(),
        serial: paper.serial,
        expires: paper.expires.0,
    }
}

/// The tables of a policy, which allow nothing any more once it has expired.
pub(super) fn tables(paper: &PolicyPaper) -> Tables {
    Tables::new(paper.version, &rules(paper)).until(paper.expires.0)
}

/// The rules of a policy.
pub(super) fn rules(paper: &PolicyPaper) -> Vec<Rule> {
    paper.rules.iter().map(rule).collect()
}

fn rule(rule: &PolicyRule) -> Rule {
    let range = |range: &wire::paper::AddressRange| Range::new(range.first(), range.last());
    Rule {
        grant: rule.grant,
        line: rule.line,
        heading: match rule.heading {
            Heading::In => Direction::In,
            Heading::Out => Direction::Out,
        },
        // A range that is one on the wire is one here: both are of one family, and the right way round.
        local: rule.local.iter().filter_map(range).collect(),
        remote: rule.remote.iter().filter_map(range).collect(),
        ports: rule
            .ports
            .iter()
            .map(|ports| Ports { protocol: ports.protocol, first: ports.first, last: ports.last })
            .collect(),
        via: rule.via.iter().map(|key| PublicKey(key.0)).collect(),
        app: rule
            .app
            .iter()
            .map(|(name, values)| (name.clone(), values.iter().map(ToString::to_string).collect()))
            .collect(),
    }
}

/// A way, as the control plane is told of it.
pub(super) const fn way_kind(way: WayKind) -> wire::WayKind {
    match way {
        WayKind::Direct => wire::WayKind::Direct,
        WayKind::Relayed => wire::WayKind::Relayed,
        WayKind::Stream => wire::WayKind::Stream,
        WayKind::Hop => wire::WayKind::Hop,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::IpAddr;

    use mesh::policy::{Allowed, Question};
    use units::{MeshId, Timestamp};
    use wire::Time;
    use wire::paper::{AddressRange, MeshKey, NodeKey, PortRange};

    use super::*;

    const AT: fn(u64) -> Timestamp = Timestamp::from_millis;

    #[test]
    fn a_policy_on_paper_is_the_policy_at_the_node() {
        let range = |text: &str| text.parse::<AddressRange>().unwrap();
        let rule = PolicyRule {
            grant: 0,
            line: 3,
            heading: Heading::In,
            local: vec![range("100.64.0.16")],
            remote: vec![range("100.64.0.17-100.64.0.19")],
            ports: vec![PortRange { protocol: 6, first: 22, last: 23 }],
            via: Vec::new(),
            app: BTreeMap::new(),
        };
        let paper = PolicyPaper {
            mesh: MeshId::from_bits(1),
            node: NodeKey([1; 32]),
            version: 4,
            rules: vec![rule],
            issued: Time(AT(0)),
            expires: Time(AT(1)),
        };
        let tables = tables(&paper);
        let asked = |heading, remote: &str, port| {
            let local = "100.64.0.16".parse().unwrap();
            let remote = remote.parse().unwrap();
            tables.judge(&Question { heading, local, remote, protocol: 6, port })
        };
        let allowed = Some(Allowed { grant: 0, line: 3 });
        assert_eq!(asked(Direction::In, "100.64.0.18", 22), allowed);
        assert_eq!(asked(Direction::In, "100.64.0.20", 22), None);
        assert_eq!(asked(Direction::In, "100.64.0.18", 24), None);
        assert_eq!(asked(Direction::Out, "100.64.0.18", 22), None);
        assert_eq!(tables.version(), 4);
    }

    #[test]
    fn a_membership_is_a_member_of_the_mesh() {
        let mesh = MeshId::from_bits(1);
        let node = NodeKey([7; 32]);
        let v6 = wire::paper::mesh_v6(mesh, &node);
        let paper = Membership {
            mesh,
            node,
            x25519: MeshKey([3; 32]),
            name: "node-1".parse().unwrap(),
            v4: "100.64.0.17".parse().unwrap(),
            v6,
            groups: ["group:nodes".to_owned()].into(),
            tags: ["tag:worker".to_owned()].into(),
            suites: vec![SuiteName::Aes256gcm, SuiteName::Wireguard],
            relays: vec![NodeKey([9; 32])],
            serial: 12,
            issued: Time(AT(0)),
            expires: Time(AT(8)),
        };
        let member = member(&paper);
        assert_eq!(member.addresses, [IpAddr::from(paper.v4), v6.into()]);
        assert_eq!((member.node, member.key), ([7; 32], PublicKey([3; 32])));
        assert_eq!((member.opens_fast, member.serial, member.expires), (true, 12, AT(8)));
        assert_eq!(member.relays, [mesh::CallSign::of_node(&[9; 32])]);
        let slow = Membership { suites: vec![SuiteName::Wireguard], ..paper };
        assert!(!super::member(&slow).opens_fast);
    }

    #[test]
    fn every_way_has_its_word() {
        let ways = [
            (WayKind::Direct, wire::WayKind::Direct),
            (WayKind::Relayed, wire::WayKind::Relayed),
            (WayKind::Stream, wire::WayKind::Stream),
            (WayKind::Hop, wire::WayKind::Hop),
        ];
        for (way, told) in ways {
            assert_eq!(way_kind(way), told);
        }
    }
}
