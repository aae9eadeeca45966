//! What may pass in a private network: the project's policy file, worked out for each member.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use control::NetworkPolicy;
use mesh::PublicKey;
use mesh::policy::{Compiled, Member, Policy, Range, Rule};
use wire::paper::{
    AddressRange, Heading, Membership, MeshKey, POLICY_RANGES_MAX, POLICY_RULES_MAX, PolicyRule,
    PortRange,
};

use crate::limits::MESH_CLIENTS_MAX;

/// What holds in a private network of whose policy nobody has said anything: its members reach each other.
pub(crate) const USUAL: &str = r#"{
  // Members of a rental's private network reach each other. Nothing else passes.
  "grants": [{ "src": ["*"], "dst": ["*"], "ip": ["*"] }],
}
"#;

/// Why a text cannot be a policy, with the line where that shows; all tests that fail, in one text. Or that it comes to
/// too much in a network of so many nodes, and as many clients as there may be.
pub(crate) fn check(text: &str, nodes: usize) -> Result<(), String> {
    let policy = Policy::parse(text).map_err(|why| why.to_string())?;
    let failures = policy.failures();
    if !failures.is_empty() {
        return Err(failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
    }
    let members = supposed(nodes);
    let compiled = policy.resolve_within(&members, RANGES_MAX).ok_or_else(|| {
        format!(
            "in a network of {nodes} nodes it comes to more than {RANGES_MAX} ranges of addresses: \
             name fewer members in fewer grants"
        )
    })?;
    let takes = |member: &&Member| {
        compiled.rules_within(member, POLICY_RULES_MAX, POLICY_RANGES_MAX).is_some()
    };
    let kinds = [members.first(), members.get(1), members.last()];
    if kinds.iter().flatten().all(takes) {
        return Ok(());
    }
    Err(format!(
        "in a network of {nodes} nodes one of them would have more than {POLICY_RULES_MAX} rules or \
         {POLICY_RANGES_MAX} ranges of addresses: name fewer members in fewer grants"
    ))
}

/// Members that a network of so many nodes could have.
fn supposed(nodes: usize) -> Vec<Member> {
    let member = |number: usize| {
        let (group, tag) = match number {
            0 => ("group:nodes", Some("tag:head")),
            _ if number < nodes => ("group:nodes", Some("tag:worker")),
            _ => ("group:clients", None),
        };
        let own = u32::try_from(number).unwrap_or(u32::MAX);
        // As far from each other as addresses that follow from keys.
        let v6 = (0xfd << 120) | (u128::from(own) << 64);
        let mut key = [0; 32];
        key[..4].copy_from_slice(&own.to_be_bytes());
        Member {
            key: PublicKey(key),
            name: format!("member-{number}"),
            user: None,
            groups: BTreeSet::from([group.to_owned()]),
            tags: tag.map(ToOwned::to_owned).into_iter().collect(),
            addresses: vec![
                IpAddr::from(Ipv4Addr::from_bits(0x6440_0000 + own)),
                IpAddr::from(Ipv6Addr::from_bits(v6)),
            ],
        }
    };
    (0..nodes.max(1) + MESH_CLIENTS_MAX).map(member).collect()
}

/// Ranges of addresses that a policy comes to for all members together: several times what one node takes. A file of
/// 64 KiB could come to some millions.
const RANGES_MAX: usize = 8 * POLICY_RANGES_MAX;

/// What the policy means for these members. What is no policy, which is not taken in the first place, or comes to too
/// much, lets nothing pass.
pub(crate) fn compile(policy: &NetworkPolicy, members: &[Member]) -> Compiled {
    let text = policy.file.as_deref().unwrap_or(USUAL);
    let policy_of = Policy::parse(text).ok().filter(|policy| policy.failures().is_empty());
    let compiled = policy_of.and_then(|policy| policy.resolve_within(members, RANGES_MAX));
    compiled.unwrap_or_else(|| {
        tracing::warn!(
            version = policy.version,
            "a policy is none any more, or too large; nothing passes by it"
        );
        Policy::default().compile(members).expect("without tests, none fails")
    })
}

/// A member as policies see it.
pub(crate) fn member(paper: &Membership, user: Option<String>) -> Member {
    Member {
        key: PublicKey(paper.x25519.0),
        name: paper.name.to_string(),
        user,
        groups: paper.groups.clone(),
        tags: paper.tags.clone(),
        addresses: vec![IpAddr::from(paper.v4), IpAddr::from(paper.v6)],
    }
}

/// A rule as papers have it.
pub(crate) fn rule(rule: &Rule) -> PolicyRule {
    let range = |range: &Range| AddressRange::new(range.first(), range.last());
    let heading = match rule.heading {
        mesh::Direction::In => Heading::In,
        mesh::Direction::Out => Heading::Out,
    };
    let value = |text: &String| serde_json::from_str(text).unwrap_or_default();
    PolicyRule {
        grant: rule.grant,
        line: rule.line,
        heading,
        local: rule.local.iter().filter_map(range).collect(),
        remote: rule.remote.iter().filter_map(range).collect(),
        ports: rule
            .ports
            .iter()
            .map(|it| PortRange { protocol: it.protocol, first: it.first, last: it.last })
            .collect(),
        via: rule.via.iter().map(|key| MeshKey(key.0)).collect(),
        app: rule
            .app
            .iter()
            .map(|(name, values)| (name.clone(), values.iter().map(value).collect()))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_policy_is_one() {
        assert_eq!(check(USUAL, 1_024), Ok(()));
    }

    #[test]
    fn a_short_file_that_comes_to_too_much_lets_nothing_pass() {
        let member = |number: u32| Member {
            key: PublicKey([0; 32]),
            name: format!("node-{number}"),
            user: None,
            groups: std::collections::BTreeSet::new(),
            tags: std::collections::BTreeSet::new(),
            addresses: vec![IpAddr::from((u128::from(number) << 64).to_be_bytes())],
        };
        let members: Vec<Member> = (1..=128).map(member).collect();
        let of = |grants: usize| {
            let grant = r#"{ "src": ["*"], "dst": ["*"], "ip": ["*"] }"#;
            let file = format!(r#"{{ "grants": [{}] }}"#, vec![grant; grants].join(","));
            compile(
                &NetworkPolicy { file: Some(file.into()), ..NetworkPolicy::default() },
                &members,
            )
        };
        let passes = |compiled: &Compiled| {
            compiled.allows(members[0].addresses[0], members[1].addresses[0], 6, 1).is_some()
        };
        let (most, too_much) = (of(RANGES_MAX / 256), of(RANGES_MAX / 256 + 1));
        assert!(passes(&most) && !passes(&too_much));
        assert_eq!(most.rules_within(&members[0], 4_096, POLICY_RANGES_MAX), None);
    }

    #[test]
    fn a_file_that_would_come_to_too_much_is_refused_for_the_network_it_is_for() {
        let grant = r#"{ "src": ["*"], "dst": ["*"], "ip": ["*"] }"#;
        let of = |grants: usize| format!(r#"{{ "grants": [{}] }}"#, vec![grant; grants].join(","));
        assert_eq!(check(&of(8), 64), Ok(()));
        assert!(check(&of(1_700), 64).unwrap_err().contains("name fewer members"));
        assert!(check(&of(200), 1_024).unwrap_err().contains("1024 nodes"));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let wrong = check(
            "{\n  \"grants\": [{ \"src\": [\"tag:x\"], \"dst\": [\"*\"], \"ip\": [\"*\"] }]\n}",
            1,
        );
        assert!(wrong.unwrap_err().starts_with("2:"));
        let fails = r#"{ "grants": [], "tests": [{ "src": "*", "accept": ["10.0.0.1:22"] }] }"#;
        assert!(check(fails, 1).unwrap_err().contains("should reach"));
    }
}
