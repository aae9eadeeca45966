//! Repository chores: `cargo run -p xtask -- <verb>`, or `./x <verb>`.
//!
//! One file per verb under `verb/`; a new verb is a file there and a line in [`verb::ALL`].
//! The laws that `tidy` checks are one file each under `law/`.
#![expect(clippy::print_stdout, reason = "a chore speaks to the person who ran it")]
#![expect(clippy::print_stderr, reason = "a chore speaks to the person who ran it")]

mod finding;
mod law;
mod metadata;
mod rust_source;
mod tree;
mod verb;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let name = words.next().unwrap_or_default();
    let rest: Vec<String> = words.collect();
    let Some(verb) = verb::ALL.iter().find(|verb| verb.name == name) else {
        eprintln!("there is no verb `{name}`; the verbs are:");
        for verb in verb::ALL {
            eprintln!("  {:<10} {}", verb.name, verb.about);
        }
        return ExitCode::from(2);
    };
    match (verb.run)(&rest) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(fault) => {
            eprintln!("xtask {name}: {fault:#}");
            ExitCode::FAILURE
        }
    }
}
