//! A cluster and a renter's machine in its private network, on real parts, and what they go through without anybody's
//! doing: a control plane that begins anew, a machine that has another address, and relays that are all gone.
//!
//! It needs root, and a system that gives nodes networks of their own; elsewhere nothing is looked at.

use std::fs::{self, File};
use std::process::{Child, Command};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::mesh::{
    JOB, People, Rented, are_in_mesh, gather, rent, start_machines, start_relay, words,
};
use crate::town::{OTHER_ADDRESS, Town};

/// The renter's machine as a member; gone when dropped.
struct Member {
    child: Child,
    head: String,
}

impl Member {
    fn of(rented: &Rented<'_>) -> Self {
        let (town, interface) = (&*rented.town, format!("iogs{}", std::process::id()));
        let (out, err) = (town.path("joined.json"), town.path("joined.err"));
        let join = ["net", "up", &rented.rental, "--server", &town.url, "--json"];
        let mut command = town.command(&[&join[..], &["--interface", &interface]].concat());
        command.env("IOG_KEY", &rented.key).env("IOG_CONFIG", town.path("member/config.json"));
        command.stdout(File::create(&out).unwrap()).stderr(File::create(err).unwrap());
        let child = command.spawn().unwrap();
        let told: Value = town.until("this machine is a member", |_| {
            serde_json::from_str(&fs::read_to_string(&out).unwrap()).ok()
        });
        let members = told["members"].as_array().unwrap();
        let head = members.iter().find(|member| member["name"] == "head.mesh").unwrap();
        let head = head["v4"].as_str().unwrap().to_owned();
        Self { child, head }
    }

    /// Waits until the head answers; `said` is what it goes on in spite of.
    fn reaches_head(&mut self, town: &Town, said: &str) {
        let told = || fs::read_to_string(town.path("joined.err")).unwrap();
        assert!(self.child.try_wait().unwrap().is_none(), "{said}: {}", told());
        let ping = ["-c", "1", "-W", "5", &self.head];
        town.until(&format!("the head answers {said}"), |_| {
            let ping = Command::new("ping").args(ping).output().unwrap();
            ping.status.success().then_some(())
        });
        assert!(self.child.try_wait().unwrap().is_none(), "{said}: {}", told());
    }

    fn says(&self, town: &Town, what: &str) {
        town.until(&format!("it says {what:?}"), |town| {
            let told = fs::read_to_string(town.path("joined.err")).unwrap();
            told.contains(what).then_some(())
        });
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether the member reaches a node straight at this address, as the network is told: the other may be asked nothing.
fn is_straight(rented: &Rented<'_>, at: &str) -> Option<bool> {
    let path = format!("/v1/rentals/{}/network", rented.rental);
    let view = rented.town.ask("GET", &path, &rented.key, None);
    let members = view["members"].as_array()?.clone();
    let client = members.iter().find(|member| member["kind"] == "client")?;
    let is_there = |way: &Value| {
        let address = way["address"].as_str().unwrap_or_default();
        way["kind"] == "direct" && address.starts_with(&format!("{at}:"))
    };
    Some(client["ways"].as_array()?.iter().any(is_there))
}

#[test]
fn heavy_a_member_and_its_cluster_go_on_without_their_server_their_address_and_all_relays() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let mut town = Town::new();
    let People { operator, supplier, renter, project } = gather(&town);
    let relays = ["relay-a", "relay-b"].map(|name| start_relay(&mut town, &operator, name));
    start_machines(&mut town, &supplier);
    let Some(rental) = rent(&town, &renter, &project) else { return };
    let rented = Rented { town: &mut town, rental, key: renter };
    rented.talks("direct");
    let mut member = Member::of(&rented);
    member.reaches_head(rented.town, "at first");

    rented.town.kill("server");
    member.reaches_head(rented.town, "while no server is there");
    member.says(rented.town, "What there is goes on");
    rented.town.start_server_again();
    member.says(rented.town, "The server answers again.");
    member.reaches_head(rented.town, "after the server has begun anew");

    rented.town.network().unwrap().move_away();
    member.reaches_head(rented.town, "at another address");
    rented.town.until("it finds a straight way from there", |_| {
        is_straight(&rented, OTHER_ADDRESS)?.then_some(())
    });

    relays.iter().for_each(|relay| rented.town.kill(&relay.name));
    let log = rented.run(JOB);
    assert!(are_in_mesh(&words(&log, "worked")), "without a relay: {log}");
    member.reaches_head(rented.town, "without a relay");
    let pid = Pid::from_raw(member.child.id().cast_signed()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let place = format!("/proc/{}/exe", member.child.id());
    rented.town.until("it ends", |_| fs::read_link(&place).is_err().then_some(()));
    drop(member);
    rented.ends_without_a_trace();
}
