//! Whether a card is what its machine says it is.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Measured, Rate, Reference, likelihoods};

/// A claim holds while no model is more than this many times as likely: cards of one chip cannot be told apart.
const DOUBT_MAX: f64 = 20.0;

/// What the measurements say of a claim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", tag = "is", deny_unknown_fields)]
#[schema(as = FingerprintVerdict)]
pub enum Verdict {
    /// It can be what it claims.
    Consistent {
        /// How likely that is.
        probability: f64,
    },
    /// It is another model.
    Other {
        /// The likeliest.
        model: String,
        /// How likely that is.
        probability: f64,
        /// Whether that one is slower, so that the claim was too high.
        slower: bool,
    },
    /// It is like no model of the list, or too little was measured.
    Unknown {
        /// The class that the memory it showed puts it in; none without.
        class: Option<String>,
    },
}

/// Judges a claim by what was measured.
pub fn verdict(claim: &str, measured: &Measured, reference: &Reference) -> Verdict {
    let likely = likelihoods(measured, reference);
    let none = 1.0 - likely.iter().map(|(_, probability)| probability).sum::<f64>();
    let claimed = likely.iter().find(|(model, _)| *model == claim);
    match (likely.first(), claimed) {
        _ if measured.usable(reference).next().is_none() => unknown(measured, reference),
        (Some(&(_, best)), Some(&(_, probability)))
            if probability * DOUBT_MAX >= best.max(none) =>
        {
            Verdict::Consistent { probability }
        }
        (Some(&(model, probability)), _) if probability > none => {
            let slower = is_slower(model, claim, reference);
            Verdict::Other { model: model.to_owned(), probability, slower }
        }
        _ => unknown(measured, reference),
    }
}

fn unknown(measured: &Measured, reference: &Reference) -> Verdict {
    let filled = measured.filled_mib;
    let holds = |(_, least): &&(String, u64)| filled.is_some_and(|filled| filled >= *least);
    Verdict::Unknown { class: reference.classes.iter().rfind(holds).map(|(name, _)| name.clone()) }
}

/// Whether a model's rates are below another's, taken together.
fn is_slower(model: &str, than: &str, reference: &Reference) -> bool {
    let (Some(model), Some(than)) = (reference.model(model), reference.model(than)) else {
        return false;
    };
    let lead = |rate: &Rate| {
        let [mine, other] = [model, than].map(|row| reference.expected(row, *rate));
        Some((mine?.median / other?.median).ln())
    };
    reference.derating.keys().filter_map(lead).sum::<f64>() < 0.0
}
