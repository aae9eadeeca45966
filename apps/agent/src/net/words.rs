//! What the network's papers say and what the mesh says, in the other's words; and what is written down of both.

use std::net::IpAddr;

use mesh::policy::{FlowReport, Ports, Range, Rule, Tables, Why};
use mesh::{Direction, Member, PublicKey, WayKind};
use units::WorkerId;
use wire::audit::{End, FlowRecord, PathName, Side, StreamRecord, Traffic, Verdict};
use wire::paper::{Heading, Membership, MeshKey, NodeKey, PolicyPaper, PolicyRule, SuiteName};
use wire::{ServiceProto, ServiceVisibility, Time};

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

/// What is written down of a connection that node `me` saw, whose packets went this way.
pub(super) fn flow_record(report: &FlowReport, me: PublicKey, way: Option<WayKind>) -> FlowRecord {
    let traffic =
        |count: mesh::policy::Count| Traffic { packets: count.packets, bytes: count.bytes };
    let (here, there) = (MeshKey(me.0), MeshKey(report.peer.0));
    let near = (here, report.local, report.local_port, traffic(report.sent));
    let far = (there, report.remote, report.remote_port, traffic(report.received));
    let (by, source, target): (End, Seen, Seen) = match report.began {
        Direction::Out => (End::Source, near, far),
        Direction::In => (End::Target, far, near),
    };
    FlowRecord {
        by,
        start: Time(report.start),
        end: Time(report.end),
        source_key: source.0,
        target_key: target.0,
        protocol: report.protocol,
        source: source.1,
        source_port: source.2,
        target: target.1,
        target_port: target.2,
        forth: source.3,
        back: target.3,
        verdict: verdict(report.why),
        grant: report.allowed.map(|allowed| allowed.grant),
        line: report.allowed.map(|allowed| allowed.line),
        policy: report.version,
        path: way.map_or(PathName::None, path_name),
        part: report.part,
    }
}

/// One end of a connection: its key, its address, its port, and what it sent.
type Seen = (MeshKey, IpAddr, u16, Traffic);

const fn verdict(why: Why) -> Verdict {
    match why {
        Why::Continues => Verdict::Continues,
        Why::Closed => Verdict::Closed,
        Why::Idle => Verdict::Idle,
        Why::Revoked => Verdict::Revoked,
        Why::Displaced => Verdict::Displaced,
        Why::Stopped => Verdict::Stopped,
        Why::TooMany => Verdict::TooMany,
    }
}

const fn path_name(way: WayKind) -> PathName {
    match way {
        WayKind::Direct => PathName::Direct,
        WayKind::Relayed => PathName::RelayUdp,
        WayKind::Stream => PathName::RelayTcp,
        WayKind::Hop => PathName::Via,
    }
}

/// A way, as the control plane is told of it.
pub(super) const fn way_kind(way: WayKind) -> wire::WayKind {
    match way {
        WayKind::Direct => wire::WayKind::Direct,
        // Another member is a relay to this one; the words beside it say so.
        WayKind::Relayed | WayKind::Hop => wire::WayKind::Relayed,
        WayKind::Stream => wire::WayKind::Stream,
    }
}

/// What is written down of a stream that node `node` served over a line to `relay`.
pub(super) fn stream_record(
    record: &tunnel::StreamRecord,
    relay: NodeKey,
    node: NodeKey,
    worker: WorkerId,
) -> StreamRecord {
    StreamRecord { worker: Some(worker), ..trunk::told(record, Side::Node, relay, node) }
}

/// What visitors speak.
pub(super) const fn proto(proto: ServiceProto) -> tunnel::Proto {
    match proto {
        ServiceProto::Http => tunnel::Proto::Http,
        ServiceProto::Tls => tunnel::Proto::Tls,
        ServiceProto::Ssh => tunnel::Proto::Ssh,
        ServiceProto::Tcp => tunnel::Proto::Tcp,
        ServiceProto::Udp => tunnel::Proto::Udp,
    }
}

/// Who may visit: the relay knows members of a project as owners of the rental.
pub(super) const fn visibility(visibility: ServiceVisibility) -> tunnel::Visibility {
    match visibility {
        ServiceVisibility::Private => tunnel::Visibility::Members,
        ServiceVisibility::Public => tunnel::Visibility::Public,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mesh::policy::{Allowed, Count, Question};
    use units::{MeshId, Timestamp};
    use wire::paper::{AddressRange, PortRange};

    use super::*;

    const AT: fn(u64) -> Timestamp = Timestamp::from_millis;

    fn report(began: Direction, why: Why) -> FlowReport {
        FlowReport {
            start: AT(5),
            end: AT(9),
            peer: PublicKey([2; 32]),
            began,
            local: "100.64.0.16".parse().unwrap(),
            remote: "100.64.0.17".parse().unwrap(),
            protocol: 6,
            local_port: 1_000,
            remote_port: 2_000,
            sent: Count { packets: 3, bytes: 300 },
            received: Count { packets: 4, bytes: 400 },
            allowed: Some(Allowed { grant: 1, line: 7 }),
            version: 11,
            part: 2,
            why,
        }
    }

    #[test]
    fn who_began_is_the_source_whichever_end_writes() {
        let me = PublicKey([1; 32]);
        let out = flow_record(&report(Direction::Out, Why::Closed), me, Some(WayKind::Direct));
        let text = |record: &FlowRecord| {
            let FlowRecord { source, source_port, target, target_port, forth, back, .. } = record;
            let bytes = (forth.bytes, back.bytes);
            format!("{source}:{source_port} {target}:{target_port} {bytes:?}")
        };
        assert_eq!(
            (out.by, out.path, out.verdict),
            (End::Source, PathName::Direct, Verdict::Closed)
        );
        assert_eq!(text(&out), "100.64.0.16:1000 100.64.0.17:2000 (300, 400)");
        assert_eq!((out.source_key, out.target_key), (MeshKey([1; 32]), MeshKey([2; 32])));
        assert_eq!((out.grant, out.line, out.policy, out.part), (Some(1), Some(7), 11, 2));
        let into = flow_record(&report(Direction::In, Why::Idle), me, None);
        assert_eq!((into.by, into.path), (End::Target, PathName::None));
        assert_eq!(text(&into), "100.64.0.17:2000 100.64.0.16:1000 (400, 300)");
        assert_eq!((into.source_key, into.target_key), (MeshKey([2; 32]), MeshKey([1; 32])));
    }

    #[test]
    fn every_reason_and_every_way_has_its_word() {
        let reasons = [
            (Why::Continues, Verdict::Continues),
            (Why::Closed, Verdict::Closed),
            (Why::Idle, Verdict::Idle),
            (Why::Revoked, Verdict::Revoked),
            (Why::Displaced, Verdict::Displaced),
            (Why::Stopped, Verdict::Stopped),
            (Why::TooMany, Verdict::TooMany),
        ];
        for (why, expected) in reasons {
            assert_eq!(verdict(why), expected);
        }
        let ways = [
            (WayKind::Direct, PathName::Direct, wire::WayKind::Direct),
            (WayKind::Relayed, PathName::RelayUdp, wire::WayKind::Relayed),
            (WayKind::Stream, PathName::RelayTcp, wire::WayKind::Stream),
            (WayKind::Hop, PathName::Via, wire::WayKind::Relayed),
            (WayKind::Hop, PathName::Via, wire::WayKind::Relayed),
        ];
        for (way, path, told) in ways {
            assert_eq!((path_name(way), way_kind(way)), (path, told));
        }
    }

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
    fn a_stream_is_written_down_as_it_was() {
        let record = tunnel::StreamRecord {
            session: "00ff".to_owned(),
            stream: 2,
            service: "ssh-1".parse().unwrap(),
            visitor: "192.0.2.1:5".parse().unwrap(),
            subject: "acc".to_owned(),
            opened: AT(1),
            closed: AT(2),
            traffic: tunnel::Traffic { to_service: 3, to_visitor: 4 },
            is_whole: true,
        };
        let (relay, node) = (NodeKey([1; 32]), NodeKey([2; 32]));
        let written = stream_record(&record, relay, node, WorkerId::from_bits(9));
        assert_eq!((written.side, written.relay, written.node), (Side::Node, relay, node));
        assert_eq!((written.to_service, written.to_visitor), (3, 4));
        assert_eq!((written.service.as_str(), written.stream), ("ssh-1", 2));
    }
}
