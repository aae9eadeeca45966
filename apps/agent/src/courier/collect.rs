//! Hands over what an ended job left: the rest of its log, its files, and notes on what was too large.

use std::fmt::Write;
use std::io::Read;

use anyhow::Result;
use units::JobId;

use super::follow::{push, read};
use super::{Bag, remove};
use crate::backoff::Backoff;
use crate::hands::Event;
use crate::limits::{
    FILE_BYTES_MAX, FILES_BYTES_MAX, FILES_MAX, LOG_BYTES_MAX, NOTES_MAX, READ_TRIES,
};
use crate::link::Trouble;
use crate::runtime::beneath::FileSeen;

/// Collects a job, and says so.
pub(super) fn collect(bag: &Bag, job: &JobId) {
    let job = *job;
    remove(&bag.followed, job);
    let mut notes = Notes::default();
    let end = insist(bag, || log(bag, job));
    files(bag, job, &mut notes);
    match end {
        Some(Ok(end)) => {
            let text = notes.text(end >= LOG_BYTES_MAX);
            if !text.is_empty() {
                let told = insist(bag, || push(bag, job, end, text.as_bytes()));
                warn(job, "notes on a job", told);
            }
        }
        refused => warn(job, "the end of a job's log", refused),
    }
    if !bag.quit.is_said() {
        tracing::info!(%job, "a job is over, and what it left was handed over");
        bag.say(Event::Collected(bag.key, job));
    }
}

/// Asks again as long as only the weather is against it; `None` if the node ends meanwhile.
fn insist<T>(bag: &Bag, mut ask: impl FnMut() -> Result<T, Trouble>) -> Option<Result<T, Trouble>> {
    let mut backoff = Backoff::default();
    loop {
        match ask() {
            Err(Trouble::Weather(_)) => {
                if bag.quit.wait(backoff.next()) {
                    return None;
                }
            }
            answer => return Some(answer),
        }
    }
}

fn warn<T>(job: JobId, what: &str, answer: Option<Result<T, Trouble>>) {
    if let Some(Err(trouble)) = answer {
        tracing::warn!(%job, what, %trouble, "the control plane did not take something");
    }
}

/// Hands over the rest of a job's log. Returns how long the log is.
fn log(bag: &Bag, job: JobId) -> Result<u64, Trouble> {
    let mut offset = bag.link.put_log(job, 0, &[])?;
    while offset < LOG_BYTES_MAX && !bag.quit.is_said() {
        let part = persist(bag, || read(bag, job, offset)).unwrap_or_default();
        if part.is_empty() {
            break;
        }
        offset = push(bag, job, offset, &part)?;
    }
    Ok(offset)
}

/// Asks the node a few times.
fn persist<T>(bag: &Bag, mut ask: impl FnMut() -> Result<T>) -> Result<T> {
    let (mut backoff, mut tries) = (Backoff::default(), 1);
    loop {
        match ask() {
            Err(_) if tries < READ_TRIES && !bag.quit.wait(backoff.next()) => tries += 1,
            answer => return answer,
        }
    }
}

fn files(bag: &Bag, job: JobId, notes: &mut Notes) {
    let key = bag.key;
    let listed = persist(bag, || bag.desk.ask(move |runs| runs.job_files(key, job)));
    let found = match listed {
        Ok(found) => found,
        Err(fault) => {
            let fault = format!("{fault:#}");
            tracing::debug!(%job, fault, "a job has no files that can be listed");
            return;
        }
    };
    let (taken, left) = choose(found);
    for (file, why) in left {
        notes.add(&file.path, why);
    }
    for file in taken {
        if bag.quit.is_said() {
            return;
        }
        match insist(bag, || hand_over(bag, job, &file)) {
            Some(Ok(true)) | None => {}
            Some(Ok(false)) => notes.add(&file.path, "it could not be read"),
            Some(Err(trouble)) => notes.add(&file.path, &trouble.to_string()),
        }
    }
}

/// What is handed over, and what is left for which reason.
fn choose(found: Vec<FileSeen>) -> (Vec<FileSeen>, Vec<(FileSeen, &'static str)>) {
    let (mut taken, mut left, mut bytes) = (Vec::new(), Vec::new(), 0_u64);
    for file in found {
        let together = bytes.saturating_add(file.bytes);
        if file.bytes > FILE_BYTES_MAX {
            left.push((file, "it is larger than 1 GiB"));
        } else if together > FILES_BYTES_MAX {
            left.push((file, "the job's files are larger than 8 GiB together"));
        } else if taken.len() >= FILES_MAX {
            left.push((file, "the job has more than 1,000 files"));
        } else {
            bytes = together;
            taken.push(file);
        }
    }
    (taken, left)
}

/// Hands a file over, unless it cannot be read.
fn hand_over(bag: &Bag, job: JobId, file: &FileSeen) -> Result<bool, Trouble> {
    let at = format!("/v1/worker/jobs/{job}/files/{}", escaped(&file.path));
    let (key, path) = (bag.key, file.path.clone());
    let open = || {
        let path = path.clone();
        bag.desk.ask(move |runs| runs.open_job_file(key, job, &path))
    };
    let Ok(first) = persist(bag, open) else { return Ok(false) };
    let mut first = Some(first);
    bag.link.put_stream(&at, || {
        let again = || open().map_err(|fault| std::io::Error::other(format!("{fault:#}")));
        let opened = first.take().map_or_else(again, Ok)?;
        // What a job's leftovers still write is cut off.
        Ok(opened.take(FILE_BYTES_MAX))
    })?;
    Ok(true)
}

/// A path as part of a URL: `/` stays, everything unusual is escaped.
fn escaped(path: &str) -> String {
    let mut text = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                text.push(char::from(byte));
            }
            _ => {
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

/// What the renter reads at the end of the log.
#[derive(Debug, Default)]
struct Notes {
    lines: Vec<String>,
    more: usize,
}

impl Notes {
    fn add(&mut self, path: &str, why: &str) {
        if self.lines.len() < NOTES_MAX {
            self.lines.push(format!("[iog] {path} was not kept: {why}\n"));
        } else {
            self.more += 1;
        }
    }

    fn text(&self, cut: bool) -> String {
        let mut text = String::new();
        if cut {
            text.push_str("\n[iog] the log is longer than 63 MiB; the rest was not kept\n");
        }
        self.lines.iter().for_each(|line| text.push_str(line));
        if self.more > 0 {
            let _ = writeln!(text, "[iog] {} more files were not kept", self.more);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, bytes: u64) -> FileSeen {
        FileSeen { path: path.to_owned(), bytes }
    }

    #[test]
    fn what_is_too_large_is_left_and_the_rest_is_taken() {
        let large = FILE_BYTES_MAX;
        let mut found = vec![file("a", large + 1)];
        found.extend((0..8).map(|index| file(&format!("b{index}"), large)));
        found.extend([file("c", 1), file("d", 0)]);
        let (taken, left) = choose(found);
        assert_eq!(taken.len(), 9, "eight of the largest, and an empty one");
        assert_eq!(taken.last().unwrap().path, "d");
        let left: Vec<String> = left.into_iter().map(|(file, _)| file.path).collect();
        assert_eq!(left, ["a", "c"]);
        let many = (0..FILES_MAX + 2).map(|index| file(&format!("{index:05}"), 1)).collect();
        assert_eq!(choose(many).1.len(), 2);
    }

    #[test]
    fn a_path_is_escaped() {
        assert_eq!(escaped("deep/out 1?.txt"), "deep/out%201%3F.txt");
        assert_eq!(escaped("ä%"), "%C3%A4%25");
    }

    #[test]
    fn notes_are_few_and_clear() {
        let mut notes = Notes::default();
        assert_eq!(notes.text(false), "");
        for _ in 0..NOTES_MAX + 3 {
            notes.add("big.bin", "it is larger than 1 GiB");
        }
        let text = notes.text(true);
        assert!(text.contains("63 MiB") && text.contains("big.bin was not kept: it is larger"));
        assert!(text.ends_with("[iog] 3 more files were not kept\n"));
        assert_eq!(text.lines().count(), NOTES_MAX + 3);
    }

    #[test]
    fn the_words_of_notes_are_those_of_the_limits() {
        let (mib, gib) = (1_u64 << 20, 1_u64 << 30);
        assert_eq!((LOG_BYTES_MAX, FILE_BYTES_MAX), (63 * mib, gib));
        assert_eq!((FILES_BYTES_MAX, FILES_MAX), (8 * gib, 1_000));
    }
}
