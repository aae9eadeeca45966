//! How fast the disk writes and reads one block after the other, past the kernel's memory where it lets us.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use rustix::fs::{Advice, OFlags, fadvise};

use crate::limits::{DISK_TEST_BYTES, DISK_TEST_TIME};

/// Bytes written at once: long enough that the disk's own pace is seen.
const BLOCK: usize = 4 << 20;
/// Where a block must begin in memory to go past the kernel's.
const ALIGNED: usize = 4096;

/// How fast a disk is, in mebibytes a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DiskSpeed {
    /// Writing.
    pub(crate) write: u32,
    /// Reading.
    pub(crate) read: u32,
    /// Whether the kernel's memory was passed by. Where it was not, what is read may never have left it.
    pub(crate) direct: bool,
}

/// Measures the disk under this folder, which is made where it is missing, with a file that is gone afterward.
///
/// # Errors
/// If the disk does not take the file, or does not give it back as it was.
pub(crate) fn measure(folder: &Path) -> Result<DiskSpeed> {
    std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let path = folder.join(format!("speed-{}.test", std::process::id()));
    let mut block = Block::of_chance()?;
    let direct = open(&path, true).and_then(|mut opened| opened.write_all(block.bytes()));
    let direct = direct.is_ok();
    let mut opened = open(&path, direct).context("write a test file")?;
    let (written, write) = write(&mut opened, &block).context("write a test file")?;
    // What the kernel still has of it is not what the disk gives.
    let _ = fadvise(&opened, 0, None, Advice::DontNeed);
    let read = read(&mut opened, &mut block, written).context("read the test file")?;
    Ok(DiskSpeed { write, read, direct })
}

/// A file without a name, which is gone with whoever holds it, however they end.
fn open(path: &Path, direct: bool) -> io::Result<File> {
    let flags = if direct { OFlags::DIRECT } else { OFlags::empty() };
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true);
    let opened = options.custom_flags(flags).open(path);
    // One that was made although it does not open like this goes, too.
    let _ = std::fs::remove_file(path);
    opened
}

/// A block of bytes that no disk can make shorter.
struct Block {
    bytes: Vec<u8>,
    from: usize,
}

impl Block {
    fn of_chance() -> Result<Self> {
        let mut bytes = vec![0; BLOCK + ALIGNED];
        getrandom::fill(&mut bytes).map_err(|why| anyhow!("get chance: {why}"))?;
        let from = bytes.as_ptr().align_offset(ALIGNED).min(ALIGNED);
        Ok(Self { bytes, from })
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[self.from..self.from + BLOCK]
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.from..self.from + BLOCK]
    }
}

/// Writes until the bytes or the time are over, and until all of it is on the disk: how much, and how fast.
fn write(file: &mut File, block: &Block) -> io::Result<(u64, u32)> {
    let begun = Instant::now();
    let mut written = 0;
    while written < DISK_TEST_BYTES && begun.elapsed() < DISK_TEST_TIME {
        file.write_all(block.bytes())?;
        written += BLOCK as u64;
    }
    file.sync_all()?;
    Ok((written, per_second(written, begun.elapsed())))
}

fn read(file: &mut File, block: &mut Block, written: u64) -> io::Result<u32> {
    let first = block.bytes()[..ALIGNED].to_vec();
    file.seek(SeekFrom::Start(0))?;
    let begun = Instant::now();
    let mut done = 0;
    while done < written && begun.elapsed() < DISK_TEST_TIME {
        file.read_exact(block.bytes_mut())?;
        if block.bytes()[..ALIGNED] != first {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not what was written"));
        }
        done += BLOCK as u64;
    }
    Ok(per_second(done, begun.elapsed()))
}

fn per_second(bytes: u64, span: Duration) -> u32 {
    let mib = u128::from(bytes) * 1_000_000 / span.as_micros().max(1) / (1 << 20);
    u32::try_from(mib).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::scratch::Scratch;

    #[test]
    fn a_disk_is_measured_and_nothing_stays() {
        let scratch = Scratch::new("disk");
        let speed = measure(&scratch.path().join("made")).unwrap();
        assert!(speed.write > 0 && speed.read > 0, "{speed:?}");
        assert_eq!(std::fs::read_dir(scratch.path().join("made")).unwrap().count(), 0);
    }

    #[test]
    fn speed_is_bytes_by_time() {
        assert_eq!(per_second(256 << 20, Duration::from_millis(500)), 512);
        assert_eq!(per_second(0, Duration::ZERO), 0);
    }
}
