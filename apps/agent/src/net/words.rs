//! What services are and what crossed, in the words that it is told and written down in.

use std::net::IpAddr;

use mesh::policy::{FlowReport, Why};
use mesh::{Direction, PublicKey, WayKind};
use units::WorkerId;
use wire::audit::{End, FlowRecord, PathName, Side, StreamRecord, Traffic, Verdict};
use wire::paper::{MeshKey, NodeKey};
use wire::{ServiceProto, ServiceVisibility, Time};

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
    use mesh::policy::{Allowed, Count};
    use units::Timestamp;

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
            (WayKind::Direct, PathName::Direct),
            (WayKind::Relayed, PathName::RelayUdp),
            (WayKind::Stream, PathName::RelayTcp),
            (WayKind::Hop, PathName::Via),
        ];
        for (way, path) in ways {
            assert_eq!(path_name(way), path);
        }
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
