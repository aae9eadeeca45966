//! Why a node died, in the words of its own logs.
//!
//! Ray's logs are long and mostly cheerful; what helps is the launcher's end and the lines that speak of a failure.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::runtime::beneath::{Untrusted, read_at};
use crate::runtime::record::{Place, Record};

/// How much of a log's end is read.
const TAIL_BYTES: u64 = 64 * 1024;
/// How many lines are told.
const LINES_TOLD: usize = 6;
/// How long one line may be.
const LINE_CHARS: usize = 300;
/// What the log of a raylet holds when it gave itself up.
const FATAL: &str = "Check failed";
/// Logs that know why, best first.
const LOGS: [&str; 4] = ["raylet.out", "gcs_server.out", "dashboard_agent.log", "dashboard.log"];

/// The newest session of a node, as a path from its folder of Ray.
pub(super) fn newest_session(folder: &Untrusted) -> Option<String> {
    let named = |name: &String| name.starts_with("session_2");
    folder.folders().ok()?.into_iter().rfind(named)
}

/// The end of a log of the node's newest session.
fn tail_of(record: &Record, log: &str) -> Option<String> {
    let folder = Untrusted::open(&record.ray_folder()).ok()?;
    let path = PathBuf::from(newest_session(&folder)?).join("logs").join(log);
    let mut file = folder.file(&path).ok()?;
    let length = file.metadata().ok()?.len();
    let limit = usize::try_from(TAIL_BYTES).ok()?;
    let bytes = read_at(&mut file, length.saturating_sub(TAIL_BYTES), limit).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Whether the raylet gave itself up, which its launcher takes half a minute to notice.
pub(super) fn raylet_failed(record: &Record) -> bool {
    tail_of(record, "raylet.out").is_some_and(|log| log.contains(FATAL))
}

/// What lines that help hold.
const TELLING: [&str; 8] =
    ["Check failed", "Error:", "ERROR", "Exception:", "error:", "exit code=", "refused", "bwrap:"];
/// What lines hold that seem to help and do not.
const CHATTER: [&str; 2] = ["[state-dump]", "exited unexpectedly"];

fn speaks_of_failure(line: &&str) -> bool {
    let holds = |words: &[&str]| words.iter().any(|word| line.contains(word));
    holds(&TELLING) && !holds(&CHATTER)
}

/// The lines of a log that tell most, oldest first.
fn telling(log: &str) -> Vec<String> {
    let short = |line: &str| line.trim().chars().take(LINE_CHARS).collect::<String>();
    let mut lines: Vec<String> = log.lines().filter(speaks_of_failure).map(short).collect();
    lines.dedup();
    lines.split_off(lines.len().saturating_sub(LINES_TOLD))
}

/// Why the node died, for people: what its launcher says, and the log that knows best.
pub(super) fn of(place: &Place, record: &Record) -> String {
    let output = read_whole(&place.output());
    let mut told = telling(&output);
    let logs = LOGS.iter().filter_map(|log| tail_of(record, log));
    told.extend(logs.map(|log| telling(&log)).find(|lines| !lines.is_empty()).unwrap_or_default());
    if told.is_empty() {
        let last = output.lines().rev().map(str::trim).find(|line| !line.is_empty());
        told.push(last.unwrap_or("no word of why").chars().take(LINE_CHARS).collect());
    }
    format!("Ray ended, start {}: {}", record.tries, told.join(" | "))
}

/// What the program that led a node out to the Internet said last.
pub(super) fn of_egress(place: &Place) -> String {
    let said = read_whole(&place.egress_output());
    said.lines().last().unwrap_or("no word of why").chars().take(LINE_CHARS).collect()
}

/// A small file of the agent's own.
fn read_whole(path: &Path) -> String {
    let mut text = Vec::new();
    if let Ok(file) = std::fs::File::open(path) {
        // What was read before a fault is still worth telling.
        let _ = file.take(TAIL_BYTES).read_to_end(&mut text);
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_that_speak_of_failure_are_told() {
        let fatal = "(raylet) Check failed: Timed out waiting\n";
        let log = format!("I started\n{fatal}{fatal}I left\n");
        assert_eq!(telling(&log), ["(raylet) Check failed: Timed out waiting"]);
        assert_eq!(telling("all is well\n[state-dump] error: 0\n"), Vec::<String>::new());
        let many: String = (0..20).map(|number| format!("ERROR {number}\n")).collect();
        assert_eq!(telling(&many).last().map(String::as_str), Some("ERROR 19"));
        assert_eq!(telling(&many).len(), LINES_TOLD);
    }
}
