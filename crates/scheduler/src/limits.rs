//! Every limit of the matcher, and why it is what it is.

use units::Resources;

/// Nodes one order may ask for: more is several orders, so that one answer stays small.
pub const NODES_PER_ORDER_MAX: u32 = 1_024;
/// GPUs of one machine that are offered: a set of cards is one word. The largest host sold has 16.
pub const GPUS_PER_MACHINE_MAX: u32 = 64;
/// Hardware threads of one machine that are offered: the largest host sold has 1,920.
pub const VCPUS_PER_MACHINE_MAX: u32 = u16::MAX as u32;
/// Memory of one machine that is offered, in mebibytes: just under 4 PiB, 32 bits of index.
pub const MEMORY_MIB_PER_MACHINE_MAX: u64 = u32::MAX as u64;
/// Disk of one machine that is offered, in mebibytes: just under 4 PiB, 32 bits of index.
pub const DISK_MIB_PER_MACHINE_MAX: u64 = u32::MAX as u64;
/// Anchors of which a machine says how far they are: those nearest to it tell the most.
pub const ANCHORS_MAX: usize = 8;
/// The longest round trip between two machines of one site, in microseconds: what makes it a site.
pub const SITE_RTT_MICROS: u32 = 2_000;
/// Round trips that are tried for an order that finds no room nearer, and told apart on its curve, in microseconds.
pub const NEAR_RTTS_MICROS: [u32; 4] = [1_000, 5_000, 20_000, 80_000];
/// Sites in which a gang is tried before the cheapest found so far is taken: many thousand may cost the same.
///
/// They are tried in order of what the nodes could cost at least, so beyond it a cheaper one is left out only where in
/// very many sites the cheapest machines serve no node though they have the GPUs, the tier and the certifications; and
/// a tighter one of those that cost the same only where they are as many.
pub const SITES_COMPARED_MAX: usize = 2_048;
/// Machines that are looked at, once a gang has found room round one anchor, for another anchor round which it costs
/// less: each is a step in order of price, so beyond it what could be saved is small.
pub const MATCHES_COMPARED_MAX: usize = 512;
/// Room for so many more nodes in a place counts as any more: a gang there breaks nothing up that others would miss.
pub const LEFT_COUNTED_MAX: u32 = 256;
/// Offers one page of a search holds: what a person scrolls through.
pub const OFFERS_PER_PAGE_MAX: usize = 1_000;
/// Relaxations one explanation names: more would not be read.
pub const RELAXATIONS_MAX: usize = 8;
/// Nearest offers one explanation names, for the same reason.
pub const NEAREST_MAX: usize = 3;
/// Machines of the suppliers an order names up to which these are looked at one by one: with more, those that are
/// asked for are no longer rare among all.
pub const SUPPLIERS_MACHINES_MAX: u64 = 1_024;

const _: () = assert!(GPUS_PER_MACHINE_MAX <= u64::BITS, "a set of cards is one word");

/// What is offered of a machine that says it has `total`: what lies beyond the limits is not.
pub(crate) fn offered(total: Resources) -> Resources {
    Resources {
        gpus: total.gpus.min(GPUS_PER_MACHINE_MAX),
        vcpus: total.vcpus.min(VCPUS_PER_MACHINE_MAX),
        memory_mib: total.memory_mib.min(MEMORY_MIB_PER_MACHINE_MAX),
        disk_mib: total.disk_mib.min(DISK_MIB_PER_MACHINE_MAX),
    }
}
