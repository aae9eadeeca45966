//! The kernel's side: entering namespaces, tools with bounded time, and what earlier processes left behind.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal};
use rustix::thread::LinkNameSpaceType;

/// Where `ip netns` keeps names.
const NETNS_FOLDER: &str = "/run/netns";
/// Where `ip netns exec` finds files that stand for those in `/etc`.
const CONFIG_FOLDER: &str = "/etc/netns";
/// What every namespace's name begins with; the process's id follows.
pub(crate) const MARK: &str = "iog-";
/// No tool takes a second by itself; a machine under load may take many.
const TOOL_SECONDS_MAX: Duration = Duration::from_secs(30);
/// The end of any wait here for something that a network does by itself.
pub const NETWORK_SECONDS_MAX: Duration = Duration::from_secs(20);
/// How often the kernel is asked again where it tells nobody.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Who comes back to a failed test comes back within a day.
const LOGS_KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Programs that must be there, and which package of Debian's brings each.
const TOOLS: [(&str, &str); 4] =
    [("ip", "iproute2"), ("nft", "nftables"), ("conntrack", "conntrack"), ("ethtool", "ethtool")];
/// Where those may be though the path does not say so.
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin";

/// Why no network can be built here; tried once.
pub(crate) fn obstacle() -> Option<&'static str> {
    static OBSTACLE: OnceLock<Option<String>> = OnceLock::new();
    OBSTACLE.get_or_init(|| try_all().err().map(|fault| format!("{fault:#}"))).as_deref()
}

fn try_all() -> anyhow::Result<()> {
    for (tool, package) in TOOLS {
        let found = SYSTEM_PATH.split(':').any(|folder| Path::new(folder).join(tool).exists());
        if !found {
            bail!(
                "`{tool}` is missing: `./x setup` installs it, as does `apt-get install {package}`"
            );
        }
    }
    if !rustix::process::geteuid().is_root() {
        bail!("namespaces need root");
    }
    let name = format!("{MARK}{}-try", std::process::id());
    ip(&format!("netns add {name}\n"))
        .context("this kernel or container lets nobody make namespaces")?;
    let tried = inside(&name, || ip("link add name one type veth peer name two\n"));
    remove(&[name]);
    tried.context("this kernel has no veth")
}

/// Does something in a namespace, on a thread of its own. Sockets opened and processes started there stay there.
pub(crate) fn inside<T: Send>(
    netns: &str,
    act: impl FnOnce() -> anyhow::Result<T> + Send,
) -> anyhow::Result<T> {
    let entered = || {
        enter(netns)?;
        act()
    };
    std::thread::scope(|scope| match scope.spawn(entered).join() {
        Ok(outcome) => outcome,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

/// Moves the calling thread, for good.
pub(crate) fn enter(netns: &str) -> anyhow::Result<()> {
    let path = path(netns);
    let file = fs::File::open(&path).with_context(|| format!("open {}", path.display()))?;
    rustix::thread::move_into_link_name_space(
        std::os::fd::AsFd::as_fd(&file),
        Some(LinkNameSpaceType::Network),
    )
    .with_context(|| format!("enter {netns}"))
}

fn path(netns: &str) -> PathBuf {
    Path::new(NETNS_FOLDER).join(netns)
}

pub(crate) fn config_folder(netns: &str) -> PathBuf {
    Path::new(CONFIG_FOLDER).join(netns)
}

/// Lines for `ip`, in the calling thread's namespace. Stops at the first that fails.
pub(crate) fn ip(lines: &str) -> anyhow::Result<()> {
    tool("ip", &["-batch", "-"], lines)
}

/// Rules for `nft`, in the calling thread's namespace: all or nothing.
pub(crate) fn nft(rules: &str) -> anyhow::Result<()> {
    tool("nft", &["-f", "-"], rules)
}

/// Runs a tool on some input, and fails by what it says, or when it takes too long.
pub(crate) fn tool(program: &str, arguments: &[&str], input: &str) -> anyhow::Result<()> {
    let mut command = Command::new(program);
    command.args(arguments).env("PATH", SYSTEM_PATH);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("start {program}"))?;
    let mut stdin = child.stdin.take().expect("it was piped");
    // A tool that stopped reading says why, and that is worth more.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let Some(status) = wait(&mut child, TOOL_SECONDS_MAX)? else {
        let _ = child.kill();
        let _ = child.wait();
        bail!("{program} took more than {} s", TOOL_SECONDS_MAX.as_secs());
    };
    let mut said = String::new();
    let mut stderr = child.stderr.take().expect("it was piped");
    stderr.read_to_string(&mut said).context("read what a tool said")?;
    if !status.success() {
        bail!("{program} {}: {}\nit was told:\n{input}", arguments.join(" "), said.trim());
    }
    Ok(())
}

/// Waits for a process, without looking again and again.
pub(crate) fn wait(
    child: &mut Child,
    within: Duration,
) -> anyhow::Result<Option<std::process::ExitStatus>> {
    let end = Instant::now() + within;
    let pid = Pid::from_child(child);
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).context("watch a process")?;
    loop {
        if let Some(status) = child.try_wait().context("wait for a process")? {
            return Ok(Some(status));
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        let left = Timespec::try_from(left).context("say how long to wait")?;
        let mut polled = [PollFd::new(&pidfd, PollFlags::IN)];
        match rustix::event::poll(&mut polled, Some(&left)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(fault) => return Err(io::Error::from(fault)).context("wait for a process"),
        }
    }
}

/// Until an interface of the calling thread's namespace is in use by the kernel, or no longer.
pub(crate) fn until_running(interface: &str, running: bool) -> anyhow::Result<()> {
    let end = Instant::now() + NETWORK_SECONDS_MAX;
    while is_running(interface)? != running {
        if Instant::now() >= end {
            bail!("{interface} did not change within {} s", NETWORK_SECONDS_MAX.as_secs());
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

fn is_running(interface: &str) -> anyhow::Result<bool> {
    let mut all = nix::ifaddrs::getifaddrs().context("list interfaces")?;
    let entry = all.find(|entry| entry.interface_name == interface);
    let entry = entry.with_context(|| format!("there is no interface {interface}"))?;
    Ok(entry.flags.contains(nix::net::if_::InterfaceFlags::IFF_RUNNING))
}

/// Removes namespaces, and ends what runs in them.
pub(crate) fn remove(names: &[String]) {
    end_all_inside(names);
    let mut lines = String::new();
    for name in names {
        lines += &format!("netns delete {name}\n");
    }
    // Forced: one that is gone must not keep the others.
    let _ = tool("ip", &["-force", "-batch", "-"], &lines);
    for name in names {
        let _ = fs::remove_dir_all(config_folder(name));
    }
}

/// Removes what processes that are gone have left behind, by the ids in the names, and what has names that begin with
/// `prefix`: an earlier process may have had our id.
pub(crate) fn sweep(prefix: &str) {
    let Ok(entries) = fs::read_dir(NETNS_FOLDER) else { return };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let orphans: Vec<String> =
        names.filter(|name| is_orphan(name) || name.starts_with(&format!("{prefix}-"))).collect();
    if !orphans.is_empty() {
        remove(&orphans);
    }
    sweep_logs();
}

/// Where programs' words are kept, a folder for each rig.
pub(crate) fn logs_folder() -> PathBuf {
    std::env::temp_dir().join("iog-namespaces")
}

/// Removes logs of tests that failed or were killed, once nobody is likely to read them.
fn sweep_logs() {
    let Ok(entries) = fs::read_dir(logs_folder()) else { return };
    for entry in entries.flatten() {
        let age = entry.metadata().and_then(|metadata| metadata.modified()).map(|at| at.elapsed());
        let is_old = age.is_ok_and(|age| age.is_ok_and(|age| age > LOGS_KEPT));
        if is_old && entry.file_name().to_str().is_some_and(is_orphan) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn is_orphan(name: &str) -> bool {
    let pid = name.strip_prefix(MARK).and_then(|rest| rest.split('-').next());
    let pid = pid.and_then(|pid| pid.parse::<u32>().ok());
    pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists())
}

/// Whatever still runs in a namespace was started in a test of ours. This process itself is spared: its threads end by
/// themselves.
fn end_all_inside(names: &[String]) {
    let ours: BTreeSet<u64> = names.iter().filter_map(|name| inode(&path(name))).collect();
    let Ok(entries) = fs::read_dir("/proc") else { return };
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|pid| pid.parse::<i32>().ok()) else {
            continue;
        };
        let is_inside = inode(&entry.path().join("ns/net")).is_some_and(|at| ours.contains(&at));
        if let (true, Some(pid)) = (is_inside, Pid::from_raw(pid))
            && pid != rustix::process::getpid()
        {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
    }
}

fn inode(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).ok().map(|metadata| metadata.ino())
}

/// Settings of the calling thread's namespace, below `/proc/sys/net`.
pub(crate) fn set(settings: &[(&str, &str)]) -> anyhow::Result<()> {
    for (name, value) in settings {
        let path = format!("/proc/sys/net/{name}");
        fs::write(&path, value).with_context(|| format!("write {value} to {path}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_dead_process_left_is_an_orphan() {
        // Process ids end at 2^22.
        assert!(is_orphan("iog-4194305-0-home"));
        assert!(!is_orphan(&format!("iog-{}-0-home", std::process::id())));
        assert!(!is_orphan("iog-lab-home"));
        assert!(!is_orphan("other-4194305-0"));
    }
}
