//! Where a relay may say it is. Every node and every client dials what stands in the list, so what anybody but the
//! operator names must be an address of the public Internet: nobody is sent to a neighbor of theirs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use wire::RelayRequest;

/// Why nobody is sent where a relay says it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoPlace {
    /// Nothing listens at port 0.
    #[error("{0} has no port: nothing listens at port 0")]
    Port(SocketAddr),
    /// It leads to another place from each network, or to none.
    #[error(
        "{0} is no address of the public Internet; only the operator's relays may have others, unless the server \
             runs with --private-relays"
    )]
    NotPublic(SocketAddr),
    /// Nobody has shown that the domain is its.
    #[error("only the operator's relays may have a domain; leave it out")]
    Domain,
}

/// Refuses places that nobody is to be sent to. `is_operator` is whether the operator tells for the relay,
/// `are_private` whether the network is one where relays may be at any address.
///
/// # Errors
/// The first that is one.
pub(crate) fn check(
    told: &RelayRequest,
    is_operator: bool,
    are_private: bool,
) -> Result<(), NoPlace> {
    if !is_operator && told.domain.is_some() {
        return Err(NoPlace::Domain);
    }
    for at in told.tcp.iter().chain(&told.udp) {
        if at.port() == 0 {
            return Err(NoPlace::Port(*at));
        }
        if !is_operator && !are_private && !is_public(at.ip()) {
            return Err(NoPlace::NotPublic(*at));
        }
    }
    Ok(())
}

fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

/// Whether it is in none of the blocks for special purposes (RFC 6890 and its registry).
fn is_public_v4(ip: Ipv4Addr) -> bool {
    let is_special = match ip.octets() {
        // "This" network, shared by carriers, protocols, benchmarks, multicast and what is reserved after it.
        [0 | 224.., ..] | [100, 64..=127, ..] | [192, 0, 0, _] | [198, 18 | 19, ..] => true,
        _ => ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_documentation(),
    };
    !is_special
}

/// Whether it is global unicast, and neither for documents, nor for protocols, nor an IPv4 address in disguise.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let is_special = match ip.segments() {
        [0x2001, 0..=0x01ff | 0x0db8, ..] | [0x2002, ..] | [0x3fff, 0..=0x0fff, ..] => true,
        [first, ..] => !(0x2000..=0x3fff).contains(&first),
    };
    !is_special
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(at: &str, domain: Option<&str>) -> RelayRequest {
        RelayRequest {
            key: wire::paper::NodeKey([1; 32]),
            statement: String::new(),
            worker: None,
            tcp: vec!["8.9.10.11:443".parse().unwrap()],
            udp: vec![at.parse().unwrap()],
            domain: domain.map(ToOwned::to_owned),
            load: wire::RelayLoad::default(),
            drains: false,
        }
    }

    #[test]
    fn only_the_operator_names_addresses_that_are_not_public() {
        let specials = "0.0.0.0 10.1.2.3 100.64.0.1 100.127.255.255 127.0.0.1 169.254.169.254 172.16.0.1 \
            192.0.0.8 192.0.2.1 192.168.1.1 198.18.0.1 198.19.9.9 198.51.100.1 203.0.113.1 224.0.0.1 \
            240.0.0.1 255.255.255.255 [::] [::1] [::ffff:10.0.0.1] [64:ff9b::a00:1] [fe80::1] [fd00::1] \
            [ff02::1] [2001::1] [2001:db8::1] [2002:a00:1::] [3fff::1]";
        for ip in specials.split_whitespace() {
            let told = told(&format!("{ip}:443"), None);
            assert_eq!(check(&told, false, false), Err(NoPlace::NotPublic(told.udp[0])), "{ip}");
            assert_eq!(check(&told, true, false), Ok(()), "{ip}");
            assert_eq!(check(&told, false, true), Ok(()), "{ip} in a network of its own");
        }
        for ip in
            "1.2.3.4 100.63.1.1 100.128.0.1 172.32.0.1 192.0.1.1 223.1.1.1 [2600::1] [2001:200::1]"
                .split_whitespace()
        {
            assert_eq!(check(&told(&format!("{ip}:443"), None), false, false), Ok(()), "{ip}");
        }
    }

    #[test]
    fn nobody_names_port_0_and_only_the_operator_a_domain() {
        let nowhere = told("1.2.3.4:0", None);
        for is_operator in [false, true] {
            assert_eq!(check(&nowhere, is_operator, true), Err(NoPlace::Port(nowhere.udp[0])));
        }
        let named = told("1.2.3.4:443", Some("relay.example.org"));
        assert_eq!(check(&named, false, true), Err(NoPlace::Domain));
        assert_eq!(check(&named, true, false), Ok(()));
    }
}
