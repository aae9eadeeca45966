//! What this machine has, as its kernel and its drivers say.
//!
//! Reading and understanding are apart: [`text`] turns what `/proc` says into numbers, this file reads.

mod gpus;
pub mod text;

use std::fs;
use std::path::Path;

use data_encoding::HEXLOWER;
use rustix::fs::StatVfs;
use sha2::{Digest, Sha256};
use units::Resources;

use gpus::gpus_and_trouble;
pub use gpus::{Driver, Gpu, Gpus, LIBRARY, Occupant, Pulse, cuda, gpus};

/// Bytes in the unit that memory and disk are told in.
const MIB: u64 = 1 << 20;

/// A connection to a network.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// How fast it says it is, in megabits a second; `None` where it does not say.
    pub speed_mbps: Option<u32>,
}

/// What this machine has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hardware {
    /// Hardware threads the agent may use.
    pub vcpus: u32,
    /// The processor's name.
    pub cpu_model: String,
    /// Main memory the agent may use, in mebibytes.
    pub memory_mib: u64,
    /// The disk where workloads will be, whatever is free of it, in mebibytes.
    pub disk_mib: u64,
    /// Free disk where workloads will be, in mebibytes.
    pub disk_free_mib: u64,
    /// The operating system's name.
    pub system: String,
    /// The kernel's release.
    pub kernel: String,
    /// Connections to networks, without loopback.
    pub links: Vec<Link>,
    /// Graphics cards that a driver answers for.
    pub gpus: Vec<Gpu>,
    /// What is wrong where there is a graphics card, or a driver, that does not answer.
    pub gpu_trouble: Option<String>,
    /// Says "the same machine" without saying which: a hash of things that stay.
    pub fingerprint: [u8; 32],
}

impl Hardware {
    /// What the machine has to give.
    pub fn resources(&self) -> Resources {
        Resources {
            gpus: u32::try_from(self.gpus.len()).unwrap_or(u32::MAX),
            vcpus: self.vcpus,
            memory_mib: self.memory_mib,
            disk_mib: self.disk_free_mib,
        }
    }

    /// The fingerprint in hexadecimal digits.
    pub fn fingerprint_text(&self) -> String {
        HEXLOWER.encode(&self.fingerprint)
    }
}

/// A file's text, or nothing.
fn read(path: impl AsRef<Path>) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// Looks at the machine. `data_dir` is where workloads will be; `driver` is the graphics driver's library, where it is
/// not among the system's.
pub fn look(data_dir: &Path, driver: Option<&Path>) -> Hardware {
    let cpu_model = text::cpu_model(&read("/proc/cpuinfo")).unwrap_or_else(|| "unknown".to_owned());
    let (gpus, gpu_trouble) = gpus_and_trouble(driver);
    let identity = Identity {
        machine: read("/etc/machine-id").trim().to_owned(),
        board: read("/sys/class/dmi/id/board_serial").trim().to_owned(),
        cpu: cpu_model.clone(),
        gpus: gpus.iter().map(|gpu| gpu.uuid.clone()).collect(),
    };
    Hardware {
        vcpus: vcpus(),
        cpu_model,
        memory_mib: memory_bytes() / MIB,
        disk_mib: disk_bytes(data_dir, |about| about.f_blocks) / MIB,
        disk_free_mib: disk_bytes(data_dir, |about| about.f_bavail) / MIB,
        system: text::system_name(&read("/etc/os-release")).unwrap_or_else(|| "unknown".to_owned()),
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        links: links(),
        fingerprint: identity.fingerprint(),
        gpus,
        gpu_trouble,
    }
}

/// What makes a machine this one.
#[derive(Clone, Debug)]
struct Identity {
    machine: String,
    board: String,
    cpu: String,
    gpus: Vec<String>,
}

impl Identity {
    /// A hash of all of it. Parts are prefixed by their length, so that no two machines say the same by saying it
    /// in other places; cards are sorted, because a driver may count them in another order tomorrow.
    fn fingerprint(mut self) -> [u8; 32] {
        self.gpus.sort();
        let fixed = [self.machine, self.board, self.cpu];
        let mut hash = Sha256::new();
        hash.update(b"iog-hardware-1\n");
        for part in fixed.iter().chain(&self.gpus) {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}

/// Threads the scheduler lets us use, and no more than the control group pays for.
fn vcpus() -> u32 {
    let allowed = text::allowed_cpus(&read("/proc/self/status")).unwrap_or(1);
    let group = read("/proc/self/cgroup");
    let limits = text::group_folders(&group, "cpu").into_iter().filter_map(|folder| {
        text::quota_v2(&read(format!("{folder}/cpu.max"))).or_else(|| {
            let period = read(format!("{folder}/cpu.cfs_period_us"));
            text::quota_v1(&read(format!("{folder}/cpu.cfs_quota_us")), &period)
        })
    });
    limits.fold(allowed, u32::min).max(1)
}

/// Memory of the machine, or the least that a control group above us allows.
fn memory_bytes() -> u64 {
    let whole = text::memory_total(&read("/proc/meminfo")).unwrap_or_default();
    let group = read("/proc/self/cgroup");
    let limits = text::group_folders(&group, "memory").into_iter().flat_map(|folder| {
        ["memory.max", "memory.limit_in_bytes"]
            .map(|name| read(format!("{folder}/{name}")).trim().parse::<u64>())
    });
    limits.flatten().fold(whole, u64::min)
}

/// What the file system says of this folder, or of the nearest one above it that exists, in bytes: all that it has, or
/// what an ordinary user may still write.
fn disk_bytes(folder: &Path, blocks: impl Fn(&StatVfs) -> u64) -> u64 {
    // A name without a folder is in the folder where the agent runs.
    let existing = folder.ancestors().filter(|folder| !folder.as_os_str().is_empty());
    let existing = existing.chain([Path::new(".")]).find(|folder| folder.exists());
    let about = existing.and_then(|folder| rustix::fs::statvfs(folder).ok());
    about.map_or(0, |about| blocks(&about).saturating_mul(about.f_frsize))
}

fn links() -> Vec<Link> {
    let Ok(entries) = fs::read_dir("/sys/class/net") else { return Vec::new() };
    let name_of = |entry: fs::DirEntry| entry.file_name().into_string().ok();
    let mut links: Vec<Link> = entries
        .flatten()
        .filter_map(name_of)
        .filter(|name| name != "lo")
        .map(|name| {
            let speed_mbps = text::link_speed(&read(format!("/sys/class/net/{name}/speed")));
            Link { name, speed_mbps }
        })
        .collect();
    links.sort();
    links
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        let text = |text: &str| text.to_owned();
        Identity {
            machine: text("m"),
            board: text("b"),
            cpu: text("c"),
            gpus: vec![text("g1"), text("g2")],
        }
    }

    #[test]
    fn a_fingerprint_is_of_the_machine_and_not_of_the_order_of_its_cards() {
        let whole = identity().fingerprint();
        let mut turned = identity();
        turned.gpus.reverse();
        assert_eq!(turned.fingerprint(), whole);
        assert_ne!(Identity { board: String::new(), ..identity() }.fingerprint(), whole);
        let moved = Identity { machine: "mb".to_owned(), board: String::new(), ..identity() };
        assert_ne!(moved.fingerprint(), whole);
    }

    #[test]
    fn this_machine_has_something() {
        let hardware = look(&std::env::temp_dir().join("not/there"), None);
        assert!(hardware.vcpus >= 1 && hardware.memory_mib > 0 && hardware.disk_free_mib > 0);
        assert_eq!(hardware.fingerprint, look(Path::new("/"), None).fingerprint);
        assert_eq!(hardware.fingerprint_text().len(), 64);
    }
}
