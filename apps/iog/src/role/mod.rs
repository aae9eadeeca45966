//! The roles that this binary can take: each calls its shell and adds nothing but flags.

pub(crate) mod checked;
pub(crate) mod relay;
mod relay_listed;
mod relay_records;
pub(crate) mod server;
pub(crate) mod worker;

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal};
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use tracing_subscriber::EnvFilter;

/// How a role is tied to the process that started it, and what it logs.
#[derive(Debug, clap::Args)]
pub(crate) struct Ties {
    /// Log as JSON, a line an event.
    #[arg(long)]
    log_json: bool,
    /// What to log, as in `info` or `warn,server=debug`.
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: String,
    /// Stop when this process, which must be the parent, is gone.
    #[arg(long, value_name = "PID", hide = true)]
    with_parent: Option<i32>,
    /// Hold this file while running, so that others can wait for the end.
    #[arg(long, value_name = "FILE", hide = true)]
    hold: Option<PathBuf>,
}

impl Ties {
    /// Ties the process, and starts its log. What is returned is kept until the end.
    pub(crate) fn bind(&self) -> Result<Option<File>> {
        self.start_log()?;
        let held = self.hold.as_deref().map(|path| -> Result<File> {
            let file = OpenOptions::new().append(true).create(true).open(path)?;
            file.lock_shared()?;
            Ok(file)
        });
        let held = held.transpose().context("hold the file of roles")?;
        if let Some(parent) = self.with_parent {
            set_parent_process_death_signal(Some(Signal::TERM)).context("ask for a signal")?;
            // It may have gone before the signal was asked for.
            ensure!(getppid() == Pid::from_raw(parent), "stay with {parent}: it is gone");
        }
        Ok(held)
    }

    fn start_log(&self) -> Result<()> {
        let filter = EnvFilter::try_new(&self.log).context("read the filter of --log")?;
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
        match self.log_json {
            true => log.json().init(),
            false => log.with_ansi(io::stderr().is_terminal()).init(),
        }
        Ok(())
    }
}
