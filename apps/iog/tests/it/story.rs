//! The whole story on real parts: a network on this machine, a real Ray cluster, a real job, a receipt.
//!
//! It needs what `./x setup` installs, and the registries for the first installation of Ray.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::program::Home;

/// An account with no rights and no home, on any Debian.
const NOBODY: &str = "65534";

/// Plays the story and gives its summary; what it narrated, if it failed.
fn play(program: &mut Command, data: &Path) -> Value {
    program.args(["up", "--once", "--json", "--listen", "127.0.0.1:0", "--data"]).arg(data);
    let output = program.stdin(Stdio::null()).output().expect("the program can be started");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{}", logs(data));
    serde_json::from_slice(&output.stdout).expect("a summary")
}

fn logs(data: &Path) -> String {
    let entries = std::fs::read_dir(data.join("log")).into_iter().flatten().flatten();
    let texts = entries.map(|entry| {
        let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
        format!("── {}\n{text}", entry.path().display())
    });
    texts.collect()
}

/// Processes that name this folder in their command line.
fn left(data: &Path) -> Vec<String> {
    let data = data.display().to_string();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(&data)).collect()
}

fn went_well(summary: &Value, data: &Path) {
    assert!(summary["accuracy"].as_f64().is_some_and(|accuracy| accuracy > 0.9), "{summary}");
    assert_eq!(summary["nodes"].as_object().map(serde_json::Map::len), Some(3), "{summary}");
    // Where nodes have a network of their own, the dashboard is visited over the relay.
    assert!(summary["dashboard"] == 200 || summary["dashboard"].is_null(), "{summary}");
    assert_eq!(left(data), Vec::<String>::new(), "nothing is left running");
}

#[test]
fn heavy_the_first_rental_goes_well_and_so_does_the_second() {
    let home = Home::new("story");
    let data = home.0.join("net");
    for _ in 0..2 {
        let mut program = Command::new(env!("CARGO_BIN_EXE_iog"));
        went_well(&play(program.env("HOME", &home.0), &data), &data);
    }
}

#[test]
fn heavy_the_story_needs_no_rights() {
    if !rustix::process::getuid().is_root() {
        // The other story is played by an ordinary user already.
        return;
    }
    let home = Home::new("nobody");
    let program = home.0.join("iog");
    std::fs::copy(env!("CARGO_BIN_EXE_iog"), &program).unwrap();
    let data = home.0.join("net");
    std::fs::create_dir(&data).unwrap();
    for place in [&home.0, &data] {
        let nobody: u32 = NOBODY.parse().unwrap();
        std::os::unix::fs::chown(place, Some(nobody), Some(nobody)).unwrap();
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"])
        .arg(&program)
        .env("HOME", &home.0);
    went_well(&play(command.current_dir(&home.0), &data), &data);
}
