//! Private networks of rentals: who has one, what of it can be visited, what may pass in it.

use control::{Command, HostRecord, NetworkWanted, Refusal, ServiceProto, ServiceRecord};
use units::MeshId;

use crate::town::{Town, account, machine, name, project, rental, worker};

/// Machines with a card each, all of which can give nodes a network of their own.
fn town(machines: usize) -> Town {
    let mut town = Town::with(&vec![1; machines]);
    (0..machines).for_each(|index| can_mesh(&mut town, &format!("m{index}"), true));
    town
}

fn can_mesh(town: &mut Town, which: &str, mesh: bool) {
    let mut machine = machine(1);
    machine.host = Some(HostRecord { mesh, ..HostRecord::default() });
    let command = Command::ChangeMachine { worker: worker(which), machine, fingerprint: None };
    town.ok(which, command);
}

fn network(town: &Town, of: &str) -> Option<NetworkWanted> {
    town.control.network_wanted(rental(of))
}

fn seats(town: &Town, of: &str) -> Vec<u32> {
    network(town, of).map(|network| network.seats.into_keys().collect()).unwrap_or_default()
}

const fn web(node: u32, port: u16) -> ServiceRecord {
    let (proto, is_public, wants_proxy_header) = (ServiceProto::Http, false, false);
    ServiceRecord { node, port, proto, is_public, wants_proxy_header }
}

fn open(town: &mut Town, who: &str, label: &str, service: ServiceRecord) -> Result<(), Refusal> {
    let (rental, label) = (rental("a"), name(label));
    town.tell(who, Command::OpenService { rental, label, service }).map(drop)
}

#[test]
fn a_rental_has_a_network_if_each_of_its_machines_can_give_one() {
    let mut town = town(2);
    town.running("ann", "a", 2);
    let found = network(&town, "a").unwrap();
    assert_eq!(found.mesh, MeshId::from_bits(rental("a").bits()));
    assert_eq!(found.project, Some(project("ann")));
    assert!(found.seats.values().all(|(_, owner)| *owner == account("sue")));
    let wanted = town.control.wanted(worker("m0"));
    assert_eq!(wanted.nodes[0].mesh, Some(found.mesh));
    town.end("ann", "a").unwrap();
    for machine in ["m0", "m1"] {
        town.says(machine, "");
    }
    can_mesh(&mut town, "m1", false);
    town.running("ann", "b", 2);
    assert_eq!(network(&town, "b"), None);
    assert_eq!(town.control.wanted(worker("m0")).nodes[0].mesh, None);
}

#[test]
fn who_is_lost_or_over_is_in_no_network() {
    let mut town = town(3);
    town.running("ann", "a", 3);
    assert_eq!(seats(&town, "a"), [0, 1, 2]);
    let machine = town.machine_of("a", 1);
    town.says(&machine, "");
    assert_eq!(seats(&town, "a"), [0, 2]);
    town.end("ann", "a").unwrap();
    assert_eq!(network(&town, "a"), None, "at once, whatever its machines still run");
}

#[test]
fn every_rental_has_a_dashboard_and_ssh_to_each_node() {
    let mut town = town(2);
    town.running("ann", "a", 2);
    let labels = |town: &Town| -> Vec<String> {
        network(town, "a").unwrap().services.keys().map(ToString::to_string).collect()
    };
    assert_eq!(labels(&town), ["dashboard", "ssh", "ssh-1"]);
    open(&mut town, "ann", "jupyter", web(1, 8888)).unwrap();
    assert_eq!(labels(&town), ["dashboard", "jupyter", "ssh", "ssh-1"]);
    let command = Command::CloseService { rental: rental("a"), label: name("jupyter") };
    town.ok("ann", command.clone());
    town.ok("ann", command);
    assert_eq!(labels(&town), ["dashboard", "ssh", "ssh-1"]);
}

#[test]
fn services_that_make_no_sense_are_refused() {
    let mut town = town(1);
    town.running("ann", "a", 1);
    let check = |town: &mut Town, who: &str, label: &str, service, why: &str| {
        let refusal = open(town, who, label, service).unwrap_err().to_string();
        assert!(refusal.contains(why), "{label}: {refusal}");
    };
    check(&mut town, "bob", "web", web(0, 80), "no such rental");
    for standing in ["dashboard", "ssh", "ssh-7"] {
        check(&mut town, "ann", standing, web(0, 80), "always");
    }
    check(&mut town, "ann", &"x".repeat(37), web(0, 80), "at most 36");
    check(&mut town, "ann", "web", web(1, 80), "from 0 to 0");
    check(&mut town, "ann", "web", web(0, 0), "from 1 to 65535");
    for number in 0..32 {
        open(&mut town, "ann", &format!("web-{number}"), web(0, 80)).unwrap();
    }
    check(&mut town, "ann", "web", web(0, 80), "no more than 32");
    open(&mut town, "ann", "web-7", web(0, 81)).unwrap();
    town.end("ann", "a").unwrap();
    check(&mut town, "ann", "web-7", web(0, 80), "not now");
    let mut town = Town::with(&[1]);
    town.running("ann", "a", 1);
    check(&mut town, "ann", "web", web(0, 80), "without a private network");
}

#[test]
fn a_policy_is_its_projects_and_its_versions_grow() {
    let mut town = town(1);
    town.running("ann", "a", 1);
    let version = |town: &Town| network(town, "a").unwrap().policy.version;
    let set = |file: Option<&str>| Command::SetNetworkPolicy {
        project: project("ann"),
        file: file.map(ToOwned::to_owned),
    };
    assert_eq!(version(&town), 0);
    town.ok("ann", set(Some("{}")));
    let policy = network(&town, "a").unwrap().policy;
    assert_eq!((policy.version, policy.file.as_deref()), (1, Some("{}")));
    town.ok("ann", set(None));
    assert_eq!(version(&town), 2, "no policy is a version too");
    assert!(town.tell("bob", set(None)).is_err());
    assert!(town.tell("ann", set(Some(&"x".repeat(65_537)))).is_err());
}

#[test]
fn the_policy_of_the_operators_network_is_the_operators() {
    let mut town = town(1);
    let set = |file: Option<&str>| Command::SetOperatorPolicy { file: file.map(ToOwned::to_owned) };
    assert_eq!(town.control.operator_policy().version, 0);
    for stranger in ["ann", "sue"] {
        assert!(town.tell(stranger, set(Some("{}"))).is_err());
    }
    assert!(town.tell("operator", set(Some(&"x".repeat(65_537)))).is_err());
    town.ok("operator", set(Some("{}")));
    let policy = town.control.operator_policy();
    assert_eq!((policy.version, policy.file.as_deref()), (1, Some("{}")));
    let back = control::Control::from_snapshot(&town.control.snapshot()).unwrap();
    assert_eq!(back.operator_policy(), policy);
    town.ok("operator", set(None));
    assert_eq!(town.control.operator_policy().version, 2);
}
