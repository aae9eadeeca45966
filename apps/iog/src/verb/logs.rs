//! `iog logs`: what a job writes.

use std::io::{self, Read, Write};

use anyhow::Context;
use units::JobId;
use wire::JobView;

use crate::client::Client;
use crate::failure::Failure;
use crate::screen::Screen;
use crate::session::Session;

/// How much is read at once.
const PIECE: usize = 16 << 10;
/// How often a log that is followed may break off without a new byte.
const BREAKS_MAX: u32 = 5;

/// Show what a job has written so far, or follow it to its end.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  iog logs job_…\n  iog logs job_… --follow | grep accuracy")]
pub(crate) struct Args {
    /// The job.
    job: JobId,
    /// Go on until the job is over.
    #[arg(long, short)]
    follow: bool,
}

impl Args {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        if self.follow {
            return follow(&client, session.screen, self.job);
        }
        let mut log = client.stream(&format!("/v1/jobs/{}/log?offset=0", self.job))?;
        copy(&mut log, &mut 0, &mut io::stdout().lock())
    }
}

/// Writes the log to standard output until the job is over. A log that breaks off is taken up where it was.
pub(crate) fn follow(client: &Client, screen: Screen, job: JobId) -> Result<(), Failure> {
    follow_into(client, screen, job, &mut io::stdout())
}

/// Writes the log until the job is over.
pub(crate) fn follow_into(
    client: &Client,
    screen: Screen,
    job: JobId,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let (mut offset, mut breaks) = (0, 0);
    loop {
        let before = offset;
        let log = client.stream(&format!("/v1/jobs/{job}/log?offset={offset}&follow=true"));
        let copied = log.and_then(|mut log| copy(&mut log, &mut offset, out));
        let cut = match copied {
            Ok(()) => {
                let job: JobView = client.get(&format!("/v1/jobs/{job}"))?;
                if job.ended_at.is_some() {
                    return Ok(());
                }
                None
            }
            Err(failure) if failure.nobody_reads() => return Err(failure),
            Err(failure) => Some(failure),
        };
        breaks = if offset > before { 0 } else { breaks + 1 };
        if breaks > BREAKS_MAX {
            let silent = || Failure::ended("the log breaks off again and again", "try later");
            return Err(cut.unwrap_or_else(silent));
        }
        if let Some(cut) = cut {
            screen.note(&format!("(taking the log up again: {})", cut.text(screen)));
        }
    }
}

fn copy(log: &mut impl Read, offset: &mut u64, out: &mut dyn Write) -> Result<(), Failure> {
    let mut piece = vec![0; PIECE];
    loop {
        let length = log.read(&mut piece).context("read the log")?;
        if length == 0 {
            return Ok(());
        }
        out.write_all(&piece[..length]).and_then(|()| out.flush()).context("write the log")?;
        *offset = offset.saturating_add(u64::try_from(length).unwrap_or(0));
    }
}
