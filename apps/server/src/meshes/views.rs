//! What renters see of their private networks.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use control::Service;
use units::{MeshId, Name, RentalId};
use wire::paper::{NodeKey, mesh_v4_block, mesh_v6_block};
use wire::{
    MemberKind, MemberOfMesh, MeshView, RelayRequest, ServedAt, ServiceProto, ServiceSeen,
    ServiceState, ServiceView, Time, service_name,
};

use super::issue::{proto, visibility};
use super::member::{Member, Mesh, Place};
use super::{Meshes, NetworkOf, ssh};

/// The port of HTTPS, which addresses leave out.
const HTTPS_PORT: u16 = 443;

impl Meshes {
    /// A network: a rental's, or the operator's. `mesh` is absent where nodes use their hosts' networks.
    pub(crate) fn view(
        &self,
        of: NetworkOf,
        mesh: Option<MeshId>,
        policy_version: u64,
    ) -> MeshView {
        let members = self.in_mesh(of, |mesh| mesh.members.values().map(member).collect());
        let rental = match of {
            NetworkOf::Operator => None,
            NetworkOf::Rental(rental) => Some(rental),
        };
        MeshView {
            rental,
            mesh,
            v4_block: mesh.map(mesh_v4_block).map(|(first, bits)| format!("{first}/{bits}")),
            v6_block: mesh.map(mesh_v6_block).map(|(first, bits)| format!("{first}/{bits}")),
            policy_version,
            members: members.unwrap_or_default(),
            relays: self.relays.views(),
        }
    }

    /// A rental's services, by label.
    pub(crate) fn services(
        &self,
        rental: RentalId,
        services: &BTreeMap<Name, Service>,
    ) -> Vec<ServiceView> {
        let of = NetworkOf::Rental(rental);
        let relays = self.in_mesh(of, |mesh| mesh.served_at()).unwrap_or_default();
        let relays = self.relays.places(&relays);
        let views = |mesh: Option<&Mesh>| {
            let view = |(label, service): (&Name, &Service)| {
                let seen = mesh.and_then(|mesh| mesh.seen(label, service.record.node));
                view((rental, label), service, seen, &relays)
            };
            services.iter().map(view).collect()
        };
        self.in_mesh(of, |mesh| views(Some(mesh))).unwrap_or_else(|| views(None))
    }
}

fn member(member: &Member) -> MemberOfMesh {
    let paper = &member.paper;
    MemberOfMesh {
        name: paper.name.clone(),
        kind: match (member.said.place, &member.said.called) {
            (Place::Node(_), _) => MemberKind::Node,
            (Place::Client(_), None) => MemberKind::Client,
            (Place::Client(_), Some(_)) => MemberKind::Machine,
        },
        tags: paper.tags.clone(),
        key: paper.node,
        v4: paper.v4,
        v6: paper.v6,
        relays: paper.relays.clone(),
        ways: member.said.ways.clone(),
        since: Time(member.since),
        heard: Time(member.heard),
    }
}

fn view(
    (rental, label): (RentalId, &Name),
    service: &Service,
    seen: Option<(&Member, Option<&ServiceSeen>)>,
    relays: &BTreeMap<NodeKey, RelayRequest>,
) -> ServiceView {
    let (name, record) = (service_name(label, rental), service.record);
    let (node, seen) = (seen.map(|(node, _)| node.said.key), seen.and_then(|(_, seen)| seen));
    let proto = proto(record.proto);
    let at = seen.map(|seen| seen.at.as_slice()).unwrap_or_default();
    let places = || at.iter().filter_map(|at| Some((*at, relays.get(&at.relay)?)));
    let mut hosts: Vec<String> = Vec::new();
    let mut ports = BTreeSet::new();
    for (at, relay) in places() {
        let host = host(&name, proto, relay);
        hosts.extend(host.filter(|host| !hosts.contains(host)));
        ports.extend(leased(proto, at, relay));
    }
    ServiceView {
        label: label.clone(),
        node: record.node,
        port: record.port,
        proto,
        visibility: visibility(record.is_public),
        wants_proxy_header: record.wants_proxy_header,
        standing: service.is_standing,
        hosts,
        ports,
        host_key: node.filter(|_| proto == ServiceProto::Ssh).map(|key| ssh::openssh(&key)),
        state: seen.map_or(ServiceState::Waiting, |seen| seen.state),
        why: seen.and_then(|seen| seen.why.clone()),
        name,
    }
}

/// Where a service is visited at a relay by name.
fn host(name: &str, proto: ServiceProto, relay: &RelayRequest) -> Option<String> {
    let port = relay.tcp.first()?.port();
    let domain = relay.domain.as_deref();
    match proto {
        ServiceProto::Http if port == HTTPS_PORT => Some(format!("https://{name}.{}", domain?)),
        ServiceProto::Http => Some(format!("https://{name}.{}:{port}", domain?)),
        ServiceProto::Tls => Some(format!("{name}.{}:{port}", domain?)),
        ServiceProto::Ssh => match domain {
            Some(domain) => Some(format!("{domain}:{port}")),
            None => relay.tcp.first().map(ToString::to_string),
        },
        ServiceProto::Tcp | ServiceProto::Udp => None,
    }
}

fn leased(proto: ServiceProto, at: ServedAt, relay: &RelayRequest) -> Option<SocketAddr> {
    let has_ports = matches!(proto, ServiceProto::Tcp | ServiceProto::Udp);
    let port = at.port.filter(|_| has_ports)?;
    Some(SocketAddr::new(relay.tcp.first()?.ip(), port))
}
