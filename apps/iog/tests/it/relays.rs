//! A relay that is in the network's list, and says when it goes away.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::desk::{Desk, within};

/// How often it is looked at what lasts seconds: a minute.
const LOOKS: usize = 300;

/// The list, as anybody reads it.
fn list(desk: &Desk) -> Vec<Value> {
    let host = desk.url.trim_start_matches("http://");
    let mut tcp = TcpStream::connect(host).unwrap();
    let asked = format!("GET /v1/network/relays HTTP/1.0\r\nHost: {host}\r\n\r\n");
    tcp.write_all(asked.as_bytes()).unwrap();
    let mut said = String::new();
    tcp.read_to_string(&mut said).unwrap();
    let (_, body) = said.split_once("\r\n\r\n").unwrap();
    let told: Value = serde_json::from_str(body).unwrap();
    told["relays"].as_array().unwrap().clone()
}

fn start(desk: &Desk, key: &str) -> Child {
    let data = desk.home.0.join("relay");
    let ready = desk.home.0.join("relay-ready");
    let mut command = Command::new(env!("CARGO_BIN_EXE_iog"));
    command.args(["relay", "--listen", "127.0.0.1:0", "--advertise", "192.0.2.7:4443"]);
    command.arg("--data").arg(data).arg("--ready-file").arg(ready);
    command.env_clear().env("HOME", &desk.home.0).env("IOG_SERVER", &desk.url).env("IOG_KEY", key);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn a_relay_is_in_the_list_until_it_goes_away() {
    let desk = Desk::new("relays");
    assert!(list(&desk).is_empty());
    let key = std::fs::read_to_string(desk.home.0.join("server/operator.key")).unwrap();
    let mut relay = start(&desk, key.trim());
    let listed = within(LOOKS, "it is in the list", || list(&desk).pop());
    let ready = std::fs::read_to_string(desk.home.0.join("relay-ready")).unwrap();
    assert_eq!(ready.split_once('@').unwrap().0, listed["key"].as_str().unwrap());
    assert_eq!(listed["drains"], Value::Bool(false));
    let pid = Pid::from_child(&relay);
    kill_process(pid, Signal::TERM).unwrap();
    assert!(relay.wait().unwrap().success());
    assert_eq!(list(&desk)[0]["drains"], Value::Bool(true), "it said so before it went");
}
