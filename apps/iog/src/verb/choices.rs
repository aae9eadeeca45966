//! What else could be had: alternatives to an order, and what would help one that was refused, as flags to type.

use wire::{Alternative, NoOffer, Order, OrderChange};

use crate::screen::{Ink, Screen};
use crate::show::{count, usd};
use crate::table::Table;
use crate::verb::nearness::{Nearness, apart_word};

/// The alternatives to an order, and how to have each.
pub(crate) fn alternatives(asked: &Order, of: &[Alternative], screen: Screen) -> String {
    let headings =
        [">NO", ">NODES", ">GPUS EACH", ">USD/HOUR", "ROUND TRIP", ">SUPPLIERS", ">SITES"];
    let mut table = Table::new(&headings);
    for (number, alternative) in (1_u32..).zip(of) {
        table.row([
            number.to_string(),
            alternative.order.nodes.to_string(),
            alternative.order.each.gpus.to_string(),
            usd(alternative.hourly),
            span(alternative),
            alternative.suppliers.to_string(),
            alternative.sites.to_string(),
        ]);
    }
    let mut text = table.text(screen);
    text.push_str(
        "\nA round trip is the longest there can be between two nodes. Cheapest first;\n",
    );
    text.push_str("what costs more without being nearer is left out. To have one, ask with:\n");
    for (number, alternative) in (1_u32..).zip(of) {
        let flags = screen.paint(Ink::Strong, &flags(asked, &alternative.order));
        let own = if alternative.order == *asked { "  (as you asked)" } else { "" };
        text.push_str(&format!("{number:>4}  {flags}{own}\n"));
    }
    text
}

fn span(of: &Alternative) -> String {
    match of.span_micros {
        _ if of.machines == 1 => "one machine".to_owned(),
        Some(micros) => format!("at most {}.{} ms", micros / 1_000, micros % 1_000 / 100),
        None if of.in_one_country => "one country".to_owned(),
        None => "not known".to_owned(),
    }
}

/// The flags that make an alternative of what was asked.
fn flags(asked: &Order, to: &Order) -> String {
    let mut flags = vec![format!("--nodes {} --gpus {}", to.nodes, to.each.gpus)];
    if to.each.vcpus != asked.each.vcpus {
        flags.push(format!("--vcpus {}", to.each.vcpus));
    }
    if to.each.memory_mib != asked.each.memory_mib {
        flags.push(format!("--memory {}MiB", to.each.memory_mib));
    }
    if to.each.disk_mib != asked.each.disk_mib {
        flags.push(format!("--disk {}MiB", to.each.disk_mib));
    }
    if let Some(max) = to.node_hour_max.filter(|max| Some(*max) != asked.node_hour_max) {
        flags.push(format!("--max-price {}", usd(max)));
    }
    let near = Nearness::of(to.near, to.rtt_max_micros);
    if near != Nearness::of(asked.near, asked.rtt_max_micros) || near != Nearness::ANYWHERE {
        flags.push(format!("--near {near}"));
    }
    flags.join(" ")
}

/// What helps where nothing else does.
const WAIT: &str = "Or wait for machines: iog rent … --wait 6h";

/// What rules machines out, and what would help.
pub(crate) fn no_offer(of: &NoOffer, screen: Screen) -> String {
    let mut text = match of.excluded.is_empty() {
        true => String::new(),
        false => format!("Ruled out, of {}:\n", count(of.machines, "machine")),
    };
    let machines = of.excluded.iter().map(|row| row.machines.to_string().len()).max().unwrap_or(0);
    for row in &of.excluded {
        text.push_str(&format!("  {:>machines$}  {}\n", row.machines, row.by));
    }
    if of.ways.is_empty() {
        text.push_str("No single change to the order would help.\n");
        text.push_str(WAIT);
        return text;
    }
    text.push_str("What one change would give:\n");
    let flags: Vec<String> = of.ways.iter().map(|way| change(&way.change)).collect();
    let width = flags.iter().map(|flags| flags.chars().count()).max().unwrap_or(0);
    for (way, flags) in of.ways.iter().zip(flags) {
        let flags = screen.paint(Ink::Strong, &format!("{flags:<width$}"));
        let price = way.hourly.map(|hour| format!(", {} USD an hour", usd(hour)));
        let nodes = count(u64::from(way.nodes), "node");
        text.push_str(&format!("  {flags}  {nodes}{}\n", price.unwrap_or_default()));
    }
    text.push_str(WAIT);
    text
}

/// A change as one types it.
fn change(of: &OrderChange) -> String {
    match of {
        OrderChange::ShareMachines => "--pack".to_owned(),
        OrderChange::LessApart { apart } => match apart_word(*apart) {
            None => "without --apart".to_owned(),
            Some(word) => format!("--apart {word}"),
        },
        OrderChange::Farther { near, rtt_max_micros } => {
            let near = Nearness::of(*near, *rtt_max_micros);
            if near == Nearness::ANYWHERE {
                "without --near".to_owned()
            } else {
                format!("--near {near}")
            }
        }
        OrderChange::Beside => "without --alone".to_owned(),
        OrderChange::FewerVcpus { vcpus } => format!("--vcpus {vcpus}"),
        OrderChange::LessMemory { memory_mib } => format!("--memory {memory_mib}MiB"),
        OrderChange::LessDisk { disk_mib } => format!("--disk {disk_mib}MiB"),
        OrderChange::PayMore { node_hour_max } => format!("--max-price {}", usd(*node_hour_max)),
        OrderChange::SlowerTier { tier_min } => format!("--tier-min {tier_min}"),
        OrderChange::WithoutCertification { certification } => {
            format!("without --certification {certification}")
        }
        OrderChange::AnyCountry => "without --country".to_owned(),
        OrderChange::AnySupplier => "without --supplier".to_owned(),
        OrderChange::AnyGpuModel => "without --gpu-model".to_owned(),
        OrderChange::FewerGpus { gpus } => format!("--gpus {gpus}"),
        OrderChange::FewerNodes { nodes } => format!("--nodes {nodes}"),
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use units::Resources;
    use wire::{Exclusion, Near, Remedy};

    use super::*;

    fn order(nodes: u32, gpus: u32) -> Order {
        let each = Resources { gpus, vcpus: 4 * gpus, memory_mib: 1024, disk_mib: 1024 };
        Order { nodes, each, ..Order::default() }
    }

    #[test]
    fn alternatives_are_a_table_with_flags() {
        let cheap = Alternative {
            order: order(8, 1),
            hourly: "7.2".parse().unwrap(),
            span_micros: None,
            in_one_country: false,
            machines: 8,
            suppliers: 6,
            sites: 8,
        };
        let near = Alternative {
            order: Order { rtt_max_micros: Some(5_000), ..order(8, 1) },
            hourly: "8.4".parse().unwrap(),
            span_micros: Some(4_180),
            in_one_country: true,
            machines: 8,
            suppliers: 2,
            sites: 2,
        };
        let one = Alternative {
            order: order(1, 8),
            hourly: "17.6".parse().unwrap(),
            span_micros: Some(0),
            in_one_country: true,
            machines: 1,
            suppliers: 1,
            sites: 1,
        };
        let text = alternatives(&order(8, 1), &[cheap, near, one], Screen::PLAIN);
        assert!(text.lines().all(|line| line.chars().count() <= 80));
        assert_snapshot!(text, @r"
        NO  NODES  GPUS EACH  USD/HOUR  ROUND TRIP      SUPPLIERS  SITES
         1      8          1      7.20  not known               6      8
         2      8          1      8.40  at most 4.1 ms          2      2
         3      1          8     17.60  one machine             1      1

        A round trip is the longest there can be between two nodes. Cheapest first;
        what costs more without being nearer is left out. To have one, ask with:
           1  --nodes 8 --gpus 1  (as you asked)
           2  --nodes 8 --gpus 1 --near 5ms
           3  --nodes 1 --gpus 8 --vcpus 32
        ");
    }

    #[test]
    fn a_refusal_says_what_rules_machines_out_and_which_flags_help() {
        let way = |change, nodes| Remedy { change, nodes, hourly: None };
        let told = NoOffer {
            machines: 120,
            fitting: 5,
            nodes_possible: 5,
            excluded: vec![
                Exclusion { by: "GPU model".to_owned(), machines: 112 },
                Exclusion { by: "nearness".to_owned(), machines: 3 },
            ],
            ways: vec![
                Remedy {
                    hourly: "12.4".parse().ok(),
                    ..way(OrderChange::Farther { near: Near::Country, rtt_max_micros: None }, 8)
                },
                way(OrderChange::Farther { near: Near::Anywhere, rtt_max_micros: None }, 8),
                way(OrderChange::FewerNodes { nodes: 5 }, 5),
            ],
        };
        assert_snapshot!(no_offer(&told, Screen::PLAIN), @r"
        Ruled out, of 120 machines:
          112  GPU model
            3  nearness
        What one change would give:
          --near country  8 nodes, 12.40 USD an hour
          without --near  8 nodes
          --nodes 5       5 nodes
        Or wait for machines: iog rent … --wait 6h
        ");
    }
}
