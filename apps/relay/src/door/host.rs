//! Which service a host name means.

use tunnel::ServiceName;

/// The service that `host` names at a relay of this domain. Labels left of the domain are joined by `--`, so that
/// `jupyter.node7.<domain>` and `jupyter--node7.<domain>` are the same service; the second form needs no certificate
/// but the one for `*.<domain>`. A port, a dot at the end, and upper case make no difference.
pub(crate) fn service_of(host: &str, domain: &str) -> Option<ServiceName> {
    let host = without_port(host);
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let name = host.strip_suffix(domain)?.strip_suffix('.')?;
    service_named(name)
}

/// The service that a person names at a jump host: a host name as above, or only what stands left of the domain.
pub(crate) fn service_at(host: &str, domain: &str) -> Option<ServiceName> {
    service_of(host, domain).or_else(|| service_named(&host.to_ascii_lowercase()))
}

fn service_named(labels: &str) -> Option<ServiceName> {
    if labels.split('.').any(|label| label.parse::<ServiceName>().is_err()) {
        return None;
    }
    labels.replace('.', "--").parse().ok()
}

/// The host without a port. An address in brackets is no name, and stays what it is.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_means_the_service_left_of_the_domain() {
        let cases = [
            ("jupyter-7q.relay.example", Some("jupyter-7q")),
            ("JUPYTER-7q.Relay.Example.:8443", Some("jupyter-7q")),
            ("jupyter.node7.relay.example", Some("jupyter--node7")),
            ("jupyter--node7.relay.example", Some("jupyter--node7")),
            ("relay.example", None),
            (".relay.example", None),
            ("a..relay.example", None),
            ("evilrelay.example", None),
            ("a.relay.example.evil", None),
            ("a_b.relay.example", None),
            ("[::1]:443", None),
            ("", None),
        ];
        for (host, wanted) in cases {
            let found = service_of(host, "relay.example");
            assert_eq!(found.as_ref().map(ServiceName::as_str), wanted, "{host}");
        }
    }

    #[test]
    fn at_a_jump_host_the_domain_may_be_left_out() {
        for (host, wanted) in [
            ("node7", Some("node7")),
            ("Node7", Some("node7")),
            ("ssh.node7", Some("ssh--node7")),
            ("ssh.node7.relay.example", Some("ssh--node7")),
            ("no service", None),
        ] {
            let found = service_at(host, "relay.example");
            assert_eq!(found.as_ref().map(ServiceName::as_str), wanted, "{host}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_it(host in "\\PC*") {
            let _ = service_of(&host, "relay.example");
            let _ = service_at(&host, "relay.example");
        }
    }
}
