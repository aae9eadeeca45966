//! How Ray is told to run a node: its command line and its environment, as data.
//!
//! # Invariants
//! - Every port Ray opens comes from the node's block.
//! - The cluster's token is in the environment, never on a command line.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use units::Resources;

use crate::runtime::ports::Block;

const MIB: u64 = 1 << 20;
/// Ray refuses a smaller object store.
const OBJECT_STORE_MIN: u64 = 80 * MIB;
/// Ray's own bound where it chooses itself.
const OBJECT_STORE_MAX: u64 = 200_000 * MIB;
/// What Ray's own processes take on a node; it is not offered to tasks.
const RAY_ITSELF: u64 = 512 * MIB;
/// The least memory offered to tasks, so that a small node takes work at all.
const TASKS_MIN: u64 = 128 * MIB;
/// More shared memory than the object store, for what else a program keeps there.
const SHARED_MEMORY_SPARE: u64 = 256 * MIB;

/// Settings that make a cluster notice a dead or cut-off node within about ten seconds. With Ray's defaults a cut
/// link stalls a job for minutes.
const LIVELINESS: [(&str, &str); 8] = [
    ("RAY_health_check_initial_delay_ms", "1000"),
    ("RAY_health_check_period_ms", "1000"),
    ("RAY_health_check_timeout_ms", "3000"),
    ("RAY_health_check_failure_threshold", "3"),
    ("RAY_grpc_keepalive_time_ms", "5000"),
    ("RAY_grpc_keepalive_timeout_ms", "5000"),
    ("RAY_grpc_client_keepalive_time_ms", "5000"),
    ("RAY_grpc_client_keepalive_timeout_ms", "5000"),
];

/// How a node's memory is divided, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Memory {
    /// For tasks and actors.
    pub(super) tasks: u64,
    /// For objects that they share.
    pub(super) object_store: u64,
}

impl Memory {
    /// Three tenths for objects, as Ray does by itself; the rest, less what Ray needs, for tasks.
    pub(super) fn of(resources: &Resources) -> Self {
        let whole = resources.memory_mib.saturating_mul(MIB);
        let object_store = (whole / 10).saturating_mul(3).clamp(OBJECT_STORE_MIN, OBJECT_STORE_MAX);
        let tasks = whole.saturating_sub(object_store).saturating_sub(RAY_ITSELF).max(TASKS_MIN);
        Self { tasks, object_store }
    }

    /// How large `/dev/shm` must be.
    pub(super) const fn shared(&self) -> u64 {
        self.object_store + SHARED_MEMORY_SPARE
    }
}

/// What a node of Ray is told.
#[derive(Clone, Debug)]
pub(super) struct Start<'a> {
    /// Its name in the cluster's lists.
    pub(super) name: &'a str,
    /// The address it listens on and the others reach it by.
    pub(super) address: IpAddr,
    /// Its ports.
    pub(super) ports: Block,
    /// What it may use.
    pub(super) resources: Resources,
    /// Where the head's control service listens; `None` on the head.
    pub(super) head: Option<SocketAddr>,
    /// Where it keeps its sessions and sockets, as it sees it itself. Short: paths of sockets end at 107 bytes.
    pub(super) temp: String,
}

impl Start<'_> {
    /// The arguments of `ray`.
    pub(super) fn arguments(&self) -> Vec<String> {
        let memory = Memory::of(&self.resources);
        let ports = &self.ports;
        let (address, workers) = (self.address.to_string(), ports.workers());
        let mut words: Vec<String> = [
            "start",
            "--block",
            "--disable-usage-stats",
            "--log-style",
            "record",
            "--log-color",
            "false",
        ]
        .map(str::to_owned)
        .into();
        let mut flag = |name: &str, value: String| words.extend([format!("--{name}"), value]);
        flag("node-name", self.name.to_owned());
        flag("node-ip-address", address.clone());
        flag("temp-dir", self.temp.clone());
        flag("num-cpus", self.resources.vcpus.to_string());
        flag("num-gpus", self.resources.gpus.to_string());
        flag("memory", memory.tasks.to_string());
        flag("object-store-memory", memory.object_store.to_string());
        flag("node-manager-port", ports.node_manager().to_string());
        flag("object-manager-port", ports.object_manager().to_string());
        flag("runtime-env-agent-port", ports.runtime_env_agent().to_string());
        flag("dashboard-agent-listen-port", ports.agent_http().to_string());
        flag("dashboard-agent-grpc-port", ports.agent_grpc().to_string());
        flag("metrics-export-port", ports.metrics().to_string());
        flag("min-worker-port", workers.start().to_string());
        flag("max-worker-port", workers.end().to_string());
        match self.head {
            Some(head) => flag("address", head.to_string()),
            None => {
                flag("port", ports.gcs().to_string());
                flag("dashboard-host", address);
                flag("dashboard-port", ports.dashboard().to_string());
                flag("ray-client-server-port", ports.client_server().to_string());
                flag("include-dashboard", "true".to_owned());
                words.push("--head".to_owned());
            }
        }
        words
    }

    /// The environment of Ray and of everything it starts, but for paths.
    pub(super) fn environment(&self, token: &str) -> BTreeMap<String, String> {
        let mut variables: BTreeMap<String, String> =
            LIVELINESS.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let mut set = |name: &str, value: String| variables.insert(name.to_owned(), value);
        set("RAY_AUTH_MODE", "token".to_owned());
        set("RAY_AUTH_TOKEN", token.to_owned());
        set("RAY_USAGE_STATS_ENABLED", "0".to_owned());
        set("AUTOSCALER_METRIC_PORT", self.ports.autoscaler_metrics().to_string());
        set("DASHBOARD_METRIC_PORT", self.ports.dashboard_metrics().to_string());
        variables
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1_024;

    fn start(head: Option<SocketAddr>) -> Start<'static> {
        Start {
            name: "rack-3",
            address: "127.77.1.2".parse().unwrap(),
            ports: Block::starting_at(21_000).unwrap(),
            resources: Resources { gpus: 0, vcpus: 2, memory_mib: 4 * GIB, disk_mib: 0 },
            head,
            temp: "/tmp/ray".to_owned(),
        }
    }

    #[test]
    fn every_port_comes_from_the_block_and_none_is_given_twice() {
        let mut seen = std::collections::BTreeSet::new();
        let (arguments, environment) = (start(None).arguments(), start(None).environment("t"));
        let numbers = arguments
            .windows(2)
            .filter(|pair| pair[0].ends_with("port"))
            .map(|pair| &pair[1])
            .chain(
                environment
                    .iter()
                    .filter(|(name, _)| name.ends_with("_PORT"))
                    .map(|(_, value)| value),
            );
        for number in numbers {
            let port: u16 = number.parse().unwrap();
            assert!(start(None).ports.all().contains(&port) && seen.insert(port), "{port}");
        }
        assert_eq!(seen.len(), 13);
    }

    #[test]
    fn the_token_is_never_on_the_command_line() {
        let environment = start(None).environment("5ecret");
        assert_eq!(environment["RAY_AUTH_TOKEN"], "5ecret");
        assert!(!start(None).arguments().iter().any(|word| word.contains("5ecret")));
    }

    #[test]
    fn only_the_head_has_a_dashboard_and_only_the_others_join() {
        let (head, other) =
            (start(None).arguments(), start(Some("10.0.0.1:21000".parse().unwrap())).arguments());
        assert!(head.contains(&"--head".to_owned()) && !head.contains(&"--address".to_owned()));
        assert!(other.windows(2).any(|pair| pair == ["--address", "10.0.0.1:21000"]));
        assert!(!other.iter().any(|word| word.starts_with("--dashboard-host") || word == "--head"));
    }

    #[test]
    fn memory_is_divided_and_never_too_small_for_ray() {
        let of = |memory_mib| Memory::of(&Resources { memory_mib, ..Resources::default() });
        let large = of(10 * GIB);
        assert_eq!(large.object_store, 3 * GIB * MIB);
        assert_eq!(large.tasks, 10 * GIB * MIB - large.object_store - RAY_ITSELF);
        assert_eq!(of(0), Memory { tasks: TASKS_MIN, object_store: OBJECT_STORE_MIN });
        assert!(of(u64::MAX).object_store <= OBJECT_STORE_MAX);
    }
}
