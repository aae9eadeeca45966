//! What there is to choose from, as a table.

use wire::{Choice, Facets, PriceBand};

use super::MODEL_SHOWN;
use crate::screen::{Ink, Screen};
use crate::show::{count, usd};
use crate::table::{Table, cut};

/// Counts of one thing: what it is called, and a row for each value.
type Group = (&'static str, Vec<(String, u64, u64)>);

/// The counts in a table, and how to narrow the choice.
pub(crate) fn text(facets: &Facets, screen: Screen) -> String {
    let machines = count(facets.machines, "machine");
    let suppliers = count(facets.suppliers, "supplier");
    let mut text = format!(
        "{} could serve this, of {suppliers}; {} free there.\n",
        screen.paint(Ink::Strong, &machines),
        if facets.gpus == 1 { "1 GPU is".to_owned() } else { format!("{} GPUs are", facets.gpus) },
    );
    let groups = groups(facets);
    if groups.iter().all(|(_, rows)| rows.is_empty()) {
        return text;
    }
    text.push('\n');
    let mut table = Table::new(&["BY", "VALUE", ">MACHINES", ">GPUS FREE"]);
    for (name, rows) in groups {
        let mut name = name;
        for (value, machines, gpus) in rows {
            table.row([name.to_owned(), value, machines.to_string(), gpus.to_string()]);
            // Said once; a blank is no empty cell.
            name = " ";
        }
    }
    text.push_str(&table.text(screen));
    text.push_str(
        "\nEach group is counted as if its own filter were not there: --gpu-model,\n\
         --country, --tier-min, --certification, --gpus, --max-price.\n",
    );
    text
}

fn groups(facets: &Facets) -> Vec<Group> {
    let per_gpu = facets.free_gpus.iter().all(|choice| choice.value.unwrap_or(0) > 0);
    let model = |model: &units::GpuModel| cut(model.text(), MODEL_SHOWN);
    vec![
        ("GPU model", rows(&facets.gpu_models, model, "no GPU")),
        ("country", rows(&facets.countries, ToString::to_string, "not known")),
        ("tier", rows(&facets.tiers, ToString::to_string, "")),
        ("certification", rows(&facets.certifications, ToString::to_string, "")),
        ("GPUs free", rows(&facets.free_gpus, |gpus| format!("{gpus} on a machine"), "")),
        (
            if per_gpu { "USD a GPU-hour" } else { "USD a vCPU-hour" },
            facets.prices.iter().map(|band| (price(band), band.machines, band.gpus)).collect(),
        ),
    ]
}

fn rows<T>(
    choices: &[Choice<T>],
    value: impl Fn(&T) -> String,
    none: &str,
) -> Vec<(String, u64, u64)> {
    let row = |choice: &Choice<T>| {
        let value = choice.value.as_ref().map_or_else(|| none.to_owned(), &value);
        (value, choice.machines, choice.gpus)
    };
    choices.iter().map(row).collect()
}

/// `from 0.20 to 0.30`, the upper bound not in it.
fn price(band: &PriceBand) -> String {
    match band.below {
        Some(below) if band.from.units() == 0 => format!("below {}", usd(below)),
        Some(below) => format!("{} to {}", usd(band.from), usd(below)),
        None => format!("{} and more", usd(band.from)),
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn choice<T>(value: Option<T>, machines: u64, gpus: u64) -> Choice<T> {
        Choice { value, machines, gpus }
    }

    #[test]
    fn facets_are_a_table() {
        let usd = |text: &str| text.parse().unwrap();
        let facets = Facets {
            machines: 12,
            gpus: 64,
            suppliers: 3,
            gpu_models: vec![
                choice(Some("NVIDIA H100 80GB HBM3".parse().unwrap()), 8, 64),
                choice(None, 4, 0),
            ],
            countries: vec![choice(Some("DE".parse().unwrap()), 11, 60), choice(None, 1, 4)],
            tiers: vec![choice(Some(units::Tier::UltraHigh), 12, 64)],
            certifications: vec![],
            free_gpus: vec![choice(Some(0), 4, 0), choice(Some(8), 8, 64)],
            prices: vec![PriceBand {
                from: usd("0.007"),
                below: Some(usd("0.01")),
                machines: 12,
                gpus: 64,
            }],
        };
        assert_snapshot!(text(&facets, Screen::PLAIN), @r"
        12 machines could serve this, of 3 suppliers; 64 GPUs are free there.

        BY               VALUE                  MACHINES  GPUS FREE
        GPU model        NVIDIA H100 80GB HBM3         8         64
                         no GPU                        4          0
        country          DE                           11         60
                         not known                     1          4
        tier             ultra-high                   12         64
        GPUs free        0 on a machine                4          0
                         8 on a machine                8         64
        USD a vCPU-hour  0.007 to 0.01                12         64

        Each group is counted as if its own filter were not there: --gpu-model,
        --country, --tier-min, --certification, --gpus, --max-price.
        ");
    }
}
