//! How many commands a second the journal makes durable, by the size of the batch, beside what the disk itself does.
//!
//! Each command is an entry of about 300 bytes with one row and one event. Run it on a calm machine:
//! `cargo bench -p server --bench journal`; it starts a `PostgreSQL` of its own and prints a table in Markdown.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]

#[path = "../tests/it/cluster.rs"]
#[expect(dead_code, reason = "only tests crash it")]
mod cluster;

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use cluster::Cluster;
use server::journal::{Batch, Entry, Event, Head, Journal, Options, Row, open};
use sha2::{Digest, Sha256};

/// Long enough for a few checkpoints, short enough for ten sizes on two engines.
const EACH: Duration = Duration::from_secs(3);

/// As many things as rows are kept of; each command changes one.
const THINGS: u64 = 100_000;

const BODY_BYTES: usize = 300;

fn main() -> anyhow::Result<()> {
    let folder = std::env::temp_dir().join(format!("iog-bench-journal-{}", std::process::id()));
    fs::create_dir_all(&folder).context("make the folder")?;
    println!("append 4 KiB and fdatasync: {:.0} a second\n", disk_rate(&folder)?);
    let file = folder.join("rate.db");
    let sqlite = open(&format!("sqlite:{}", file.display()), &Options::default())?;
    let postgres = open(&Cluster::shared().fresh_address(), &Options::default())?;
    let printed = print_table(&mut [("SQLite", sqlite), ("PostgreSQL", postgres)]);
    fs::remove_dir_all(&folder).context("remove the folder")?;
    printed
}

fn disk_rate(folder: &Path) -> anyhow::Result<f64> {
    let path = folder.join("rate.raw");
    let mut file = File::create(&path).context("create a file")?;
    let begun = Instant::now();
    let mut writes = 0_u32;
    while begun.elapsed() < EACH {
        file.write_all(&[7; 4096]).context("append 4 KiB")?;
        file.sync_data().context("sync")?;
        writes += 1;
    }
    let rate = f64::from(writes) / begun.elapsed().as_secs_f64();
    fs::remove_file(&path).context("remove the file")?;
    Ok(rate)
}

fn print_table(engines: &mut [(&str, Box<dyn Journal>)]) -> anyhow::Result<()> {
    let names: Vec<String> = engines
        .iter()
        .map(|(name, _)| format!("{name}, commands/s | p50 of a batch, ms | p99, ms"))
        .collect();
    println!("| batch | {} |", names.join(" | "));
    println!("|---:|{}", "---:|---:|---:|".repeat(engines.len()));
    for batch in (0..10).map(|power| 1_usize << power) {
        let mut line = format!("| {batch} |");
        for (_, journal) in &mut *engines {
            let measured = measure(&mut **journal, batch)?;
            line += &format!(" {:.0} | {:.2} | {:.2} |", measured.rate, measured.p50, measured.p99);
        }
        println!("{line}");
    }
    Ok(())
}

struct Measured {
    rate: f64,
    p50: f64,
    p99: f64,
}

fn measure(journal: &mut dyn Journal, batch: usize) -> anyhow::Result<Measured> {
    let mut head = journal.head()?;
    let mut took = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < EACH {
        let (entries, rows, events) = commands(&mut head, batch);
        let told = Instant::now();
        journal.append(&Batch { entries: &entries, rows: &rows, events: &events })?;
        took.push(told.elapsed().as_secs_f64() * 1_000.0);
    }
    let rate = (took.len() * batch) as f64 / begun.elapsed().as_secs_f64();
    took.sort_by(f64::total_cmp);
    let at = |part: usize| took[(took.len() - 1) * part / 100];
    Ok(Measured { rate, p50: at(50), p99: at(99) })
}

fn commands(head: &mut Head, count: usize) -> (Vec<Entry>, Vec<Row>, Vec<Event>) {
    let json = format!("{{\"text\":\"{}\"}}", "x".repeat(BODY_BYTES - 11)).into_bytes();
    let mut batch = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..count {
        let entry = follow(head, &json);
        // A stride that visits the things in no order that the tables have.
        let thing = entry.seq * 7_919 % THINGS;
        let owner = format!("prj_{:04}", thing % 1_000);
        let (kind, id) = ("rental", format!("rnt_{thing:08}"));
        batch.1.push(Row { kind, id, owner: owner.clone(), body: Some(json.clone()) });
        batch.2.push(Event { seq: entry.seq, part: 0, owner, body: json.clone() });
        batch.0.push(entry);
    }
    batch
}

fn follow(head: &mut Head, body: &[u8]) -> Entry {
    let (seq, at_millis, previous) = (head.seq + 1, 1_700_000_000_000_u64, head.hash);
    let mut digest = Sha256::new();
    digest.update(previous);
    digest.update(seq.to_be_bytes());
    digest.update(at_millis.to_be_bytes());
    digest.update(body);
    let hash = digest.finalize().into();
    *head = Head { seq, hash };
    Entry { seq, at_millis, previous, hash, body: body.to_vec() }
}
