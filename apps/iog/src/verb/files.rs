//! `iog files`: what a job left behind.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use units::JobId;
use wire::FileView;

use crate::client::{Client, escaped_path};
use crate::failure::Failure;
use crate::screen::Screen;
use crate::session::Session;
use crate::show::bytes;
use crate::table::Table;

/// List the files that a job wrote into `$IOG_RESULTS`, or fetch one of them.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  iog files job_…
  iog files job_… result.json                  fetch it into the current folder
  iog files job_… model/best.bin --out best.bin
  iog files job_… result.json --out - | jq .")]
pub(crate) struct Args {
    /// The job.
    job: JobId,
    /// Fetch this file.
    path: Option<String>,
    /// Where to write it: a new file, or - for standard output. By default a file of the same name here.
    #[arg(long, value_name = "FILE", requires = "path")]
    out: Option<PathBuf>,
}

impl Args {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        match &self.path {
            Some(path) => self.fetch(&client, path, session.screen),
            None => {
                let files: Vec<FileView> = client.pages(&format!("/v1/jobs/{}/files", self.job))?;
                session
                    .list(&files, "The job wrote no files.", |files| table(files, session.screen))
            }
        }
    }

    fn fetch(&self, client: &Client, path: &str, screen: Screen) -> Result<(), Failure> {
        let mut file = client.stream(&address(self.job, path))?;
        if self.out.as_deref() == Some(Path::new("-")) {
            let mut out = io::stdout().lock();
            io::copy(&mut file, &mut out).and_then(|_| out.flush()).context("copy the file")?;
            return Ok(());
        }
        let own_name = Path::new(path).file_name().map(PathBuf::from);
        let Some(target) = self.out.clone().or(own_name) else {
            return Err(Failure::usage(
                "that file has no name",
                "say where to write it: --out FILE",
            ));
        };
        let mut out = new_file(&target)?;
        let length = io::copy(&mut file, &mut out)
            .with_context(|| format!("copy the file to {}", target.display()))?;
        screen.note(&format!("Wrote {} ({}).", target.display(), bytes(length)));
        Ok(())
    }
}

/// Where a file of a job is fetched.
pub(crate) fn address(job: JobId, path: &str) -> String {
    format!("/v1/jobs/{job}/files/{}", escaped_path(path))
}

fn new_file(path: &Path) -> Result<std::fs::File, Failure> {
    OpenOptions::new().write(true).create_new(true).open(path).map_err(|why| {
        if why.kind() == io::ErrorKind::AlreadyExists {
            let what = format!("{} exists", path.display());
            return Failure::usage(what, "remove it, or name another file with --out");
        }
        let what = format!("write {}", path.display());
        Failure::Fault(anyhow::Error::new(why).context(what))
    })
}

fn table(files: &[FileView], screen: Screen) -> String {
    let mut table = Table::new(&["PATH", ">SIZE"]);
    for file in files {
        table.row([file.path.clone(), bytes(file.bytes)]);
    }
    table.text(screen)
}
