//! `iog proof lock`: records of time-lock, listed, shown, and checked on this machine.
//!
//! # Invariants
//! - What is verified is verified by the code that control planes judge with, without asking one.
//! - A record that does not hold ends the program with exit code 10 and the reason.

use std::path::PathBuf;

use data_encoding::HEXLOWER;
use proofs::lock::{Action, Ceilings, End, LockRules, Report, Span, decide, verify};
use proofs::log::LockEntry;
use serde::Serialize;
use sha2::{Digest, Sha256};
use units::{BlobId, Hour, RentalId, Timestamp, WorkerId};
use wire::{DeviceProofOfTimeLock, LockInLog, LockView, Time};

use super::check::{Kind, bytes, fetched, read};
use super::make::hex;
use super::public::{head, lied};
use crate::failure::Failure;
use crate::file::Output;
use crate::screen::Screen;
use crate::session::{Named, Session};
use crate::show::{count, moment};
use crate::table::Table;

const LIST_EXAMPLES: &str = "\
Examples:
  iog proof lock list --rental training
  iog proof lock list --worker wkr_… --json

A rental's records are for the members of its project, a machine's for its owner. How many minutes each hour of a
machine had is for everyone: `iog proof lock hours`.";
const HOURS_EXAMPLES: &str = "\
Examples:
  iog proof lock hours wkr_…";
const SHOW_EXAMPLES: &str = "\
Examples:
  iog proof lock show 5d41…
  iog proof lock show 5d41… --out hour.iogtimelock

Checks that the record is in the network's log. With --out its bytes are fetched and checked as well.";
const VERIFY_EXAMPLES: &str = "\
Examples:
  iog proof lock verify hour.iogtimelock
  iog proof lock verify hour.iogtimelock --key HEX --gpu-max 5

Asks no server. Ends with 0 if the record holds, whatever it says, and with 10 and the reason if it does not.";

/// See who was on cards while they were rented, and how busy they were while they were not.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List the records of a rental, or of a machine of yours.
    #[command(after_help = LIST_EXAMPLES)]
    List(ListArgs),
    /// List a machine's hours: how many minutes each had.
    #[command(after_help = HOURS_EXAMPLES)]
    Hours(HoursArgs),
    /// Show one record, and check that it is in the network's log.
    #[command(after_help = SHOW_EXAMPLES)]
    Show(ShowArgs),
    /// Check a record: its chain, its signature, and what it says of each minute.
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(VerifyArgs),
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct ListArgs {
    /// The rental: its id, or its name.
    #[arg(long)]
    rental: Option<Named<RentalId>>,
    /// The machine.
    #[arg(long)]
    worker: Option<WorkerId>,
}

#[derive(Debug, clap::Args)]
struct HoursArgs {
    /// The machine.
    worker: WorkerId,
}

#[derive(Debug, clap::Args)]
struct ShowArgs {
    /// The record, as `iog proof lock list` shows it.
    record: BlobId,
    /// Fetch the record's bytes, check them, and write them to this file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct VerifyArgs {
    /// The record.
    file: PathBuf,
    /// The machine's public key, in hexadecimal: only its records will do.
    #[arg(long, value_name = "HEX")]
    key: Option<String>,
    /// How busy a card may be while it is idle, in percent, by its model.
    #[arg(long, value_name = "PERCENT", default_value_t = 20, value_parser = clap::value_parser!(u8).range(0..=100))]
    gpu_max: u8,
    /// How busy the processor may be while the machine is idle, in percent.
    #[arg(long, value_name = "PERCENT", default_value_t = 30, value_parser = clap::value_parser!(u8).range(0..=100))]
    cpu_max: u8,
}

impl Args {
    pub(super) fn run(
        &self,
        screen: Screen,
        json: bool,
        session: impl FnOnce() -> Result<Session, Failure>,
    ) -> Result<(), Failure> {
        match &self.verb {
            Verb::List(args) => args.run(&session()?),
            Verb::Hours(args) => args.run(&session()?),
            Verb::Show(args) => args.run(&session()?),
            Verb::Verify(args) => args.run(screen, json),
        }
    }
}

impl ListArgs {
    fn run(&self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let path = match (&self.rental, self.worker) {
            (Some(rental), _) => {
                format!("/v1/rentals/{}/time-lock", session.rental(&client, rental)?)
            }
            (None, Some(worker)) => format!("/v1/workers/{worker}/time-lock"),
            (None, None) => unreachable!("the parser asks for one of them"),
        };
        let records: Vec<LockView> = client.pages(&path)?;
        let nothing = "no records yet: a machine hands one over as each hour and each rental ends";
        session.list(&records, nothing, |records| listed(records, session.screen))
    }
}

fn listed(records: &[LockView], screen: Screen) -> String {
    let mut table =
        Table::new(&["RECORD", "HOUR", "OF", ">UP", ">BROKEN", "WHY", ">REFUND", "SLASH"]);
    for record in records {
        let of = record.rental.zip(record.node);
        table.row([
            record.record.to_string(),
            record.hour.to_string(),
            of.map_or_else(|| "idle".to_owned(), |(rental, node)| format!("{rental} node {node}")),
            record.up_minutes.to_string(),
            record.broken_minutes.to_string(),
            why(record),
            record.refund_minutes.to_string(),
            record.slash.map_or_else(|| "–".to_owned(), |slash| slash.to_string()),
        ]);
    }
    table.text(screen)
}

/// Why minutes are broken, and how many for each reason.
fn why(record: &LockView) -> String {
    let each: Vec<String> =
        record.broken.iter().map(|(why, minutes)| format!("{why} {minutes}")).collect();
    if each.is_empty() { "–".to_owned() } else { each.join(", ") }
}

impl HoursArgs {
    fn run(&self, session: &Session) -> Result<(), Failure> {
        let path = format!("/v1/io-blocks/devices/{}/potl", self.worker);
        let hours: Vec<DeviceProofOfTimeLock> = session.client()?.pages(&path)?;
        let nothing = "no hours yet: a machine hands a record over as each hour ends";
        session.list(&hours, nothing, |hours| {
            let mut table = Table::new(&["HOUR", "STATUS", ">MINUTES", ">UPTIME", "HANDED OVER"]);
            for hour in hours {
                table.row([
                    hour.block_id.to_string(),
                    hour.status.clone(),
                    hour.uptime_in_minutes.to_string(),
                    format!("{} %", hour.uptime_percentage),
                    moment(hour.time_and_date),
                ]);
            }
            table.text(session.screen)
        })
    }
}

impl ShowArgs {
    fn run(&self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let out = self.out.as_deref().map(Output::at).transpose()?;
        let path = format!("/v1/time-lock/{}", self.record);
        let found: LockInLog = client.get(&path)?;
        let entry = included(&found)?;
        if let Some(out) = out {
            let bytes = fetched(&client, &format!("{path}/record"), Kind::Record)?;
            let report = checked(&bytes, 20, 30)?;
            let id = BlobId::from_sha256(Sha256::digest(&bytes).into());
            if id != entry.record || report.hash != entry.hash || report.worker != entry.worker {
                return Err(lied("the record is not the one in the log"));
            }
            out.write(&bytes)?;
        }
        let fetched = self.out.as_ref();
        session.show(&found, |found| {
            let mut text = whole(found);
            if let Some(out) = fetched {
                text.push_str(&format!("The record holds; it is in {}.\n", out.display()));
            }
            text
        })
    }
}

/// The entry of a record, if the log's head, signed by the network, has it.
fn included(found: &LockInLog) -> Result<LockEntry, Failure> {
    let head = head(&found.head)?;
    let bytes = HEXLOWER.decode(found.entry.as_bytes()).ok();
    let bytes = bytes.ok_or_else(|| lied("the entry is no hexadecimal text"))?;
    let is_in = proofs::log::verify(&bytes, found.lock.index, head.size, &found.path, head.root);
    let entry = LockEntry::read(&bytes).ok();
    let entry = entry.filter(|entry| is_in && entry.record == found.lock.record);
    entry.ok_or_else(|| lied("the entry is not in the log that the network signed"))
}

fn whole(found: &LockInLog) -> String {
    let LockView { record, worker, hour, follows, strangers, .. } = &found.lock;
    let lock = &found.lock;
    let of = lock.rental.zip(lock.node).map_or_else(
        || "what is on offer and idle".to_owned(),
        |(rental, node)| format!("node {node} of {rental}"),
    );
    let chain = match follows.as_str() {
        "last" => "it names the record before it",
        "gap" => "records before it were not handed over",
        _ => "it is not of the chain that was handed over before",
    };
    let who = if strangers.is_empty() { "nobody" } else { strangers };
    format!(
        "record   {record}\nmachine  {worker}\nof       {of}\nhour     {hour}\nfrom     {}\nuntil    {}\n\
         kept     {}\nchain    part {}: {chain}\nup       {}\nbroken   {} ({})\nrefunds  {}\nstrangers {who}\n\
         slash    {}\n\nIt is entry {} of {} in the network's log, which signed for it.\n",
        moment(lock.began),
        moment(lock.ended),
        moment(lock.kept),
        lock.part,
        count(lock.up_minutes.into(), "minute"),
        count(lock.broken_minutes.into(), "minute"),
        why(lock),
        count(lock.refund_minutes.into(), "minute"),
        lock.slash.map_or_else(|| "none".to_owned(), |slash| slash.to_string()),
        lock.index,
        count(found.head.size, "entry"),
    )
}

/// A record that holds, judged by the first rules of the network.
fn checked(bytes: &[u8], gpu_max: u8, cpu_max: u8) -> Result<Report, Failure> {
    let ceilings = Ceilings { cpu_max_pct: cpu_max, gpu_max_pct: Some(gpu_max) };
    verify(bytes, &LockRules::default(), ceilings).map_err(|why| {
        let hint = "it was altered, cut off, or made by somebody without the machine's key";
        Failure::refused(format!("the record does not hold: {why}"), hint)
    })
}

/// What was verified, for programs.
#[derive(Debug, Serialize)]
struct Verified {
    record: BlobId,
    hash: String,
    worker: WorkerId,
    machine: String,
    rental: Option<RentalId>,
    node: Option<u32>,
    part: u32,
    previous: String,
    hour: Hour,
    began: Time,
    ended: Time,
    end: &'static str,
    up_minutes: u8,
    broken: Vec<BrokenMinute>,
    strangers: Vec<Stranger>,
    refund_minutes: u8,
    action: &'static str,
    offence: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct BrokenMinute {
    minute: u8,
    why: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
struct Stranger {
    name: String,
    program: String,
    pid: u32,
    minutes: u8,
    samples: u32,
    stopped: bool,
}

impl VerifyArgs {
    fn run(&self, screen: Screen, json: bool) -> Result<(), Failure> {
        let wanted = self.key.as_deref().map(|text| bytes("--key", text)).transpose()?;
        let whole = read(&self.file, Kind::Record)?;
        let report = checked(&whole, self.gpu_max, self.cpu_max)?;
        if wanted.is_some_and(|wanted| wanted != report.machine) {
            let what = format!("another machine signed it: {}", hex(&report.machine));
            return Err(Failure::refused(what, "a machine's key is the `prover` of its proofs"));
        }
        let id = BlobId::from_sha256(Sha256::digest(&whole).into());
        let verified = verified(&report, id);
        if json { screen.json(&verified) } else { screen.data(&verified.text(wanted.is_some())) }
    }
}

fn verified(report: &Report, record: BlobId) -> Verified {
    let of = match report.span {
        Span::Rental(of) => Some(of),
        Span::Idle => None,
    };
    let decision = decide(report, &LockRules::default());
    let broken = report.minutes.iter().filter(|judged| !judged.breaks.is_empty());
    let broken = broken.map(|judged| BrokenMinute {
        minute: judged.minute,
        why: judged.breaks.iter().map(|why| why.text()).collect(),
    });
    let strangers = report.offenders.iter().filter(|offender| offender.process.foreign);
    let strangers = strangers.map(|offender| Stranger {
        name: offender.process.name.clone(),
        program: offender.process.program.clone(),
        pid: offender.process.pid,
        minutes: offender.minutes,
        samples: offender.samples,
        stopped: offender.stopped,
    });
    let time = |at_ms: u64| Time(Timestamp::from_millis(at_ms));
    Verified {
        record,
        hash: hex(&report.hash),
        worker: report.worker,
        machine: hex(&report.machine),
        rental: of.map(|of| of.rental),
        node: of.map(|of| of.node),
        part: report.part,
        previous: hex(&report.previous),
        hour: Hour::of(Timestamp::from_millis(report.began_ms)),
        began: time(report.began_ms),
        ended: time(report.ended_ms),
        end: ended(report.end),
        up_minutes: report.up(),
        broken: broken.collect(),
        strangers: strangers.collect(),
        refund_minutes: decision.refund_minutes,
        action: match decision.action {
            Action::Nothing => "nothing",
            Action::Report => "report",
            Action::Refund => "refund",
        },
        offence: decision.hint.map(proofs::lock::Hint::text),
    }
}

const fn ended(end: End) -> &'static str {
    match end {
        End::Over => "its span is over",
        End::HourOver => "the hour is over",
        End::AgentStops => "the agent was told to stop",
        End::BrokeOff => "the agent broke off",
        End::ClockSetBack => "the clock was set back",
    }
}

impl Verified {
    fn text(&self, is_known: bool) -> String {
        let of = self.rental.zip(self.node).map_or_else(
            || "what is on offer and idle".to_owned(),
            |(rental, node)| format!("node {node} of {rental}"),
        );
        let known = if is_known {
            "the key that was asked for"
        } else {
            "whose it is was not asked: give --key"
        };
        let broken: Vec<String> = self
            .broken
            .iter()
            .map(|broken| format!("  :{:02}  {}\n", broken.minute, broken.why.join(", ")))
            .collect();
        let strangers: Vec<String> = self
            .strangers
            .iter()
            .map(|one| {
                let told = if one.stopped { ", told to end" } else { "" };
                format!(
                    "  {} (process {}) in {}{told}\n",
                    one.name,
                    one.pid,
                    count(one.minutes.into(), "minute")
                )
            })
            .collect();
        let heading = |title: &str, lines: &[String]| {
            if lines.is_empty() { String::new() } else { format!("\n{title}\n{}", lines.concat()) }
        };
        format!(
            "record   {}\nmachine  {}\nkey      {} ({known})\nof       {of}\n\
             hour     {}\nfrom     {}\nuntil    {} ({})\n\
             chain    part {}, after {}\nup       {}\nrefunds  {}\nfollows  {}{}\n{}{}\n\
             It holds: every byte has its place, its chain is whole, and the machine's key signed it.\n",
            self.record,
            self.worker,
            self.machine,
            self.hour,
            moment(self.began),
            moment(self.ended),
            self.end,
            self.part,
            self.previous,
            count(self.up_minutes.into(), "minute"),
            count(self.refund_minutes.into(), "minute"),
            self.action,
            self.offence.map_or_else(String::new, |offence| format!(", {offence}")),
            heading("Broken minutes", &broken),
            heading("Strangers", &strangers),
        )
    }
}
