//! Programs on a node find members by their names.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

use mesh::Suite;
use mesh::names::{MeshName, Names};
use namespaces::{Nat, matrix, rig_or_skip};

use crate::lab::{Lab, ip};

const RESOLVER: Ipv4Addr = Ipv4Addr::new(100, 64, 0, 254);

#[test]
fn programs_find_members_by_name_and_others_do_not_hear_of_it() {
    let Some(rig) = rig_or_skip(&matrix::plan(Nat::Easy, Nat::Easy)) else { return };
    let lab = Lab::with(rig, &["a", "b"], &["relay-1"], Suite::Fast, |_, config| {
        config.resolver = Some(RESOLVER);
    });
    let name = |text: &str| MeshName::parse(text).expect("a name");
    let addresses = |node| vec![ip(node, false), ip(node, true)];
    let crowd = (0..200).map(|number| IpAddr::from(Ipv4Addr::new(100, 64, 7, number)));
    let crowd: Vec<IpAddr> = crowd.collect();
    let names = [
        (name("head.rnt_7"), addresses(0)),
        (name("node-1.rnt_7"), addresses(1)),
        (name("crowd.rnt_7"), crowd.clone()),
    ];
    let blocks = vec!["100.64.0.0/10".parse().expect("a block")];
    lab.nodes[0].set_names(Names::new(names, blocks));
    lab.rig.name_server("a", RESOLVER.into()).expect("it has a name server");

    assert_eq!(found(&lab, "node-1.rnt_7.mesh"), [ip(1, false), ip(1, true)]);
    assert_eq!(found(&lab, "head.rnt_7.mesh"), [ip(0, false), ip(0, true)]);
    assert!(found(&lab, "node-9.rnt_7.mesh").is_empty(), "nobody is called so");
    assert!(found(&lab, "example.org").is_empty(), "that is asked elsewhere");
    let mut many = found(&lab, "crowd.rnt_7.mesh");
    many.sort_unstable();
    assert_eq!(many, crowd, "what is too long for UDP comes over TCP");
    let called = run(&lab, &["getent", "hosts", &ip(1, false).to_string()]);
    assert!(called.contains("node-1.rnt_7.mesh"), "{called:?}");
    assert!(lab.reaches(0, 1, false, 32), "what is not for the resolver passes by it");
}

/// What the system's own resolver says, first IPv4.
fn found(lab: &Lab, name: &str) -> Vec<IpAddr> {
    let mut all: Vec<IpAddr> = ["ahostsv4", "ahostsv6"]
        .into_iter()
        .flat_map(|family| {
            let text = run(lab, &["getent", family, name]);
            let first = |line: &str| line.split_whitespace().next()?.parse().ok();
            text.lines().filter_map(first).collect::<Vec<IpAddr>>()
        })
        .filter(|ip| !matches!(ip, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some()))
        .collect();
    all.dedup();
    all
}

fn run(lab: &Lab, words: &[&str]) -> String {
    let mut command: Command = lab.rig.at("a").exec(words[0]);
    let output = command.args(&words[1..]).output().expect("it runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
