//! `iog offers`: what can be rented now.

mod facets;

use anyhow::Context;
use units::{AccountId, Certification, Country, Credits, GpuModel, Tier};
use wire::{OfferView, Offers};

use crate::client::{escaped, with_query};
use crate::failure::Failure;
use crate::screen::Screen;
use crate::session::Session;
use crate::show::{mib, usd};
use crate::size::Mebibytes;
use crate::table::{Table, cut};

/// How much of the name of a processor or a card is shown.
const MODEL_SHOWN: usize = 26;

/// Show machines that could serve a node now, cheapest first.
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "\
Examples:
  iog offers
  iog offers --gpu-model 'NVIDIA H100 80GB HBM3' --gpus 8 --tier-min high
  iog offers --gpus 1 --facets
  iog offers --vcpus 4 --memory 16GiB --max-price 0.10 --json")]
pub(crate) struct Args {
    /// GPUs of a node at least.
    #[arg(long, value_name = "N")]
    gpus: Option<u32>,
    /// vCPUs of a node at least.
    #[arg(long, value_name = "N")]
    vcpus: Option<u32>,
    /// Memory of a node at least, as in 16GiB.
    #[arg(long, value_name = "SIZE")]
    memory: Option<Mebibytes>,
    /// Disk of a node at least, as in 100GiB.
    #[arg(long, value_name = "SIZE")]
    disk: Option<Mebibytes>,
    /// Only this model of GPU.
    #[arg(long, value_name = "MODEL")]
    gpu_model: Option<GpuModel>,
    /// Only your own machines: the id of your account.
    #[arg(long, value_name = "ID")]
    supplier: Option<AccountId>,
    /// Only machines in this country, as in DE.
    #[arg(long, value_name = "CC")]
    country: Option<Country>,
    /// Only machines connected at least so fast: low, medium, high, ultra-high.
    #[arg(long, value_name = "TIER")]
    tier_min: Option<Tier>,
    /// Only machines with this: hipaa, iso27001, soc2.
    #[arg(long, value_name = "WORD")]
    certification: Option<Certification>,
    /// Only nodes that cost at most so many USD an hour.
    #[arg(long, value_name = "USD")]
    max_price: Option<Credits>,
    /// All of them, not only the first hundred.
    #[arg(long)]
    all: bool,
    /// What there is to choose from: how many machines of each model, country, tier, price…
    #[arg(long, conflicts_with = "all")]
    facets: bool,
}

impl Args {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let path = self.path();
        if self.facets {
            let page: Offers = client.get(&with_query(&path, "facets=true&limit=1"))?;
            let facets = page.facets.context("read what there is to choose from")?;
            return session.show(&facets, |facets| facets::text(facets, session.screen));
        }
        let (offers, more): (Vec<OfferView>, bool) = match self.all {
            true => (client.pages(&path)?, false),
            false => client.page(&path)?,
        };
        session.list(&offers, "No machine is on offer for that.", |offers| {
            text(offers, session.screen)
        })?;
        if more {
            session.screen.note("There are more: --all shows all of them.");
        }
        Ok(())
    }

    fn path(&self) -> String {
        let asked = [
            ("gpus", self.gpus.map(|it| it.to_string())),
            ("vcpus", self.vcpus.map(|it| it.to_string())),
            ("memory_mib", self.memory.map(|it| it.0.to_string())),
            ("disk_mib", self.disk.map(|it| it.0.to_string())),
            ("gpu_model", self.gpu_model.as_ref().map(ToString::to_string)),
            ("supplier", self.supplier.map(|it| it.to_string())),
            ("country", self.country.map(|it| it.to_string())),
            ("tier_min", self.tier_min.map(|it| it.to_string())),
            ("certification", self.certification.map(|it| it.to_string())),
            ("node_hour_max", self.max_price.map(|it| it.to_string())),
        ];
        asked.into_iter().fold("/v1/offers".to_owned(), |path, (name, value)| match value {
            Some(value) => with_query(&path, &format!("{name}={}", escaped(&value))),
            None => path,
        })
    }
}

/// The table of offers.
pub(crate) fn text(offers: &[OfferView], screen: Screen) -> String {
    let mut table = Table::new(&[
        "MACHINE",
        "GPU",
        ">VCPUS",
        ">MEMORY",
        ">DISK",
        "PROCESSOR",
        "TIER",
        "WHERE",
        ">USD/HOUR",
    ]);
    for offer in offers {
        table.row([
            offer.name.to_string(),
            gpus(offer),
            offer.free.vcpus.to_string(),
            mib(offer.free.memory_mib),
            mib(offer.free.disk_mib),
            cut(&offer.cpu_model, MODEL_SHOWN),
            offer.tier.to_string(),
            offer.country.map(|country| country.to_string()).unwrap_or_default(),
            usd(offer.node_hour),
        ]);
    }
    table.text(screen)
}

fn gpus(offer: &OfferView) -> String {
    match &offer.gpu_model {
        Some(model) if offer.free.gpus > 0 => {
            format!("{} × {}", offer.free.gpus, cut(model.text(), MODEL_SHOWN))
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use units::{Resources, WorkerId};

    use super::*;

    #[test]
    fn offers_are_a_table() {
        let offer = OfferView {
            worker: WorkerId::from_bits(1),
            name: "worker-1".parse().unwrap(),
            free: Resources { gpus: 0, vcpus: 4, memory_mib: 8192, disk_mib: 20_480 },
            gpu_model: None,
            vram_mib: 0,
            cpu_model: "AMD EPYC".to_owned(),
            country: None,
            tier: Tier::None,
            certifications: std::collections::BTreeSet::new(),
            node_hour: "0.01".parse().unwrap(),
            nodes: 4,
        };
        let big = OfferView {
            name: "rack-3".parse().unwrap(),
            gpu_model: Some("NVIDIA H100 PCIe".parse().unwrap()),
            free: Resources { gpus: 8, ..offer.free },
            country: Some("DE".parse().unwrap()),
            tier: Tier::UltraHigh,
            node_hour: "9.52".parse().unwrap(),
            ..offer.clone()
        };
        assert_snapshot!(text(&[offer, big], Screen::PLAIN), @r"
        MACHINE   GPU                   VCPUS  MEMORY    DISK  PROCESSOR  TIER        WHERE  USD/HOUR
        worker-1  –                         4   8 GiB  20 GiB  AMD EPYC   none        –          0.01
        rack-3    8 × NVIDIA H100 PCIe      4   8 GiB  20 GiB  AMD EPYC   ultra-high  DE         9.52
        ");
    }

    #[test]
    fn filters_go_into_the_query() {
        let args = Args {
            memory: Some(Mebibytes(1024)),
            gpu_model: Some("NVIDIA H100 PCIe".parse().unwrap()),
            max_price: Some("0.5".parse().unwrap()),
            ..Args::default()
        };
        assert_eq!(
            args.path(),
            "/v1/offers?memory_mib=1024&gpu_model=NVIDIA%20H100%20PCIe&node_hour_max=0.500000"
        );
    }
}
