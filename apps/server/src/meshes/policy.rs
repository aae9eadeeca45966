//! What may pass in a private network: the project's policy file, worked out for each member.

use std::net::IpAddr;

use control::NetworkPolicy;
use mesh::PublicKey;
use mesh::policy::{Compiled, Member, Policy, Range, Rule};
use wire::paper::{AddressRange, Heading, Membership, MeshKey, PolicyRule, PortRange};

/// What holds in a private network of whose policy nobody has said anything: its members reach each other.
pub(crate) const USUAL: &str = r#"{
  // Members of a rental's private network reach each other. Nothing else passes.
  "grants": [{ "src": ["*"], "dst": ["*"], "ip": ["*"] }],
}
"#;

/// Why a text cannot be a policy, with the line where that shows; all tests that fail, in one text.
pub(crate) fn check(text: &str) -> Result<(), String> {
    let policy = Policy::parse(text).map_err(|why| why.to_string())?;
    let failures = policy.failures();
    if failures.is_empty() {
        return Ok(());
    }
    Err(failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

/// What the policy means for these members. What is no policy, which is not taken in the first place, lets
/// nothing pass.
pub(crate) fn compile(policy: &NetworkPolicy, members: &[Member]) -> Compiled {
    let text = policy.file.as_deref().unwrap_or(USUAL);
    let compiled = Policy::parse(text).ok().and_then(|policy| policy.compile(members).ok());
    compiled.unwrap_or_else(|| {
        tracing::warn!(version = policy.version, "a policy is none any more; nothing passes by it");
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
        assert_eq!(check(USUAL), Ok(()));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let wrong = check(
            "{\n  \"grants\": [{ \"src\": [\"tag:x\"], \"dst\": [\"*\"], \"ip\": [\"*\"] }]\n}",
        );
        assert!(wrong.unwrap_err().starts_with("2:"));
        let fails = r#"{ "grants": [], "tests": [{ "src": "*", "accept": ["10.0.0.1:22"] }] }"#;
        assert!(check(fails).unwrap_err().contains("should reach"));
    }
}
