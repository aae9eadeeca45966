//! What `/proc`, `/sys` and `/etc` say, understood. Nothing here reads a file.

/// Where control groups are found, by version 2 and by each controller of version 1.
const GROUPS: &str = "/sys/fs/cgroup";

/// The processor's name, of `/proc/cpuinfo`.
pub fn cpu_model(cpuinfo: &str) -> Option<String> {
    let named = |line: &str| {
        let (key, value) = line.split_once(':')?;
        matches!(key.trim(), "model name" | "Model" | "cpu model").then(|| value.trim().to_owned())
    };
    cpuinfo.lines().find_map(named).filter(|name| !name.is_empty())
}

/// Memory of the machine in bytes, of `/proc/meminfo`.
pub fn memory_total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    kib.checked_mul(1_024)
}

/// How many processors a process may run on, of `/proc/self/status`.
pub fn allowed_cpus(status: &str) -> Option<u32> {
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    list.trim().split(',').map(span).try_fold(0, |sum: u32, count| sum.checked_add(count?))
}

/// How many numbers `3` or `4-7` stands for.
fn span(text: &str) -> Option<u32> {
    match text.split_once('-') {
        None => text.parse::<u32>().ok().map(|_| 1),
        Some((first, last)) => {
            let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
            last.checked_sub(first)?.checked_add(1)
        }
    }
}

/// Folders that may limit a process for this controller, of `/proc/self/cgroup`: its group and every one above it.
pub fn group_folders(cgroup: &str, controller: &str) -> Vec<String> {
    let mut folders = Vec::new();
    for line in cgroup.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let root = match controllers {
            "" => GROUPS.to_owned(),
            some if some.split(',').any(|name| name == controller) => format!("{GROUPS}/{some}"),
            _ => continue,
        };
        let mut path = path.trim_end_matches('/');
        loop {
            folders.push(format!("{root}{path}"));
            match path.rsplit_once('/') {
                Some((above, _)) => path = above,
                None => break,
            }
        }
    }
    folders
}

/// Whole processors that a quota pays for, at least one.
fn whole(quota: u64, period: u64) -> Option<u32> {
    u32::try_from(quota.checked_div(period)?).ok().map(|count| count.max(1))
}

/// The limit of `cpu.max`; `None` where there is none.
pub fn quota_v2(cpu_max: &str) -> Option<u32> {
    let (quota, period) = cpu_max.trim().split_once(' ')?;
    whole(quota.parse().ok()?, period.parse().ok()?)
}

/// The limit of `cpu.cfs_quota_us` and `cpu.cfs_period_us`; `None` where there is none.
pub fn quota_v1(quota: &str, period: &str) -> Option<u32> {
    whole(quota.trim().parse().ok()?, period.trim().parse().ok()?)
}

/// The operating system's name, of `/etc/os-release`.
pub fn system_name(os_release: &str) -> Option<String> {
    let line = os_release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    let name = line.trim().trim_matches(['"', '\'']);
    (!name.is_empty()).then(|| name.to_owned())
}

/// A link's speed in megabits a second, of `/sys/class/net/<name>/speed`. A link that does not know says `-1`.
pub fn link_speed(speed: &str) -> Option<u32> {
    speed.trim().parse::<u32>().ok().filter(|speed| *speed > 0 && *speed < u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn processors_are_named_and_counted() {
        let cpuinfo =
            "processor\t: 0\nvendor_id\t: X\nmodel name\t: AMD EPYC 7763\n\nprocessor\t: 1\n";
        assert_eq!(cpu_model(cpuinfo).as_deref(), Some("AMD EPYC 7763"));
        assert_eq!(cpu_model("processor\t: 0\n"), None);
        let allowed = |list: &str| allowed_cpus(&format!("Name:\tx\nCpus_allowed_list:\t{list}\n"));
        assert_eq!(allowed("0-1"), Some(2));
        assert_eq!(allowed("0,2-3,8"), Some(4));
        for wrong in ["", "a", "3-1", "0-4294967295,1"] {
            assert_eq!(allowed(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn memory_is_told_in_bytes() {
        assert_eq!(
            memory_total("MemTotal:       24678592 kB\nMemFree: 1 kB\n"),
            Some(25_270_878_208)
        );
        assert_eq!(memory_total("MemFree: 1 kB\n"), None);
    }

    #[test]
    fn limits_of_control_groups_are_read_in_both_versions() {
        assert_eq!(quota_v2("150000 100000\n"), Some(1));
        assert_eq!(quota_v2("400000 100000\n"), Some(4));
        assert_eq!(quota_v2("20000 100000\n"), Some(1), "a part of a processor counts as one");
        assert_eq!(quota_v2("max 100000\n"), None);
        assert_eq!(quota_v1("-1\n", "100000\n"), None);
        assert_eq!(quota_v1("200000\n", "100000\n"), Some(2));
        assert_eq!(quota_v1("200000\n", "0\n"), None);
    }

    #[test]
    fn every_group_above_a_process_may_limit_it() {
        let v1 = "4:memory:/a/b\n2:cpu,cpuacct:/\n0::/\n";
        let memory =
            ["/sys/fs/cgroup/memory/a/b", "/sys/fs/cgroup/memory/a", "/sys/fs/cgroup/memory"];
        assert_eq!(group_folders(v1, "memory")[..3], memory);
        assert_eq!(group_folders(v1, "cpu"), ["/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup"]);
        assert_eq!(group_folders("0::/x\n", "cpu"), ["/sys/fs/cgroup/x", "/sys/fs/cgroup"]);
    }

    #[test]
    fn systems_and_links_are_read() {
        let debian = "NAME=\"Debian\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n";
        assert_eq!(system_name(debian).as_deref(), Some("Debian GNU/Linux 12 (bookworm)"));
        assert_eq!(link_speed("10000\n"), Some(10_000));
        assert_eq!((link_speed("-1\n"), link_speed("")), (None, None));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text: String) {
            let _ = (cpu_model(&text), memory_total(&text), allowed_cpus(&text), system_name(&text));
            let _ = (quota_v2(&text), quota_v1(&text, &text), link_speed(&text));
            let _ = (group_folders(&text, "cpu"), span(&text));
        }
    }
}
