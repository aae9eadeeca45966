//! Dependencies point inward: which of our packages may know which, and what no brain may reach.

use crate::finding::Finding;
use crate::metadata::{Metadata, Package};

/// What each of our packages may know of the others. A package without a row is a finding.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("agent", SUPPLY),
    ("attest", &["units"]),
    (
        "control",
        &[
            "attest",
            "ledger",
            "market",
            "merkle",
            "proofs",
            "rewards",
            "scheduler",
            "stakes",
            "units",
        ],
    ),
    ("fake-chips", &["attest", "units"]),
    ("fake-nvml", &[]),
    ("iog", EVERYTHING),
    ("ledger", &["units"]),
    ("load", BENCHES),
    ("market", &["units"]),
    ("merkle", &["units"]),
    ("mesh", &["units"]),
    ("mesh-shell", &["mesh", "units", "vigil"]),
    ("namespaces", &[]),
    ("net", NETWORKS),
    ("placement-bench", &["scheduler", "units"]),
    ("proofs", &["merkle", "units"]),
    ("prover", &["merkle", "proofs", "units"]),
    ("relay", &["mesh", "mesh-shell", "trunk", "tunnel", "units", "vigil", "wire"]),
    ("rewards", &["merkle", "units"]),
    ("scheduler", &["units"]),
    ("server", CONTROL_PLANE),
    ("sim", BRAINS_AND_WIRE),
    ("stakes", &["units"]),
    ("trunk", &["tunnel", "units", "vigil", "wire"]),
    ("tunnel", &["units"]),
    ("units", &[]),
    ("vigil", &[]),
    ("wire", &["units"]),
    ("worker", &["units"]),
    ("xtask", &[]),
];

const BRAINS_AND_WIRE: &[&str] = &[
    "attest",
    "control",
    "ledger",
    "market",
    "merkle",
    "proofs",
    "rewards",
    "scheduler",
    "stakes",
    "units",
    "wire",
    "worker",
];
/// The server works out what a policy means for each node, and dials relays.
const CONTROL_PLANE: &[&str] = &[
    "attest",
    "control",
    "ledger",
    "market",
    "merkle",
    "mesh",
    "proofs",
    "rewards",
    "scheduler",
    "stakes",
    "trunk",
    "tunnel",
    "units",
    "vigil",
    "wire",
    "worker",
];
/// A supplier's machine proves and attests, and its nodes are in private networks.
const SUPPLY: &[&str] = &[
    "attest",
    "merkle",
    "mesh",
    "mesh-shell",
    "proofs",
    "prover",
    "trunk",
    "tunnel",
    "units",
    "vigil",
    "wire",
    "worker",
];
/// Benchmarks and tests run the real shells.
const BENCHES: &[&str] = EVERYTHING;
/// Networks are measured and tried with the real shells, on the kernel's own.
const NETWORKS: &[&str] = &[
    "agent",
    "attest",
    "merkle",
    "mesh",
    "mesh-shell",
    "namespaces",
    "proofs",
    "prover",
    "relay",
    "trunk",
    "tunnel",
    "units",
    "vigil",
    "wire",
    "worker",
];
const EVERYTHING: &[&str] = &[
    "agent",
    "attest",
    "control",
    "ledger",
    "market",
    "merkle",
    "mesh",
    "mesh-shell",
    "proofs",
    "prover",
    "relay",
    "rewards",
    "scheduler",
    "server",
    "stakes",
    "trunk",
    "tunnel",
    "units",
    "vigil",
    "wire",
    "worker",
];

/// What would give a brain sockets, disks, clocks or chance.
const FORBIDDEN_IN_BRAINS: &[&str] = &[
    "axum",
    "getrandom",
    "hyper",
    "postgres",
    "reqwest",
    "rusqlite",
    "rustix",
    "rustls",
    "tokio",
    "tokio-postgres",
    "ureq",
];

/// Errors without a type belong where nobody branches on them: in shells.
const FORBIDDEN_OUTSIDE_SHELLS: &[&str] = &["anyhow"];

pub(crate) fn point_inward(metadata: &Metadata) -> Vec<Finding> {
    metadata.members().flat_map(|package| of_package(metadata, package)).collect()
}

fn of_package(metadata: &Metadata, package: &Package) -> Vec<Finding> {
    let manifest = metadata.manifest_of(package);
    let finding = |message: String| Finding::new(manifest, 1, message);
    let Some((_, may_know)) = MAY_KNOW.iter().find(|(name, _)| *name == package.name) else {
        return vec![finding(format!(
            "`{}` has no row in xtask/src/law/dependencies.rs: say what it may know",
            package.name
        ))];
    };
    let is_brain = manifest.starts_with("crates/");
    let is_shell =
        ["apps/", "benches/", "e2e/", "xtask/"].iter().any(|at| manifest.starts_with(at));
    let reached = metadata.closure(package);
    let mut findings = Vec::new();
    for (name, path) in &reached {
        let ours = metadata.members().any(|member| member.name == *name);
        if ours && !may_know.contains(name) {
            findings.push(finding(format!("`{}` must not know `{name}` ({path})", package.name)));
        }
        if is_brain && FORBIDDEN_IN_BRAINS.contains(name) {
            findings.push(finding(format!("a brain reaches `{name}` ({path})")));
        }
        if !is_shell && FORBIDDEN_OUTSIDE_SHELLS.contains(name) {
            findings.push(finding(format!("`{name}` belongs in shells only ({path})")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brain_that_reaches_a_runtime_is_found_with_the_path() {
        check(
            &["crates/ledger", "crates/units", "tokio", "bytes"],
            &[("ledger", "units"), ("ledger", "bytes"), ("bytes", "tokio")],
            &["crates/ledger/Cargo.toml:1: a brain reaches `tokio` (ledger → bytes → tokio)"],
        );
    }

    #[test]
    fn siblings_do_not_know_each_other() {
        check(
            &["crates/ledger", "crates/market"],
            &[("market", "ledger")],
            &["crates/market/Cargo.toml:1: `market` must not know `ledger` (market → ledger)"],
        );
    }

    #[test]
    fn untyped_errors_stay_in_shells() {
        check(
            &["crates/units", "apps/server", "anyhow"],
            &[("units", "anyhow"), ("server", "anyhow")],
            &["crates/units/Cargo.toml:1: `anyhow` belongs in shells only (units → anyhow)"],
        );
    }

    #[test]
    fn a_new_package_must_get_a_row() {
        check(
            &["crates/novel"],
            &[],
            &[
                "crates/novel/Cargo.toml:1: `novel` has no row in xtask/src/law/dependencies.rs: say what it may know",
            ],
        );
    }

    /// `packages`: ours by folder, others by name. `edges`: who depends on whom.
    fn check(packages: &[&str], edges: &[(&str, &str)], expected: &[&str]) {
        let name = |place: &&str| place.rsplit('/').next().unwrap().to_owned();
        let package = |place: &&str| {
            let id = name(place);
            serde_json::json!({
                "id": id, "name": id, "manifest_path": format!("/repo/{place}/Cargo.toml"), "targets": []
            })
        };
        let node = |place: &&str| {
            let id = name(place);
            let to = edges.iter().filter(|(from, _)| *from == id);
            let deps: Vec<_> = to
                .map(|(_, to)| serde_json::json!({"pkg": to, "dep_kinds": [{"kind": null}]}))
                .collect();
            serde_json::json!({"id": id, "deps": deps})
        };
        let members: Vec<_> =
            packages.iter().filter(|place| place.contains('/')).map(name).collect();
        let metadata = serde_json::json!({
            "packages": packages.iter().map(package).collect::<Vec<_>>(),
            "workspace_members": members,
            "workspace_root": "/repo",
            "resolve": {"nodes": packages.iter().map(node).collect::<Vec<_>>()},
        });
        let metadata: Metadata = serde_json::from_value(metadata).unwrap();
        let found: Vec<String> = point_inward(&metadata).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }
}
