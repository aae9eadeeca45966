//! What this machine puts on offer: what its hardware has, less what its owner keeps.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use units::{BlobId, GpuModel, Name, Resources, Tier};
use wire::{Host, Machine};

use crate::config::{Config, Offers};
use crate::limits::{DISK_KEPT_MIB, MEMORY_KEPT_MIB};
use crate::probe::{self, Gpu, Hardware};

/// Parts of a machine that are told apart when it is run as another than it joined as.
const PARTS_KNOWN: u32 = 64;
/// What the control plane was told last.
const TOLD: &str = "machine.json";

/// The machine as it is offered.
pub(crate) fn offered(hardware: &Hardware, config: &Config) -> Result<Machine> {
    let cards = if config.offers.no_gpus { &[] } else { alike(&hardware.gpus) };
    let model = cards.first().map(|card| card.name.trim().parse::<GpuModel>());
    Ok(Machine {
        offers: resources(hardware, cards.len(), &config.offers)?,
        gpu_model: model.transpose().context("name the graphics cards")?,
        vram_mib: cards.iter().map(|card| card.memory_mib).min().unwrap_or_default(),
        cpu_model: hardware.cpu_model.clone(),
        os: hardware.system.clone(),
        country: config.country,
        // What a network card says of itself is not how fast the machine is connected.
        tier: Tier::None,
        certifications: std::collections::BTreeSet::new(),
        host: Some(host(hardware, config)),
    })
}

/// What the machine has, whatever of it is on offer.
fn host(hardware: &Hardware, config: &Config) -> Host {
    let first = hardware.gpus.first();
    Host {
        memory_mib: hardware.memory_mib,
        disk_mib: hardware.disk_mib,
        driver: first.map(|card| card.driver.clone()),
        cuda: first
            .and_then(|_| probe::cuda(config.driver.as_deref()))
            .map(|(major, minor)| format!("{major}.{minor}")),
        agent: Some(env!("CARGO_PKG_VERSION").to_owned()),
        mesh: config.own_network,
    }
}

/// What the hardware of this part of a machine hashes to: the machine's own fingerprint, or SHA-256 of it and the
/// part's number.
pub(crate) fn fingerprint(hardware: &Hardware, part: u32) -> BlobId {
    if part == 0 {
        return BlobId::from_sha256(hardware.fingerprint);
    }
    let whole = Sha256::new().chain_update(hardware.fingerprint).chain_update(part.to_be_bytes());
    BlobId::from_sha256(whole.finalize().into())
}

/// Whether this is the name and the part with which the folder's machine has joined. Which part that was is known as
/// long as the hardware is the same.
///
/// # Errors
/// If it is another.
pub(crate) fn is_as_joined(config: &Config, joined: &Name, hardware: &Hardware) -> Result<()> {
    let data = config.data.display();
    if let Some(other) = config.name.as_ref().filter(|name| *name != joined) {
        bail!(
            "run {data} as {other}: it joined as {joined}, and a name is settled then (hint: leave out --name, or name \
             the folder of {other} with --data)"
        );
    }
    let told = told(&config.data).map(|told| told.fingerprint);
    let was = |part: &u32| told == Some(fingerprint(hardware, *part));
    match (0..=PARTS_KNOWN).find(was).filter(|part| *part != config.part) {
        None => Ok(()),
        Some(part) => bail!(
            "run {data} as part {}: it joined as part {part}, and as another it would be another machine (hint: say \
             --part {part}, or name the folder of the other with --data)",
            config.part
        ),
    }
}

/// The cards that can be offered as one kind: from index 0 on, of one model. Rentals name cards by index.
fn alike(cards: &[Gpu]) -> &[Gpu] {
    let model = cards.first().map(|card| &card.name);
    let is_next = |(place, card): &(usize, &Gpu)| {
        u32::try_from(*place) == Ok(card.index) && Some(&card.name) == model
    };
    let count = cards.iter().enumerate().take_while(is_next).count();
    if count < cards.len() {
        tracing::warn!(
            offered = count,
            found = cards.len(),
            "only cards of one model can be offered, counted from the first"
        );
    }
    &cards[..count]
}

fn resources(hardware: &Hardware, gpus: usize, offers: &Offers) -> Result<Resources> {
    let has = hardware.resources();
    let memory_mib = has.memory_mib.saturating_sub(MEMORY_KEPT_MIB);
    let disk_mib = has.disk_mib.saturating_sub(DISK_KEPT_MIB);
    let offered = Resources {
        gpus: u32::try_from(gpus).context("count the graphics cards")?,
        vcpus: offers.vcpus.unwrap_or(has.vcpus),
        memory_mib: offers.memory_mib.unwrap_or(memory_mib),
        disk_mib: offers.disk_mib.unwrap_or(disk_mib),
    };
    ensure!(
        offered.vcpus <= has.vcpus && offered.memory_mib <= has.memory_mib,
        "offer {} vCPUs and {} MiB of memory: this machine has {} and {} MiB (hint: offer less)",
        offered.vcpus,
        offered.memory_mib,
        has.vcpus,
        has.memory_mib
    );
    ensure!(
        offered.disk_mib <= has.disk_mib.max(hardware.disk_mib),
        "offer {} MiB of disk: this machine has {} MiB there (hint: offer less)",
        offered.disk_mib,
        hardware.disk_mib
    );
    ensure!(
        offered.vcpus > 0 && offered.memory_mib > 0 && offered.disk_mib > 0,
        "offer {} vCPUs, {} MiB of memory and {} MiB of disk: nothing runs on that (hint: name what is on offer)",
        offered.vcpus,
        offered.memory_mib,
        offered.disk_mib
    );
    Ok(offered)
}

/// What to call this machine unless its owner named it: its host name, as far as that is a name.
pub(crate) fn host_name() -> Result<Name> {
    let uname = rustix::system::uname();
    let host = uname.nodename().to_string_lossy();
    let first = host.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let known = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
    let text: String = first.chars().map(known).take(63).collect();
    text.trim_matches('-')
        .parse()
        .with_context(|| format!("name this machine after its host `{host}` (hint: --name)"))
}

/// What this machine says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Described {
    /// What it offers, and what it has.
    pub(crate) machine: Machine,
    /// What its hardware hashes to.
    pub(crate) fingerprint: BlobId,
}

impl Described {
    /// What it says now.
    pub(crate) fn of(hardware: &Hardware, config: &Config) -> Result<Self> {
        let machine = offered(hardware, config)?;
        Ok(Self { machine, fingerprint: fingerprint(hardware, config.part) })
    }
}

/// What the control plane was told last; `None` if that is not known.
pub(crate) fn told(data: &Path) -> Option<Described> {
    serde_json::from_slice(&std::fs::read(data.join(TOLD)).ok()?).ok()
}

/// Notes what the control plane was told. A note that cannot be written costs one message at the next start.
pub(crate) fn note_told(data: &Path, said: &Described) {
    let text = serde_json::to_vec_pretty(said).unwrap_or_default();
    let (new, path) = (data.join("machine.new"), data.join(TOLD));
    if let Err(fault) = std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, &path)) {
        tracing::warn!(%fault, "what this machine is could not be noted");
    }
}

/// What to tell the control plane; `None` if it knows. Unnamed disk stays as it was told: what is free moves with what
/// nodes write.
pub(crate) fn news(config: &Config, mut said: Described) -> Option<Described> {
    let told = told(&config.data);
    if let (Some(told), None) = (&told, config.offers.disk_mib) {
        said.machine.offers.disk_mib = told.machine.offers.disk_mib;
    }
    (told.as_ref() != Some(&said)).then_some(said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::scratch::Scratch;

    fn hardware(gpus: Vec<Gpu>) -> Hardware {
        Hardware {
            vcpus: 8,
            cpu_model: "c".to_owned(),
            memory_mib: 16_384,
            disk_mib: 200_000,
            disk_free_mib: 100_000,
            system: "s".to_owned(),
            kernel: "k".to_owned(),
            links: Vec::new(),
            gpus,
            gpu_trouble: None,
            fingerprint: [0; 32],
        }
    }

    fn card(index: u32, name: &str) -> Gpu {
        let text = |text: &str| text.to_owned();
        Gpu {
            index,
            device_number: index,
            name: text(name),
            uuid: format!("u{index}"),
            memory_mib: 1_000,
            driver: text("d"),
        }
    }

    #[test]
    fn all_but_a_reserve_is_offered_unless_named() {
        let all = resources(&hardware(Vec::new()), 0, &Offers::default()).unwrap();
        let told = Resources { gpus: 0, vcpus: 8, memory_mib: 15_360, disk_mib: 91_808 };
        assert_eq!(all, told);
        let named =
            Offers { vcpus: Some(2), memory_mib: Some(16_384), disk_mib: Some(5), no_gpus: false };
        let some = resources(&hardware(Vec::new()), 0, &named).unwrap();
        assert_eq!((some.vcpus, some.memory_mib, some.disk_mib), (2, 16_384, 5));
    }

    #[test]
    fn more_than_there_is_and_nothing_cannot_be_offered() {
        let vcpus = |vcpus| Offers { vcpus: Some(vcpus), ..Offers::default() };
        let disk = Offers { disk_mib: Some(200_001), ..Offers::default() };
        for offers in [vcpus(9), vcpus(0), disk] {
            let fault = resources(&hardware(Vec::new()), 0, &offers).unwrap_err().to_string();
            assert!(fault.contains("hint"), "{fault}");
        }
    }

    #[test]
    fn a_machine_runs_under_the_name_and_as_the_part_that_it_joined_as() {
        let scratch = Scratch::new("as-joined");
        let joined: Name = "rack".parse().unwrap();
        let config = |name: Option<&str>, part| {
            let (data, name) = (scratch.path().to_owned(), name.map(|name| name.parse().unwrap()));
            Config { data, name, part, ..Config::of_test() }
        };
        let hardware = hardware(Vec::new());
        let runs = |name, part| is_as_joined(&config(name, part), &joined, &hardware);
        assert!(runs(None, 7).is_ok(), "nobody knows which part it was");
        note_told(scratch.path(), &Described::of(&hardware, &config(None, 2)).unwrap());
        assert!(runs(None, 2).is_ok() && runs(Some("rack"), 2).is_ok());
        let why = |name, part| runs(name, part).unwrap_err().to_string();
        assert!(why(Some("other"), 2).contains("it joined as rack"));
        assert!(why(None, 0).contains("--part 2"), "{}", why(None, 0));
        let other = Hardware { fingerprint: [1; 32], ..hardware };
        assert!(is_as_joined(&config(None, 0), &joined, &other).is_ok(), "other hardware");
    }

    #[test]
    fn only_cards_of_one_model_counted_from_the_first_are_offered() {
        let check = |cards: &[Gpu], count| assert_eq!(alike(cards).len(), count, "{cards:?}");
        check(&[], 0);
        check(&[card(0, "a"), card(1, "a")], 2);
        check(&[card(0, "a"), card(1, "b"), card(2, "a")], 1);
        check(&[card(0, "a"), card(2, "a")], 1);
        check(&[card(1, "a")], 0);
    }

    #[test]
    fn a_host_has_a_name() {
        assert!(host_name().is_ok());
    }
}
