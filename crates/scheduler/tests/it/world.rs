//! Machines and orders as short texts: `1 gpus=8 model=H100 usd=2.00 in=DE`.

use std::collections::BTreeMap;
use std::str::FromStr;

use scheduler::{Apart, Filters, Inventory, Machine, Near, Order, Placement, Prices, Rtts, Spread};
use units::{AccountId, Credits, ProjectId, Resources, Site, WorkerId};

/// The machine with this number.
pub(crate) fn worker(number: u128) -> WorkerId {
    WorkerId::from_bits(number)
}

/// `1 gpus=8 model=H100 usd=2 vcpu_usd=0.01 vcpus=64 mem=512 disk=100 in=DE tier=high has=soc2 by=3`, in any order
/// after the number; what is not said is small and without attributes.
pub(crate) fn machine(text: &str) -> Machine {
    let (number, rest) = text.split_once(' ').unwrap_or((text, ""));
    let words = Words::read(rest);
    Machine {
        id: worker(number.parse().unwrap()),
        supplier: AccountId::from_bits(words.of("by").unwrap_or(0)),
        total: words.resources(Resources { gpus: 0, vcpus: 8, memory_mib: 64, disk_mib: 100 }),
        gpu_model: words.of("model"),
        vram_mib: 80_000,
        country: words.of("in"),
        site: words.of("site").map(Site::from_bits),
        rtts: Rtts::new(
            words.all::<Rtt>("rtt").into_iter().map(|Rtt(anchor, micros)| (anchor, micros)),
        ),
        tier: words.of("tier").unwrap_or(units::Tier::None),
        certifications: words.all("has"),
        prices: Prices {
            gpu_hour: words.of("usd").unwrap_or(Credits::from_units(1_000_000)),
            vcpu_hour: words.of("vcpu_usd").unwrap_or(Credits::from_units(10_000)),
        },
    }
}

/// `nodes=2 gpus=1 model=H100 max=2.50 in=DE,FR tier=high has=soc2 by=1,2 pack`; what is not said is not asked.
pub(crate) fn order(text: &str) -> Order {
    let words = Words::read(text);
    Order {
        nodes: words.of("nodes").unwrap_or(1),
        each: words.resources(Resources::default()),
        filters: Filters {
            gpu_model: words.of("model"),
            suppliers: words.all::<u128>("by").into_iter().map(AccountId::from_bits).collect(),
            countries: words.all("in"),
            tier_min: words.of("tier").unwrap_or(units::Tier::None),
            certifications: words.all("has"),
            node_hour_max: words.of("max"),
        },
        spread: if words.0.contains_key("pack") { Spread::Pack } else { Spread::Distinct },
        near: words.of("near").map_or(Near::Anywhere, |Nearness(near)| near),
        apart: match words.0.get("apart").copied() {
            Some("suppliers") => Apart::Suppliers,
            Some("sites") => Apart::Sites,
            Some("countries") => Apart::Countries,
            Some(other) => panic!("apart={other} is not understood"),
            None => Apart::Nothing,
        },
        avoid: words.all::<u128>("avoid").into_iter().map(worker).collect(),
        tenant: words.of("tenant").map(ProjectId::from_bits),
        alone: words.0.contains_key("alone"),
    }
}

/// An inventory in which all of these are open.
pub(crate) fn opened(machines: impl IntoIterator<Item = Machine>) -> Inventory {
    let mut inventory = Inventory::default();
    for machine in machines {
        let id = machine.id;
        inventory.put(machine);
        inventory.set_open(id, true);
    }
    inventory
}

/// `1[0,1] 2[0]`: the machine of each seat, and its cards.
pub(crate) fn told(placement: &Placement) -> String {
    let seat = |seat: &scheduler::Seat| {
        let cards: Vec<String> = seat.gpus.iter().map(|card| card.to_string()).collect();
        format!("{}[{}]", seat.worker.bits(), cards.join(","))
    };
    placement.seats.iter().map(seat).collect::<Vec<_>>().join(" ")
}

/// `1:300`: an anchor, and the round trip to it in microseconds.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rtt(u16, u32);

impl FromStr for Rtt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (anchor, micros) = text.split_once(':').ok_or("no colon")?;
        Ok(Self(anchor.parse().map_err(|_| "no anchor")?, micros.parse().map_err(|_| "no time")?))
    }
}

/// `site`, `country`, or microseconds.
struct Nearness(Near);

impl FromStr for Nearness {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, std::num::ParseIntError> {
        Ok(Self(match text {
            "site" => Near::Site,
            "country" => Near::Country,
            micros => Near::Within(micros.parse()?),
        }))
    }
}

struct Words<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Words<'a> {
    fn read(text: &'a str) -> Self {
        Self(
            text.split_whitespace()
                .map(|word| word.split_once('=').unwrap_or((word, "")))
                .collect(),
        )
    }

    fn of<T: FromStr>(&self, key: &str) -> Option<T> {
        let parse =
            |text: &&str| text.parse().unwrap_or_else(|_| panic!("{key}={text} is not understood"));
        self.0.get(key).map(parse)
    }

    fn all<T: FromStr<Err: std::fmt::Debug> + Ord>(
        &self,
        key: &str,
    ) -> std::collections::BTreeSet<T> {
        let list = self.0.get(key).copied().unwrap_or_default();
        list.split(',').filter(|word| !word.is_empty()).map(|word| word.parse().unwrap()).collect()
    }

    fn resources(&self, unsaid: Resources) -> Resources {
        Resources {
            gpus: self.of("gpus").unwrap_or(unsaid.gpus),
            vcpus: self.of("vcpus").unwrap_or(unsaid.vcpus),
            memory_mib: self.of("mem").unwrap_or(unsaid.memory_mib),
            disk_mib: self.of("disk").unwrap_or(unsaid.disk_mib),
        }
    }
}
