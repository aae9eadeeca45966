//! How this machine is divided among the machines of a network that runs on it.

use agent::probe::Hardware;

/// Kept for the system, the control plane and whoever sits at this machine, as one more share.
const SHARES_KEPT: u64 = 1;
/// The most disk that one machine offers, in mebibytes: a network to try out is not to fill a disk.
const DISK_MIB_MAX: u64 = 20 * 1024;
/// Shares are cut to whole steps, in mebibytes, so that the next start offers the same although a log has grown.
const MEMORY_STEP: u64 = 512;
const DISK_STEP: u64 = 5 * 1024;
/// The least memory with which a node of Ray does work, in mebibytes.
pub(super) const MEMORY_MIB_MIN: u64 = 1024;
/// Ports for nodes, below the range that Linux takes for outgoing connections (32768 and up).
const PORTS_FROM: u16 = 12_000;
const PORTS_TO: u16 = 32_000;
/// Ports of one node.
const PORTS_OF_NODE: u16 = 200;
/// The most machines: each needs an address, and ports for several nodes.
pub(super) const WORKERS_MAX: u16 = 20;

const _: () = assert!(
    (PORTS_TO - PORTS_FROM) / WORKERS_MAX >= 2 * PORTS_OF_NODE,
    "a machine can replace a node while the old one is cleared away"
);

/// What one of the machines offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Share {
    /// What it is called.
    pub(super) name: String,
    /// Which part of this machine it is.
    pub(super) part: u16,
    /// Its address on loopback.
    pub(super) address: String,
    /// Its ports, as in `20000-20999`.
    pub(super) ports: String,
    /// Its vCPUs.
    pub(super) vcpus: u32,
    /// Its memory.
    pub(super) memory_mib: u64,
    /// Its disk.
    pub(super) disk_mib: u64,
    /// Whether it offers the GPUs.
    pub(super) gpus: bool,
}

/// Divides the machine. GPUs all go to the first; a GPU cannot be divided.
pub(super) fn divide(hardware: &Hardware, workers: u16) -> Vec<Share> {
    let parts = u64::from(workers) + SHARES_KEPT;
    let ports = (PORTS_TO - PORTS_FROM) / workers / PORTS_OF_NODE * PORTS_OF_NODE;
    let share = |number: u16| Share {
        name: format!("worker-{number}"),
        part: number,
        address: format!("127.77.0.{number}"),
        ports: format!("{}-{}", PORTS_FROM + (number - 1) * ports, PORTS_FROM + number * ports - 1),
        vcpus: (hardware.vcpus / u32::from(workers)).max(1),
        memory_mib: cut(hardware.memory_mib / parts, MEMORY_STEP)
            .max(MEMORY_MIB_MIN.min(hardware.memory_mib)),
        disk_mib: cut(hardware.disk_free_mib / parts, DISK_STEP).min(DISK_MIB_MAX),
        gpus: number == 1 && !hardware.gpus.is_empty(),
    };
    (1..=workers).map(share).collect()
}

/// What is left of an amount in whole steps; an amount below one step stays as it is.
const fn cut(amount: u64, step: u64) -> u64 {
    if amount < step { amount } else { amount / step * step }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hardware(vcpus: u32, memory_mib: u64) -> Hardware {
        Hardware {
            vcpus,
            cpu_model: String::new(),
            memory_mib,
            disk_mib: 80_000,
            disk_free_mib: 40_000,
            system: String::new(),
            kernel: String::new(),
            links: Vec::new(),
            gpus: Vec::new(),
            gpu_trouble: None,
            fingerprint: [0; 32],
        }
    }

    #[test]
    fn a_machine_is_divided_with_a_share_left_over() {
        let shares = divide(&hardware(16, 24_000), 3);
        assert_eq!(shares.len(), 3);
        assert_eq!(shares[0].vcpus, 5);
        assert!(shares.iter().all(|share| share.memory_mib == 5_632 && share.disk_mib == 5_120));
        assert_eq!(
            (shares[0].address.as_str(), shares[2].address.as_str()),
            ("127.77.0.1", "127.77.0.3")
        );
        assert_eq!(shares[0].ports, "12000-18599");
        assert_eq!(shares[2].ports, "25200-31799");
    }

    #[test]
    fn the_smallest_machine_still_offers_something() {
        let shares = divide(&hardware(1, 2_048), 3);
        assert!(shares.iter().all(|share| share.vcpus == 1 && share.memory_mib == 1_024));
        assert_eq!(divide(&hardware(2, 8_000), WORKERS_MAX).len(), 20);
    }
}
