//! Prices that follow supply and demand: hour by hour, in named steps, within stated bounds.
//!
//! A price is a share of its model's base price: factors for tier, certifications and region, then one for how much of
//! the supply is rented. That last one is the only thing that moves by itself. It looks at a *pressure* that no single
//! account can bend far ([`Observation`] says what goes in), remembers it over a short and a long window, and goes only
//! as far as both agree. Where few suppliers have few cards, the price leans on its model's figures, and a model on
//! its base price.
//!
//! # Invariants
//! - By the same rules, a price moves from one hour to the next by no more than the rules' step.
//! - A price is never below its floor nor above its ceiling; a spot price is never above the price on demand.
//! - More demand never makes anything cheaper, more supply never makes it dearer.
//! - The order in which an hour was observed does not matter.
//!
//! Absent on purpose: base prices (they come with the question), the discount of longer bookings, fees, which card is
//! free.

mod chain;
mod gauge;
mod key;
mod limits;
mod observed;
mod quote;
mod region;
mod rules;
mod spot;

use std::collections::BTreeMap;

use units::{Credits, GpuModel, Hour};

use self::chain::{Chain, Pressure};
use self::gauge::{Gauge, target_ppm};
use self::limits::{KEYS_MAX, MODELS_MAX};

pub use self::key::{NotAPriceKey, PriceKey};
pub use self::observed::Observation;
pub use self::quote::{PriceQuote, PriceStep, StepName, Why};
pub use self::region::Region;
pub use self::rules::{PricingRules, UnsoundPricing};
pub use self::spot::{SpotRental, leaves_at, outbid, reclaim};

/// All prices of the network, as shares of base prices.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pricing {
    /// The last hour that was seen.
    hour: Option<Hour>,
    models: BTreeMap<GpuModel, Gauge>,
    keys: BTreeMap<PriceKey, Known>,
}

/// What is remembered of one price.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    gauge: Gauge,
    /// The price of the hour before, in millionths of the base price.
    last_ppm: Option<u64>,
}

/// How a price moved, in millionths of the base price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Whose price.
    pub key: PriceKey,
    /// What it was.
    pub from_ppm: u64,
    /// What it is.
    pub to_ppm: u64,
}

/// Why an hour was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PricingRefusal {
    /// Prices only go forward.
    #[error("prices have already seen {last}; tell a later hour")]
    HourIsPast {
        /// The last hour that was seen.
        last: Hour,
    },
}

/// What is wrong with prices that were read back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnsoundPrices {
    /// More than can have been written.
    #[error("more prices than are ever kept")]
    TooMany,
    /// The memory of a model is out of range.
    #[error("the memory of {model} is out of range")]
    Model {
        /// The model.
        model: GpuModel,
    },
    /// The memory of a price is out of range.
    #[error("the memory of {key} is out of range")]
    Key {
        /// The price.
        key: PriceKey,
    },
}

impl Pricing {
    /// An hour has passed, and this is what it showed. Hours that nobody observed are left out; then the next step is
    /// as long as any other. Answers with every price that moved.
    ///
    /// # Errors
    /// [`PricingRefusal`]; then nothing has changed.
    pub fn step(
        &mut self,
        hour: Hour,
        seen: &BTreeMap<PriceKey, Observation>,
        rules: &PricingRules,
    ) -> Result<Vec<Moved>, PricingRefusal> {
        if let Some(last) = self.hour.filter(|last| *last >= hour) {
            return Err(PricingRefusal::HourIsPast { last });
        }
        self.hour = Some(hour);
        self.know(seen.keys(), rules);
        let before: BTreeMap<PriceKey, u64> =
            self.keys.keys().map(|key| (key.clone(), self.chain(key, rules).limited)).collect();
        self.see(seen, rules);
        for (key, known) in &mut self.keys {
            known.last_ppm = before.get(key).copied();
        }
        self.keys.retain(|_, known| !known.gauge.is_forgotten());
        self.models.retain(|_, gauge| !gauge.is_forgotten());
        Ok(before
            .into_iter()
            .filter_map(|(key, from_ppm)| self.moved(key, from_ppm, rules))
            .collect())
    }

    /// What one hour of one card costs by these rules, where an hour of its model costs `base`. A combination that was
    /// never seen has the price that its model's figures give it.
    pub fn quote(&self, key: &PriceKey, base: Credits, rules: &PricingRules) -> PriceQuote {
        let (pressure, last_ppm) = (self.pressure(key, rules), self.last_ppm(key));
        Chain::new(key, pressure, last_ppm, rules).quote(key, base, pressure, last_ppm, rules)
    }

    /// Every price that is remembered.
    pub fn keys(&self) -> impl Iterator<Item = &PriceKey> {
        self.keys.keys()
    }

    /// The last hour that was seen.
    pub fn hour(&self) -> Option<Hour> {
        self.hour
    }

    /// Whether this can have been written by this code.
    ///
    /// # Errors
    /// The first thing that cannot.
    pub fn audit(&self) -> Result<(), UnsoundPrices> {
        if self.keys.len() > KEYS_MAX || self.models.len() > MODELS_MAX {
            return Err(UnsoundPrices::TooMany);
        }
        let model = self.models.iter().find(|(_, gauge)| !gauge.is_sound());
        if let Some((model, _)) = model {
            return Err(UnsoundPrices::Model { model: model.clone() });
        }
        let most = u64::from(u16::MAX) * 100;
        let is_sound = |known: &Known| {
            known.gauge.is_sound() && known.last_ppm.is_none_or(|last| (1..=most).contains(&last))
        };
        match self.keys.iter().find(|(_, known)| !is_sound(known)) {
            Some((key, _)) => Err(UnsoundPrices::Key { key: key.clone() }),
            None => Ok(()),
        }
    }

    /// Begins to remember what was not known, as far as there is room.
    fn know<'a>(&mut self, keys: impl Iterator<Item = &'a PriceKey>, rules: &PricingRules) {
        for key in keys {
            if self.models.len() < MODELS_MAX {
                self.models.entry(key.model.clone()).or_insert_with(|| Gauge::new(rules));
            }
            if self.keys.len() < KEYS_MAX {
                let known = || Known { gauge: Gauge::new(rules), last_ppm: None };
                self.keys.entry(key.clone()).or_insert_with(known);
            }
        }
    }

    fn see(&mut self, seen: &BTreeMap<PriceKey, Observation>, rules: &PricingRules) {
        let nothing = Observation::default();
        for (key, known) in &mut self.keys {
            known.gauge.step(seen.get(key).unwrap_or(&nothing), rules);
        }
        let mut by_model: BTreeMap<&GpuModel, Observation> = BTreeMap::new();
        for (key, observation) in seen {
            by_model.entry(&key.model).or_default().absorb(observation);
        }
        for (model, gauge) in &mut self.models {
            gauge.step(by_model.get(model).unwrap_or(&nothing), rules);
        }
    }

    fn moved(&self, key: PriceKey, from_ppm: u64, rules: &PricingRules) -> Option<Moved> {
        let to_ppm = self.chain(&key, rules).limited;
        (from_ppm != to_ppm).then_some(Moved { key, from_ppm, to_ppm })
    }

    fn chain(&self, key: &PriceKey, rules: &PricingRules) -> Chain {
        Chain::new(key, self.pressure(key, rules), self.last_ppm(key), rules)
    }

    fn last_ppm(&self, key: &PriceKey) -> Option<u64> {
        self.keys.get(key).and_then(|known| known.last_ppm)
    }

    /// What utilisation says of a price: its own figures as far as they count, then its model's, then rest.
    fn pressure(&self, key: &PriceKey, rules: &PricingRules) -> Pressure {
        let own = self.keys.get(key).map(|known| &known.gauge);
        let model = self.models.get(&key.model);
        let weight = |gauge: Option<&Gauge>| gauge.map_or(0, |gauge| gauge.weight_bp);
        let (own_weight_bp, model_weight_bp) = (weight(own), weight(model));
        let blend = |pick: &dyn Fn(&Gauge) -> u64| {
            let rest = target_ppm(rules);
            let model = mix(model.map_or(rest, pick), rest, model_weight_bp);
            mix(own.map_or(rest, pick), model, own_weight_bp)
        };
        Pressure {
            agreed_ppm: blend(&|gauge| gauge.agreed_ppm(rules)),
            short_ppm: blend(&|gauge| gauge.short_ppm),
            own_weight_bp,
        }
    }
}

/// So much of one and the rest of the other.
fn mix(own: u64, parent: u64, weight_bp: u64) -> u64 {
    (own * weight_bp + parent * (10_000 - weight_bp)) / 10_000
}
