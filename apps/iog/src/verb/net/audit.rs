//! Records of connections, checked here.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;
use wire::audit::{
    Comparison, FlowComparison, LINE_BYTES_MAX, Record, Verified, Verifier, compare, compare_flows,
    otlp,
};
use wire::paper::NodeKey;

use crate::failure::Failure;
use crate::file::unread;
use crate::screen::Screen;

/// Records that are printed as one request to a collector.
const EXPORTED_AT_ONCE: usize = 1000;
/// Records that are compared at once, of both sides together; more of them are compared by parts of logs.
const COMPARED_MAX: usize = 1_000_000;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Check that a log is what its node wrote, to the last seal.
    #[command(after_help = "Example:\n  iog net audit verify audit.jsonl --node KEY")]
    Verify(FileArgs),
    /// Compare two logs, to the byte: streams of a relay and a node, connections of two members.
    #[command(after_help = "Example:\n  iog net audit compare relay.jsonl node.jsonl")]
    Compare(CompareArgs),
    /// Print a log for a collector: OpenTelemetry's logs in JSON, a line for each thousand records.
    #[command(after_help = "\
Records behind the last seal are not printed.

Example:
  iog net audit export audit.jsonl | while read -r request; do
    curl -sS --json \"$request\" http://localhost:4318/v1/logs
  done")]
    Export(FileArgs),
}

#[derive(Debug, clap::Args)]
struct FileArgs {
    /// The log.
    file: PathBuf,
    /// The node whose log it must be: its public key, in hexadecimal.
    #[arg(long, value_name = "KEY")]
    node: Option<NodeKey>,
}

#[derive(Debug, clap::Args)]
struct CompareArgs {
    /// A log.
    one: PathBuf,
    /// The log of the other side.
    other: PathBuf,
}

/// What a log came to.
#[derive(Debug, Default, Serialize)]
struct Figures {
    node: Option<NodeKey>,
    first_segment: u64,
    segments: u64,
    records: u64,
    unsealed: u64,
    lost: u64,
    flows: u64,
    stopped: u64,
    streams: u64,
    bytes: u64,
}

/// What two logs came to.
#[derive(Debug, Serialize)]
struct Compared {
    streams: u64,
    stream_bytes: u64,
    connections: u64,
    lossy: u64,
    lost_bytes: u64,
    open: u64,
    gaps: Vec<String>,
}

impl Args {
    pub(super) fn run(&self, screen: Screen, json: bool) -> Result<(), Failure> {
        match &self.verb {
            Verb::Verify(args) => args.verify(screen, json),
            Verb::Compare(args) => args.run(screen, json),
            Verb::Export(args) => args.export(screen),
        }
    }
}

/// Reads a log, and hands over each record that is sealed, a segment's at a time.
fn read(
    file: &Path,
    node: Option<NodeKey>,
    mut each: impl FnMut(&NodeKey, Vec<Record>) -> Result<(), Failure>,
) -> Result<Verified, Failure> {
    let fault = || format!("read {}", file.display());
    let opened = File::open(file).map_err(|fault| unread(file, &fault))?;
    let mut lines = BufReader::new(opened);
    let (mut verifier, mut open) = (Verifier::new(node), Vec::new());
    let mut sealed = 0;
    while let Some(line) = next_line(&mut lines).with_context(fault)? {
        let record = verifier.line(&line).map_err(|broken| {
            let what = format!("{}: {broken}", file.display());
            Failure::refused(what, "what stands behind this line says nothing")
        })?;
        open.extend(record);
        let so_far = verifier.so_far();
        if so_far.segments > sealed
            && let Some(node) = &so_far.node
        {
            sealed = so_far.segments;
            each(node, std::mem::take(&mut open))?;
        }
    }
    Ok(verifier.finish())
}

/// The next line without its end; one that is too long comes cut, and is refused for its length.
fn next_line(lines: &mut impl BufRead) -> std::io::Result<Option<String>> {
    let mut line = Vec::new();
    let most = u64::try_from(LINE_BYTES_MAX + 2).unwrap_or(u64::MAX);
    if lines.by_ref().take(most).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Ok(Some(String::from_utf8_lossy(&line).into_owned()))
}

impl FileArgs {
    fn verify(&self, screen: Screen, json: bool) -> Result<(), Failure> {
        let mut figures = Figures::default();
        let verified = read(&self.file, self.node, |_, records| {
            records.iter().for_each(|record| figures.count(record));
            Ok(())
        })?;
        if verified.node.is_none() {
            let what = format!("{}: there is no line in it", self.file.display());
            return Err(Failure::refused(what, "a log begins with a segment"));
        }
        figures.node = verified.node;
        figures.first_segment = verified.first;
        (figures.segments, figures.records) = (verified.segments, verified.sealed);
        (figures.unsealed, figures.lost) = (verified.unsealed, verified.lost);
        if json { screen.json(&figures) } else { screen.data(&figures.text()) }
    }

    fn export(&self, screen: Screen) -> Result<(), Failure> {
        let print = |node: &NodeKey, records: Vec<Record>| {
            records.chunks(EXPORTED_AT_ONCE).try_for_each(|records| {
                let request = serde_json::to_string(&otlp(node, records)).context("write JSON")?;
                screen.data(&format!("{request}\n"))
            })
        };
        read(&self.file, self.node, print).map(drop)
    }
}

impl Figures {
    fn count(&mut self, record: &Record) {
        match record {
            Record::Flow(flow) => {
                self.flows += u64::from(flow.verdict.is_allowed());
                self.stopped += u64::from(!flow.verdict.is_allowed());
                if flow.verdict.is_allowed() {
                    self.bytes = self.bytes.saturating_add(flow.forth.bytes);
                    self.bytes = self.bytes.saturating_add(flow.back.bytes);
                }
            }
            Record::Stream(stream) => {
                self.streams += 1;
                self.bytes = self.bytes.saturating_add(stream.to_service);
                self.bytes = self.bytes.saturating_add(stream.to_visitor);
            }
            Record::Refused(_) => self.stopped += 1,
            Record::Lost(_) => {}
        }
    }

    fn text(&self) -> String {
        let node = self.node.map(|node| node.to_string()).unwrap_or_default();
        let last = self.first_segment + self.segments.saturating_sub(1);
        let mut text = format!(
            "node      {node}\nsegments  {} from {} to {last}, all sealed by it\nrecords   {}: {} of connections, \
             {} of what was stopped, {} of streams\nbytes     {}\n",
            self.segments,
            self.first_segment,
            self.records,
            self.flows,
            self.stopped,
            self.streams,
            self.bytes
        );
        if self.unsealed > 0 {
            text.push_str(&format!(
                "unsealed  {} records at the end, not counted\n",
                self.unsealed
            ));
        }
        if self.lost > 0 {
            text.push_str(&format!("lost      {} records, as the log says\n", self.lost));
        }
        text
    }
}

impl CompareArgs {
    fn run(&self, screen: Screen, json: bool) -> Result<(), Failure> {
        let (mut streams, mut flows) = (Vec::new(), Vec::new());
        for file in [&self.one, &self.other] {
            read(file, None, |_, records| {
                for record in records {
                    match record {
                        Record::Stream(stream) => streams.push(stream),
                        Record::Flow(flow) => flows.push(flow),
                        Record::Refused(_) | Record::Lost(_) => {}
                    }
                }
                if streams.len() + flows.len() > COMPARED_MAX {
                    let what = format!("there are more than {COMPARED_MAX} records");
                    return Err(Failure::usage(what, "compare a few segments at a time"));
                }
                Ok(())
            })?;
        }
        let compared = Compared::of(&compare(&streams), &compare_flows(&flows));
        if json {
            screen.json(&compared)?;
        } else {
            screen.data(&compared.text())?;
        }
        match compared.gaps.len() {
            0 => Ok(()),
            differ => {
                let hint = "what is still open at one side is written later";
                Err(Failure::refused(format!("{differ} of them differ"), hint))
            }
        }
    }
}

impl Compared {
    fn of(streams: &Comparison, flows: &FlowComparison) -> Self {
        let of_streams = streams.gaps.iter().map(ToString::to_string);
        Self {
            streams: streams.equal,
            stream_bytes: streams.bytes,
            connections: flows.equal,
            lossy: flows.lossy,
            lost_bytes: flows.lost_bytes,
            open: flows.open,
            gaps: of_streams.chain(flows.gaps.iter().map(ToString::to_string)).collect(),
        }
    }

    fn text(&self) -> String {
        let Self { streams, stream_bytes, connections, lossy, lost_bytes, open, gaps } = self;
        let mut text = format!(
            "streams      {streams} equal, with {stream_bytes} bytes\n\
             connections  {connections} equal, {lossy} with {lost_bytes} bytes lost on their way, {open} open\n"
        );
        gaps.iter().for_each(|gap| text.push_str(&format!("{gap}\n")));
        text
    }
}
