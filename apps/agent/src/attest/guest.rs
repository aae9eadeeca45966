//! The quote of a confidential virtual machine, as Linux hands it out: `configfs-tsm` (kernel 6.7 and later).
//!
//! ```text
//! mkdir  REPORTS/iog-…          makes a report
//! write  inblob                 64 bytes that the processor is to sign
//! read   provider               tdx_guest or sev_guest
//! read   outblob, auxblob       the quote, and what the host gives beside it
//! read   generation             has it grown by one, nobody else has asked for another report in between
//! rmdir
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use data_encoding::BASE64;

use crate::limits::{NAP, QUOTE_PATIENCE};

/// Where kernels have it.
pub(super) const REPORTS: &str = "/sys/kernel/config/tsm/report";

/// Whether this is a confidential virtual machine whose kernel hands out quotes.
pub(super) fn is_there(reports: &Path) -> bool {
    reports.is_dir()
}

/// A report that is being made; gone when dropped.
struct Report(PathBuf);

impl Drop for Report {
    fn drop(&mut self) {
        // A folder that stands in for the kernel's has files that must go first.
        if fs::remove_dir(&self.0).is_err() {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// A quote that carries this data.
pub(super) fn quote(reports: &Path, data: &[u8; 64]) -> Result<wire::CpuEvidence> {
    let report = Report(reports.join(format!("iog-{}", std::process::id())));
    // One of an agent that was killed.
    let _ = fs::remove_dir(&report.0);
    fs::create_dir(&report.0).context("ask the kernel for a report")?;
    let before = generation(&report.0);
    fs::write(report.0.join("inblob"), data).context("hand the kernel what is to be signed")?;
    let quote = read(&report.0, "outblob").context("read the kernel's quote")?;
    let aux = read_now(&report.0, "auxblob").unwrap_or_default();
    let provider = read(&report.0, "provider").context("read who made the quote")?;
    let after = generation(&report.0);
    // Where there is no count, as in a folder that stands in, there is nobody else either.
    ensure!(
        before.zip(after).is_none_or(|(before, after)| after == before + 1),
        "read the kernel's quote: somebody else asked for one in between"
    );
    Ok(wire::CpuEvidence {
        provider: String::from_utf8_lossy(&provider).trim().to_owned(),
        quote: BASE64.encode(&quote),
        aux: (!aux.is_empty()).then(|| BASE64.encode(&aux)),
    })
}

fn generation(report: &Path) -> Option<u64> {
    fs::read_to_string(report.join("generation")).ok()?.trim().parse().ok()
}

fn read_now(report: &Path, name: &str) -> io::Result<Vec<u8>> {
    fs::read(report.join(name))
}

/// What a file says. The kernel makes the quote while it is read, and says that it is busy while the host is; a folder
/// that stands in for it fills in its own time.
fn read(report: &Path, name: &str) -> io::Result<Vec<u8>> {
    let until = Instant::now() + QUOTE_PATIENCE;
    loop {
        match read_now(report, name) {
            Ok(bytes) if !bytes.is_empty() => return Ok(bytes),
            Err(fault) if !is_early(&fault) => return Err(fault),
            Err(fault) if Instant::now() >= until => return Err(fault),
            Ok(_) if Instant::now() >= until => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) | Err(_) => thread::sleep(NAP),
        }
    }
}

fn is_early(fault: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(
        fault.kind(),
        K::NotFound | K::WouldBlock | K::ResourceBusy | K::Interrupted | K::TimedOut
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::scratch::Scratch;

    /// Stands in for a kernel that answers one question, with a count of reports before and after.
    fn kernel(reports: &Path, after: &'static str) -> thread::JoinHandle<Vec<u8>> {
        let report = reports.join(format!("iog-{}", std::process::id()));
        thread::spawn(move || {
            let asked = loop {
                match fs::read(report.join("inblob")) {
                    Ok(bytes) if bytes.len() == 64 => break bytes,
                    Ok(_) | Err(_) => thread::yield_now(),
                }
            };
            fs::write(report.join("provider"), "tdx_guest\n").unwrap();
            fs::write(report.join("auxblob"), "beside").unwrap();
            fs::write(report.join("generation"), after).unwrap();
            fs::write(report.join("half"), "a quote").unwrap();
            fs::rename(report.join("half"), report.join("outblob")).unwrap();
            asked
        })
    }

    #[test]
    fn a_kernel_is_asked_with_the_data_and_nothing_stays_behind() {
        let scratch = Scratch::new("attest-guest");
        let answered = kernel(scratch.path(), "1");
        let quote = quote(scratch.path(), &[7; 64]).unwrap();
        assert_eq!(answered.join().unwrap(), [7; 64]);
        assert_eq!(
            (quote.provider.as_str(), quote.quote),
            ("tdx_guest", BASE64.encode(b"a quote"))
        );
        assert_eq!(quote.aux, Some(BASE64.encode(b"beside")));
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_machine_that_is_no_guest_has_no_place_to_ask() {
        assert!(!is_there(Path::new("/nowhere/tsm/report")));
        assert!(quote(Path::new("/nowhere/tsm/report"), &[0; 64]).is_err());
    }
}
