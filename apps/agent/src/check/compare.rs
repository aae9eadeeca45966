//! What a machine has, against what is asked for. Nothing here looks at the machine.

use units::Tier;
use wire::{Requirements, SpeedView};

use super::{Finding, Measured, Network, Verdict};
use crate::config::Offers;
use crate::measure::disk::DiskSpeed;
use crate::probe::{Gpu, Hardware};

/// Free disk below which a machine soon has none left, in mebibytes: a runtime and some packages.
const FREE_DISK_MIB: u64 = 20 * 1024;

/// Good where it is enough, bad where it is not.
const fn enough(is_enough: bool) -> Verdict {
    if is_enough { Verdict::Good } else { Verdict::Bad }
}

/// Good from the recommended value on, fair from the needed one on.
fn graded(has: u64, needed: u64, recommended: u64) -> Verdict {
    if has < needed {
        Verdict::Bad
    } else if has < recommended {
        Verdict::Fair
    } else {
        Verdict::Good
    }
}

/// A size in gibibytes with one decimal, rounded down.
pub(super) fn gib(mib: u64) -> String {
    match (mib / 1024, mib % 1024 * 10 / 1024) {
        (whole, 0) => format!("{whole} GiB"),
        (whole, tenths) => format!("{whole}.{tenths} GiB"),
    }
}

pub(super) fn processor(hardware: &Hardware, needed: &Requirements) -> Finding {
    let text = format!("{} threads: {}", hardware.vcpus, hardware.cpu_model);
    Finding::new("processor", enough(hardware.vcpus >= needed.vcpus), text)
        .needed(format!("{} threads", needed.vcpus))
        .hint("give the machine more processors, or lift the limit of its control group")
}

pub(super) fn memory(hardware: &Hardware, needed: &Requirements) -> Finding {
    let verdict = graded(hardware.memory_mib, needed.memory_mib, needed.memory_recommended_mib);
    let asks = format!(
        "{}, better {}",
        gib(needed.memory_mib),
        gib(needed.memory_recommended_mib.max(needed.memory_mib))
    );
    Finding::new("memory", verdict, gib(hardware.memory_mib))
        .needed(asks)
        .hint("add memory, or lift the limit of its control group")
}

pub(super) fn disk_size(hardware: &Hardware, needed: &Requirements) -> Finding {
    let (size, free) = (hardware.disk_mib, hardware.disk_free_mib);
    let verdict = match size >= needed.disk_mib {
        false => Verdict::Bad,
        true if free < FREE_DISK_MIB => Verdict::Fair,
        true => Verdict::Good,
    };
    let hint = match verdict {
        Verdict::Fair => "free some space: the runtime and what renters bring need it",
        Verdict::Good | Verdict::Bad => "name a folder on a larger disk with --data",
    };
    Finding::new("disk", verdict, format!("{}, {} free", gib(size), gib(free)))
        .needed(gib(needed.disk_mib))
        .hint(hint)
}

/// A slow disk serves, only slowly.
pub(super) fn disk_speed(speed: &Measured<DiskSpeed>, needed: &Requirements) -> Option<Finding> {
    let asks =
        format!("{} and {} MiB/s", needed.disk_write_mib_per_sec, needed.disk_read_mib_per_sec);
    let found = match speed {
        Measured::Not => return None,
        Measured::Failed(why) => {
            return Some(
                Finding::new("disk speed", Verdict::Bad, format!("could not {why}"))
                    .needed(asks)
                    .hint("see that the folder of --data can be written"),
            );
        }
        Measured::As(speed) => *speed,
    };
    let is_fast =
        found.write >= needed.disk_write_mib_per_sec && found.read >= needed.disk_read_mib_per_sec;
    let verdict = if is_fast { Verdict::Good } else { Verdict::Fair };
    let cached = if found.direct { "" } else { ", partly from memory" };
    let text = format!("writes {} MiB/s, reads {} MiB/s{cached}", found.write, found.read);
    Some(
        Finding::new("disk speed", verdict, text)
            .needed(asks)
            .hint("put --data on an SSD: jobs wait for the disk"),
    )
}

/// The numbers of a version, as in `11.8`.
fn version(text: &str) -> (u32, u32) {
    let mut parts = text.split('.').map(|part| part.trim().parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// What to do about a driver that does not answer.
const MEND_DRIVER: &str = "see what `nvidia-smi` says, install the driver or restart the machine after its update; \
                           or keep the cards with --no-gpus";

pub(super) fn graphics(
    hardware: &Hardware,
    cuda: Option<(u32, u32)>,
    offers: Offers,
    needed: &Requirements,
) -> Finding {
    let count = hardware.gpus.len();
    if offers.no_gpus {
        let text = format!("kept, as was said ({count} found): the processor is on offer");
        return Finding::new("graphics", Verdict::Good, text);
    }
    let trouble = hardware.gpu_trouble.as_deref();
    let Some(first) = hardware.gpus.first() else {
        let text = "no NVIDIA card answers: the processor is on offer";
        return match trouble {
            None => Finding::new("graphics", Verdict::Good, text),
            Some(why) => {
                Finding::new("graphics", Verdict::Fair, format!("{text}; {why}")).hint(MEND_DRIVER)
            }
        };
    };
    let about = |card: &Gpu| format!("{} with {}", card.name, gib(card.memory_mib));
    let alike = hardware.gpus.iter().all(|card| card.name == first.name);
    let cards = match alike {
        true => format!("{count} × {}", about(first)),
        false => hardware.gpus.iter().map(about).collect::<Vec<_>>().join(", "),
    };
    let cuda_text =
        cuda.map_or_else(String::new, |(major, minor)| format!(", CUDA {major}.{minor}"));
    let trouble_text = trouble.map_or_else(String::new, |why| format!("; {why}"));
    let text = format!("{cards}; driver {}{cuda_text}{trouble_text}", first.driver);
    let most = usize::try_from(needed.gpus_max).unwrap_or(usize::MAX);
    let asks = format!("at most {} cards of one model, CUDA {}", needed.gpus_max, needed.cuda);
    let (verdict, hint) = match cuda {
        _ if count > most => (Verdict::Bad, "divide the cards among machines"),
        Some(found) if found < version(&needed.cuda) => {
            (Verdict::Bad, "install a newer driver: it brings the CUDA that it supports")
        }
        _ if trouble.is_some() => (Verdict::Fair, "mend it: only cards before it are offered"),
        _ if !alike => (Verdict::Fair, "only cards like the first are offered"),
        None => {
            (Verdict::Fair, "the driver does not say which CUDA it serves: install a newer one")
        }
        Some(_) => (Verdict::Good, ""),
    };
    Finding::new("graphics", verdict, text).needed(asks).hint(hint)
}

pub(super) fn clock(network: &Network, needed: &Requirements) -> Option<Finding> {
    let Network::Said(_, ahead) = network else { return None };
    let off = ahead.unsigned_abs();
    let side = if *ahead < 0 { "behind" } else { "ahead of" };
    let text = match off {
        0..1_000 => format!("{off} ms {side} the network's"),
        1_000..3_600_000 => format!("{} s {side} the network's", off / 1_000),
        3_600_000.. => format!("{} hours {side} the network's", off / 3_600_000),
    };
    Some(
        Finding::new("clock", enough(off <= needed.clock_off_ms), text)
            .needed(format!("within {} ms", needed.clock_off_ms))
            .hint("set the clock: `timedatectl set-ntp true`"),
    )
}

/// How a tier is written to people.
fn tier(tier: Tier) -> &'static str {
    match tier {
        Tier::None => "below every tier",
        Tier::Low => "tier low",
        Tier::Medium => "tier medium",
        Tier::High => "tier high",
        Tier::UltraHigh => "tier ultra-high",
    }
}

pub(super) fn line(line: &Measured<SpeedView>, needed: &Requirements) -> Option<Finding> {
    let asks = format!(
        "{} down, {} up; better {} and {}, ping {} ms",
        needed.down_mbps,
        needed.up_mbps,
        needed.down_recommended_mbps,
        needed.up_recommended_mbps,
        needed.ping_recommended_ms
    );
    let found = match line {
        Measured::Not => return None,
        // That others are measured at the moment says nothing of this machine.
        Measured::Failed(why) => {
            return Some(
                Finding::new("line", Verdict::Fair, format!("not measured: could not {why}"))
                    .needed(asks)
                    .hint("try again in a minute"),
            );
        }
        Measured::As(found) => found,
    };
    let graded = |has: u32, needed: u32, better: u32| {
        graded(u64::from(has), u64::from(needed), u64::from(better))
    };
    let down = graded(found.down_mbps, needed.down_mbps, needed.down_recommended_mbps);
    let up = graded(found.up_mbps, needed.up_mbps, needed.up_recommended_mbps);
    let ping =
        if found.ping_ms > needed.ping_recommended_ms { Verdict::Fair } else { Verdict::Good };
    let text = format!(
        "{} Mbps down, {} Mbps up, ping {} ms: {}",
        found.down_mbps,
        found.up_mbps,
        found.ping_ms,
        tier(found.tier)
    );
    Some(
        Finding::new("line", down.max(up).max(ping), text)
            .needed(asks)
            .hint("use a cable, end other transfers, or ask the provider for more"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use units::Timestamp;
    use wire::Time;

    #[test]
    fn what_is_enough_is_good_and_what_is_recommended_is_better() {
        assert_eq!(graded(11, 12, 16), Verdict::Bad);
        assert_eq!(graded(12, 12, 16), Verdict::Fair);
        assert_eq!(graded(16, 12, 16), Verdict::Good);
        assert_eq!(graded(12, 12, 0), Verdict::Good, "nothing is recommended");
    }

    #[test]
    fn a_line_is_as_good_as_its_worst_side() {
        let check = |down_mbps, up_mbps, ping_ms, verdict| {
            let at = Time(Timestamp::from_millis(0));
            let tier = Tier::of_mbps(down_mbps, up_mbps);
            let found = SpeedView { at, down_mbps, up_mbps, ping_ms, tier };
            let finding = line(&Measured::As(found), &Requirements::default()).unwrap();
            assert_eq!(finding.verdict, verdict, "{}", finding.found);
            assert_eq!(finding.hint.is_empty(), verdict == Verdict::Good);
        };
        check(940, 900, 5, Verdict::Good);
        check(940, 900, 31, Verdict::Fair);
        check(120, 80, 5, Verdict::Fair);
        check(120, 74, 5, Verdict::Bad);
        check(99, 900, 5, Verdict::Bad);
    }

    #[test]
    fn a_clock_is_off_in_one_direction_or_the_other() {
        let check = |ahead, verdict, text: &str| {
            let needed = Requirements::default();
            let now = Time(Timestamp::from_millis(0));
            let said = Box::new(wire::RequirementsView { requirements: needed.clone(), now });
            let finding = clock(&Network::Said(said, ahead), &needed).unwrap();
            assert_eq!((finding.verdict, finding.found.as_str()), (verdict, text));
        };
        check(-12, Verdict::Good, "12 ms behind the network's");
        check(2_000, Verdict::Good, "2 s ahead of the network's");
        check(-61_500, Verdict::Bad, "61 s behind the network's");
        check(86_400_000, Verdict::Bad, "24 hours ahead of the network's");
    }

    #[test]
    fn cards_are_counted_and_their_driver_must_be_new_enough() {
        let card = |index: u32, name: &str| Gpu {
            index,
            device_number: index,
            name: name.to_owned(),
            uuid: String::new(),
            memory_mib: 24 * 1024,
            driver: "535.1".to_owned(),
        };
        let check = |names: &[&str], cuda, verdict| {
            let gpus = (0..).zip(names).map(|(index, name)| card(index, name)).collect();
            let hardware = Hardware { gpus, ..crate::probe::look("/".as_ref(), None) };
            let needed = Requirements::default();
            let finding = graphics(&hardware, cuda, Offers::default(), &needed);
            assert_eq!(finding.verdict, verdict, "{}", finding.found);
            assert_eq!(finding.hint.is_empty(), verdict == Verdict::Good);
            let kept = Offers { no_gpus: true, ..Offers::default() };
            assert_eq!(graphics(&hardware, cuda, kept, &needed).verdict, Verdict::Good);
            let hardware = Hardware { gpu_trouble: Some("it is lost".to_owned()), ..hardware };
            let finding = graphics(&hardware, cuda, Offers::default(), &needed);
            assert!(finding.verdict != Verdict::Good && finding.found.contains("it is lost"));
        };
        check(&[], None, Verdict::Good);
        check(&["A"; 8], Some((12, 2)), Verdict::Good);
        check(&["A"; 9], Some((12, 2)), Verdict::Bad);
        check(&["A"], Some((11, 7)), Verdict::Bad);
        check(&["A"], None, Verdict::Fair);
        check(&["A", "B"], Some((12, 2)), Verdict::Fair);
    }

    #[test]
    fn a_slow_disk_is_a_disadvantage_and_one_that_fails_is_bad() {
        let check = |speed, verdict| {
            let finding = disk_speed(&speed, &Requirements::default()).unwrap();
            assert_eq!(finding.verdict, verdict, "{}", finding.found);
        };
        let speed = |write, read| Measured::As(DiskSpeed { write, read, direct: true });
        check(speed(500, 500), Verdict::Good);
        check(speed(99, 500), Verdict::Fair);
        check(Measured::Failed("write".to_owned()), Verdict::Bad);
    }
}
