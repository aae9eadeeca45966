//! `iog jobs`: work on a rental.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use units::{BlobId, JobId, RentalId};
use wire::{JobRequest, JobView};

use crate::client::Client;
use crate::failure::Failure;
use crate::package::{self, Package};
use crate::screen::{Ink, Screen};
use crate::session::{Named, Session};
use crate::show::{bytes, moment};
use crate::table::{Table, cut};
use crate::verb::logs;

/// How much of a command is shown in a table.
const COMMAND_SHOWN: usize = 40;
/// How often a job is looked at when its log has ended.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// How often it is looked at then: its end is told right after its log, so a minute is long.
const LOOKS_MAX: u32 = 200;

/// Submit, list, show and stop jobs.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Run a command on the head of a rental's cluster.
    Submit(SubmitArgs),
    /// List the jobs of a rental.
    #[command(after_help = "Examples:\n  iog jobs list training\n  iog jobs list rnt_… --json")]
    List {
        /// The rental's id, or its name.
        rental: Named<RentalId>,
    },
    /// Show one job.
    #[command(after_help = "Examples:\n  iog jobs show job_…\n  iog jobs show job_… --json")]
    Show {
        /// Its id.
        job: JobId,
    },
    /// Stop a job.
    #[command(after_help = "Example:\n  iog jobs stop job_…")]
    Stop {
        /// Its id.
        job: JobId,
    },
}

/// Run a command on the head of a rental's cluster, in a folder that is sent along.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The job finds its folder as the working folder, and writes files worth keeping into $IOG_RESULTS.

Examples:
  iog jobs submit training --dir . --follow -- python train.py --epochs 3
  iog jobs submit rnt_… --env SEED=7 -- 'python -c \"import ray; ray.init(); print(ray.nodes())\"'
  iog jobs submit training --json -- nvidia-smi | jq -r .id")]
struct SubmitArgs {
    /// The rental's id, or its name.
    rental: Named<RentalId>,
    /// The folder to send along, at most 100 MiB.
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// An environment variable for it, as in NAME=VALUE.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    env: Vec<(String, String)>,
    /// Show what it writes until it is over; its failure is this program's.
    #[arg(long)]
    follow: bool,
    /// The command: one text for the shell, or a program and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl Args {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        match &self.verb {
            Verb::Submit(args) => args.run(session, &client),
            Verb::List { rental } => {
                let id = session.rental(&client, rental)?;
                let jobs: Vec<JobView> = client.pages(&format!("/v1/rentals/{id}/jobs"))?;
                session
                    .list(&jobs, "No job was submitted to it.", |jobs| table(jobs, session.screen))
            }
            Verb::Show { job } => {
                let job: JobView = client.get(&format!("/v1/jobs/{job}"))?;
                session.show(&job, |job| text(job, session.screen))
            }
            Verb::Stop { job } => {
                let job: JobView = client.tell(&format!("/v1/jobs/{job}/stop"))?;
                session.show(&job, |job| text(job, session.screen))
            }
        }
    }
}

impl SubmitArgs {
    fn run(&self, session: &Session, client: &Client) -> Result<(), Failure> {
        let screen = session.screen;
        let rental = session.rental(client, &self.rental)?;
        let package = self.dir.as_deref().map(packed).transpose()?;
        if let Some(package) = &package {
            let (files, size) = (package.files, package.bytes.len());
            let size = bytes(u64::try_from(size).unwrap_or(u64::MAX));
            screen.note(&format!("Sending {files} files, {size} packed."));
        }
        let env = self.env.iter().cloned().collect();
        let job = submit(client, rental, package, (entrypoint(&self.command), env))?;
        screen.note(&format!("Submitted as {}.", screen.paint(Ink::Strong, &job.id.to_string())));
        if !self.follow {
            return session.show(&job, |job| text(job, screen));
        }
        logs::follow(client, screen, job.id)?;
        let job = over(client, job.id)?;
        if session.json {
            screen.json(&job)?;
        }
        ended_well(&job, screen)
    }
}

fn packed(folder: &Path) -> Result<Package, Failure> {
    package::pack(folder).map_err(|why| {
        Failure::usage(format!("{why:#}"), "--dir names a folder of code that is sent along")
    })
}

/// Sends the package and submits the job.
pub(crate) fn submit(
    client: &Client,
    rental: RentalId,
    package: Option<Package>,
    (entrypoint, env): (String, BTreeMap<String, String>),
) -> Result<JobView, Failure> {
    let mut sent: Option<BlobId> = None;
    if let Some(package) = package {
        client.put_bytes(&format!("/v1/blobs/{}", package.id), package.bytes)?;
        sent = Some(package.id);
    }
    client
        .post(&format!("/v1/rentals/{rental}/jobs"), &JobRequest { entrypoint, package: sent, env })
}

/// The job once it is over; called when its log has ended.
pub(crate) fn over(client: &Client, id: JobId) -> Result<JobView, Failure> {
    for _ in 0..LOOKS_MAX {
        let job: JobView = client.get(&format!("/v1/jobs/{id}"))?;
        if job.ended_at.is_some() {
            return Ok(job);
        }
        thread::sleep(LOOK_EVERY);
    }
    Err(Failure::ended("the log ended, but not the job", format!("see `iog jobs show {id}`")))
}

/// Says how the job ended, and fails if it did.
pub(crate) fn ended_well(job: &JobView, screen: Screen) -> Result<(), Failure> {
    if job.state == "succeeded" {
        screen.note(&screen.paint(Ink::Good, "The job succeeded."));
        return Ok(());
    }
    let why = job.message.as_deref().map_or("it did not say why", gist);
    let hint = format!("`iog logs {}` shows all that it wrote", job.id);
    Err(Failure::ended(format!("the job {}: {why}", job.state), hint))
}

/// The first line of a message, without the announcement of a log that Ray puts after it.
fn gist(message: &str) -> &str {
    let line = message.lines().next().unwrap_or_default();
    line.split(", last available logs").next().unwrap_or(line)
}

/// One text is for the shell as it is; a program and its arguments are quoted.
fn entrypoint(command: &[String]) -> String {
    match command {
        [text] => text.clone(),
        words => words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "),
    }
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,@%+".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}

fn table(jobs: &[JobView], screen: Screen) -> String {
    let mut table = Table::new(&["JOB", "STATE", "SUBMITTED", "COMMAND"]);
    for job in jobs {
        table.row([
            job.id.to_string(),
            job.state.clone(),
            moment(job.submitted_at),
            cut(&job.entrypoint, COMMAND_SHOWN),
        ]);
    }
    table.text(screen)
}

fn text(job: &JobView, screen: Screen) -> String {
    let mut text = format!("{}\n", screen.paint(Ink::Strong, &job.id.to_string()));
    let mut line = |label: &str, value: &str| text.push_str(&format!("  {label:<12}{value}\n"));
    let asked = if job.stop_asked && job.ended_at.is_none() { ", asked to stop" } else { "" };
    line("state", &format!("{}{asked}", job.state));
    if let Some(message) = &job.message {
        line("message", gist(message));
    }
    line("rental", &job.rental.to_string());
    line("command", &job.entrypoint);
    line("submitted", &moment(job.submitted_at));
    if let Some(ended) = job.ended_at {
        line("ended", &moment(ended));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_arrives_as_it_was_typed() {
        for (words, expected) in [
            (&["python search.py | tee x"][..], "python search.py | tee x"),
            (&["python", "a.py", "--n=3"], "python a.py --n=3"),
            (&["echo", "it's", "", "a b"], r"echo 'it'\''s' '' 'a b'"),
        ] {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(entrypoint(&words), expected);
        }
    }

    #[test]
    fn a_message_is_told_in_one_line() {
        let message = "it failed with exit code 3, last available logs (truncated):\nlog\n";
        assert_eq!(gist(message), "it failed with exit code 3");
        assert_eq!(gist(""), "");
    }

    #[test]
    fn a_variable_has_a_name() {
        assert_eq!(pair("A=b=c"), Ok(("A".to_owned(), "b=c".to_owned())));
        assert!(pair("A").is_err() && pair("=b").is_err());
    }
}
