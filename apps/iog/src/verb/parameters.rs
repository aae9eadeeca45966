//! `iog operator parameters`, `fees` and `prices`: what the network goes by; and `iog prices`, for everybody.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::{Map, Value, json};
use units::{Asset, Credits, Hour};
use wire::{ParametersPatch, ParametersView, PricesView, VersionView, WholeVersion};

use crate::client::Client;
use crate::failure::Failure;
use crate::file;
use crate::screen::{Ink, Screen};
use crate::session::Session;
use crate::show::{count, percent, usd};
use crate::table::Table;

const PARAMETERS: &str = "/v1/network/parameters";
const PRICES: &str = "/v1/network/prices";

/// Show what the network goes by, or change it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  iog operator parameters
  iog operator parameters show --version 0 --json | jq .parameters
  echo '{\"oracle\":{\"sources_min\":1}}' | iog operator parameters set -")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show all parameters.
    #[command(
        disable_version_flag = true,
        after_help = "Examples:\n  iog operator parameters show\n  iog operator parameters show --version 3"
    )]
    Show {
        /// Of this version; else of the one in effect.
        #[arg(long, value_name = "N")]
        version: Option<u32>,
    },
    /// List every version, newest first, with what it changed.
    #[command(after_help = "Example:\n  iog operator parameters versions")]
    Versions,
    /// Change some: a JSON merge patch over the newest version. What it does not name stays.
    #[command(after_help = "\
Examples:
  iog operator parameters set patch.json
  iog operator parameters set patch.json --from 2026-12-01T00:00:00")]
    Set {
        /// A file with the patch, an object of what is to change; - for standard input.
        patch: PathBuf,
        /// From which hour on, in UTC; else at once.
        #[arg(long, value_name = "HOUR")]
        from: Option<Hour>,
    },
    /// Take the newest version back while it waits for its hour.
    #[command(after_help = "Example:\n  iog operator parameters withdraw 4")]
    Withdraw {
        /// Its number.
        #[arg(value_name = "N")]
        number: u32,
    },
}

impl Args {
    pub(crate) fn run(&self, session: &Session, client: &Client) -> Result<(), Failure> {
        let screen = session.screen;
        match &self.verb {
            None | Some(Verb::Show { version: None }) => {
                let view: ParametersView<Value> = client.get(PARAMETERS)?;
                session.show(&view, |view| whole(view, screen))
            }
            Some(Verb::Show { version: Some(number) }) => {
                let path = format!("{PARAMETERS}/versions/{number}");
                let view: WholeVersion<Value> = client.get(&path)?;
                session.show(&view, |view| {
                    let title = title(view.version, view.from, &view.digest, screen);
                    format!("{title}\n{}", fields(&view.parameters))
                })
            }
            Some(Verb::Versions) => {
                let versions: Vec<VersionView> = client.pages(&format!("{PARAMETERS}/versions"))?;
                session.list(&versions, "", |versions| version_table(versions, screen))
            }
            Some(Verb::Set { patch, from }) => {
                let patch = serde_json::from_str(&text_of(patch)?).map_err(|why| {
                    Failure::usage(format!("the patch is no JSON object: {why}"), "see --help")
                })?;
                change(session, client, patch, *from)
            }
            Some(Verb::Withdraw { number }) => {
                let newest: VersionView =
                    client.delete(&format!("{PARAMETERS}/versions/{number}"))?;
                session.show(&newest, |newest| {
                    format!("version {number} is gone; the newest is {}\n", newest.version)
                })
            }
        }
    }
}

fn text_of(path: &Path) -> Result<String, Failure> {
    if path.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text).context("read standard input")?;
        return Ok(text);
    }
    file::read_text(path)
}

/// Changes the parameters and shows the version that this made.
fn change(
    session: &Session,
    client: &Client,
    patch: Map<String, Value>,
    from: Option<Hour>,
) -> Result<(), Failure> {
    let made: VersionView = client.patch(PARAMETERS, &ParametersPatch { patch, from })?;
    session.show(&made, |made| {
        format!("version {}, from {} on: {}\n", made.version, made.from, made.patch)
    })
}

fn title(version: u32, from: Hour, digest: &str, screen: Screen) -> String {
    let title = screen.paint(Ink::Strong, &format!("Version {version}"));
    format!("{title}, since {from}\n  {digest}\n")
}

fn whole(view: &ParametersView<Value>, screen: Screen) -> String {
    let mut text = title(view.version, view.from, &view.digest, screen);
    for version in &view.waiting {
        text.push_str(&format!(
            "  then version {} from {} on: {}\n",
            version.version, version.from, version.patch
        ));
    }
    text.push('\n');
    text.push_str(&fields(&view.parameters));
    text
}

fn version_table(versions: &[VersionView], screen: Screen) -> String {
    let mut table = Table::new(&[">VERSION", "FROM", "CHANGED"]);
    for version in versions {
        table.row([version.version.to_string(), version.from.to_string(), version.patch.clone()]);
    }
    table.text(screen)
}

/// Every parameter on a line of its own, as `fees.card_bp`; of models only how many there are.
fn fields(parameters: &Value) -> String {
    let mut lines = Vec::new();
    walk("", parameters, &mut lines);
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let line = |(name, value): (String, String)| format!("  {name:<width$}  {value}\n");
    lines.into_iter().map(line).collect()
}

fn walk(name: &str, value: &Value, lines: &mut Vec<(String, String)>) {
    match value {
        Value::Object(models) if name == "registry.models" => {
            let models = count(models.len() as u64, "model");
            lines.push((name.to_owned(), format!("{models}: `iog prices`")));
        }
        Value::Object(inner) => {
            for (key, value) in inner {
                let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                walk(&name, value, lines);
            }
        }
        Value::String(text) => lines.push((name.to_owned(), text.clone())),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
            lines.push((name.to_owned(), value.to_string()));
        }
    }
}

/// Show what the network takes, or change it for quotes from then on.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  iog operator fees
  iog operator fees --facilitation USD=100 --minimum-minutes 1")]
pub(crate) struct FeesArgs {
    /// The renter's reservation fee, in ten-thousandths.
    #[arg(long, value_name = "BP")]
    renter: Option<u16>,
    /// The supplier's reservation fee, in ten-thousandths.
    #[arg(long, value_name = "BP")]
    supplier: Option<u16>,
    /// The renter's fee for paying in an asset, in ten-thousandths.
    #[arg(long, value_name = "ASSET=BP", value_parser = asset_share)]
    facilitation: Vec<(Asset, u16)>,
    /// The supplier's fee for being paid in an asset, in ten-thousandths.
    #[arg(long, value_name = "ASSET=BP", value_parser = asset_share)]
    payout: Vec<(Asset, u16)>,
    /// Minutes charged even when the renter ends earlier.
    #[arg(long, value_name = "N")]
    minimum_minutes: Option<u32>,
    /// From which hour on, in UTC; else at once.
    #[arg(long, value_name = "HOUR")]
    from: Option<Hour>,
}

fn asset_share(text: &str) -> Result<(Asset, u16), String> {
    let (asset, share) = text.split_once('=').ok_or("write it as ASSET=BP")?;
    let asset = asset.parse().map_err(|why: units::UnknownWord| why.to_string())?;
    Ok((asset, share.parse().map_err(|why: std::num::ParseIntError| why.to_string())?))
}

impl FeesArgs {
    pub(crate) fn run(&self, session: &Session, client: &Client) -> Result<(), Failure> {
        let fees = self.patch();
        if fees.is_empty() {
            let view: ParametersView<Value> = client.get(PARAMETERS)?;
            return session.show(&view.parameters["fees"], fee_lines);
        }
        let patch = Map::from_iter([("fees".to_owned(), Value::Object(fees))]);
        change(session, client, patch, self.from)
    }

    fn patch(&self) -> Map<String, Value> {
        let of_asset = |kind: &str, shares: &[(Asset, u16)]| -> Vec<(String, Option<u32>)> {
            let name = |asset: Asset| format!("{kind}_{}_bp", asset.code().to_lowercase());
            shares.iter().map(|(asset, share)| (name(*asset), Some(u32::from(*share)))).collect()
        };
        let mut fields = vec![
            ("renter_reservation_bp".to_owned(), self.renter.map(u32::from)),
            ("supplier_reservation_bp".to_owned(), self.supplier.map(u32::from)),
            ("nonrefundable_minutes".to_owned(), self.minimum_minutes),
        ];
        fields.extend(of_asset("facilitation", &self.facilitation));
        fields.extend(of_asset("payout", &self.payout));
        let set = |(name, value): (String, Option<u32>)| Some((name, json!(value?)));
        fields.into_iter().filter_map(set).collect()
    }
}

fn fee_lines(fees: &Value) -> String {
    let Value::Object(fees) = fees else { return String::new() };
    let line = |(name, value): (&String, &Value)| {
        let share = value.as_u64().and_then(|value| u16::try_from(value).ok());
        match (name.strip_suffix("_bp"), share) {
            (Some(name), Some(share)) => format!("{name:<24}{:>8}\n", percent(share)),
            (None, _) | (_, None) => {
                format!("{name:<24}{:>8}\n", value.to_string().replace('"', ""))
            }
        }
    };
    fees.iter().map(line).collect()
}

/// Show what devices cost an hour, before supply and demand. Needs no key.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  iog prices\n  iog prices --json | jq '.models[] | select(.model == \"rtx-4090\")'"
)]
pub(crate) struct ListArgs {}

impl ListArgs {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let prices: PricesView = session.client()?.get(PRICES)?;
        session.show(&prices, |prices| price_table(prices, session.screen))
    }
}

/// Show what devices cost, or change it for quotes from then on.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  iog operator prices
  iog operator prices --model h100-pcie=0.95 --class gpu-24gb=0.17")]
pub(crate) struct PricesArgs {
    /// USD an hour for one card, or a whole processor, of this model.
    #[arg(long, value_name = "KEY=USD", value_parser = priced)]
    model: Vec<(String, Credits)>,
    /// USD an hour for one card, or a whole processor, of no listed model, by class.
    #[arg(long, value_name = "CLASS=USD", value_parser = priced)]
    class: Vec<(String, Credits)>,
    /// From which hour on, in UTC; else at once.
    #[arg(long, value_name = "HOUR")]
    from: Option<Hour>,
}

fn priced(text: &str) -> Result<(String, Credits), String> {
    let (key, price) = text.rsplit_once('=').ok_or("write it as NAME=USD")?;
    let price = price.parse().map_err(|why: units::NotAnAmount| why.to_string())?;
    Ok((key.to_owned(), price))
}

impl PricesArgs {
    pub(crate) fn run(&self, session: &Session, client: &Client) -> Result<(), Failure> {
        let prices: PricesView = client.get(PRICES)?;
        if self.model.is_empty() && self.class.is_empty() {
            return session.show(&prices, |prices| price_table(prices, session.screen));
        }
        let known = |key: &str| prices.models.iter().any(|model| model.model == key);
        if let Some((key, _)) = self.model.iter().find(|(key, _)| !known(key)) {
            let why = format!("no listed model is kept under `{key}`");
            return Err(Failure::usage(why, "`iog prices` lists them"));
        }
        change(session, client, self.patch(), self.from)
    }

    fn patch(&self) -> Map<String, Value> {
        let model = |(key, hour): &(String, Credits)| (key.clone(), json!({ "hour": hour }));
        let models: BTreeMap<_, _> = self.model.iter().map(model).collect();
        let classes: BTreeMap<_, _> = self.class.iter().cloned().collect();
        let registry = json!({ "models": models, "class_hours": classes });
        Map::from_iter([("registry".to_owned(), registry)])
    }
}

fn price_table(prices: &PricesView, screen: Screen) -> String {
    let mut table =
        Table::new(&["MODEL", "NAME", "CLASS", ">USD/HOUR", ">MULTIPLIER", "POOL", ">STAKE, IO"]);
    for model in &prices.models {
        table.row([
            model.model.clone(),
            model.name.clone(),
            model.class.clone(),
            usd(model.hour),
            model.multiplier.to_string(),
            model.pool.to_string(),
            model.stake_min.to_string().trim_end_matches(".00000000").to_owned(),
        ]);
    }
    let mut text = table.text(screen);
    let mut classes = Table::new(&["NOT LISTED", ">USD/HOUR"]);
    for class in &prices.classes {
        classes.row([class.class.clone(), usd(class.hour)]);
    }
    text.push('\n');
    text.push_str(&classes.text(screen));
    text
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use units::{DeviceKind, Multiplier, Pool};
    use wire::{ClassPrice, ModelPrice};

    use super::*;

    #[test]
    fn prices_are_a_table_of_models_and_one_of_classes() {
        let model = ModelPrice {
            model: "h100-pcie".to_owned(),
            name: "H100 PCIe".to_owned(),
            kind: DeviceKind::Gpu,
            class: "gpu-80gb".to_owned(),
            multiplier: "10".parse::<Multiplier>().unwrap(),
            pool: Pool::Enterprise,
            hour: "0.89".parse().unwrap(),
            stake_min: "2000".parse().unwrap(),
        };
        let hour = "0.15".parse().unwrap();
        let classes = vec![ClassPrice { class: "gpu-24gb".to_owned(), hour }];
        let prices = PricesView { version: 3, models: vec![model], classes };
        assert_snapshot!(price_table(&prices, Screen::PLAIN), @r"
        MODEL      NAME       CLASS     USD/HOUR  MULTIPLIER  POOL        STAKE, IO
        h100-pcie  H100 PCIe  gpu-80gb      0.89       10.00  enterprise       2000

        NOT LISTED  USD/HOUR
        gpu-24gb        0.15
        ");
    }

    #[test]
    fn parameters_are_lines() {
        let version = VersionView {
            version: 4,
            from: "2026-12-01T00".parse().unwrap(),
            digest: String::new(),
            patch: "{}".to_owned(),
        };
        let view = ParametersView {
            version: 3,
            from: "2026-11-22T16".parse().unwrap(),
            digest: "0".repeat(64),
            parameters: json!({
                "fees": { "card_bp": 350, "card_min": "0.500000" },
                "registry": { "models": { "a": {}, "b": {} }, "class_hours": { "gpu-24gb": "1" } },
            }),
            waiting: vec![version],
        };
        assert_snapshot!(whole(&view, Screen::PLAIN), @r"
        Version 3, since 2026-11-22T16:00:00
          0000000000000000000000000000000000000000000000000000000000000000
          then version 4 from 2026-12-01T00:00:00 on: {}

          fees.card_bp                   350
          fees.card_min                  0.500000
          registry.class_hours.gpu-24gb  1
          registry.models                2 models: `iog prices`
        ");
        assert_snapshot!(fee_lines(&view.parameters["fees"]), @r"
        card                       3.5 %
        card_min                0.500000
        ");
    }

    #[test]
    fn flags_become_patches() {
        let fees = FeesArgs {
            renter: Some(30),
            supplier: None,
            facilitation: vec![asset_share("USD=100").unwrap()],
            payout: vec![asset_share("USDC=50").unwrap()],
            minimum_minutes: Some(1),
            from: None,
        };
        let wanted = json!({
            "renter_reservation_bp": 30,
            "facilitation_usd_bp": 100,
            "payout_usdc_bp": 50,
            "nonrefundable_minutes": 1,
        });
        assert_eq!(Value::Object(fees.patch()), wanted);
        let prices = PricesArgs {
            model: vec![priced("h100-pcie=0.95").unwrap()],
            class: vec![priced("gpu-24gb=0.17").unwrap()],
            from: None,
        };
        let wanted = json!({ "registry": {
            "models": { "h100-pcie": { "hour": "0.950000" } },
            "class_hours": { "gpu-24gb": "0.170000" },
        } });
        assert_eq!(Value::Object(prices.patch()), wanted);
        assert!(priced("0.95").is_err() && priced("x=").is_err());
        assert!(asset_share("USD").is_err() && asset_share("DOGE=1").is_err());
    }
}
