//! What a machine must fulfil to be nominated for an hour's block: the rules, and sets of them.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::openapi::{RefOr, Schema};

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// One row of the nomination checklist, in the order in which it is shown.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
        )]
        #[serde(rename_all = "kebab-case")]
        pub enum Rule {
            $($(#[$doc])* $name,)*
        }

        impl Rule {
            /// Every rule, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// How it is written.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

rules! {
    /// It has passed the test clusters in which newcomers are tried.
    ClusterFormation = "cluster-formation",
    /// A wallet of its owner's is bound to the account.
    Wallet = "wallet",
    /// Its processor is listed: the multiplier is above zero.
    Processor = "processor",
    /// Its connection has a tier.
    Connectivity = "connectivity",
    /// It has been up without a break for some hours.
    Uptime = "uptime",
    /// Its last proof of work is valid and of this hour.
    ProofOfWork = "proof-of-work",
    /// It has not failed too many tests of its graphics memory lately.
    VramTests = "vram-tests",
    /// Its owner has bound enough wallets.
    AccountWallets = "account-wallets",
    /// Enough is staked on it.
    Stake = "stake",
    /// Its status allows rewards.
    Status = "status",
    /// Its owner has signed the suppliers' agreement.
    SupplierAgreement = "supplier-agreement",
    /// Its owner has said where rewards are to be paid.
    PayoutAddress = "payout-address",
}

impl Rule {
    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// A set of rules. Written as a list in the order of the checklist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleSet(u16);

const _: () = assert!(Rule::ALL.len() <= 16, "a set has a bit for each rule");

impl RuleSet {
    /// No rule.
    pub const NONE: Self = Self(0);

    /// Whether the rule is in it.
    pub const fn has(self, rule: Rule) -> bool {
        self.0 & rule.bit() != 0
    }

    /// The set and this rule.
    #[must_use]
    pub const fn with(self, rule: Rule) -> Self {
        Self(self.0 | rule.bit())
    }

    /// What is in either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether no rule is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its rules, in order.
    pub fn iter(self) -> impl Iterator<Item = Rule> {
        Rule::ALL.iter().copied().filter(move |rule| self.has(*rule))
    }
}

impl FromIterator<Rule> for RuleSet {
    fn from_iter<I: IntoIterator<Item = Rule>>(rules: I) -> Self {
        rules.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Display for RuleSet {
    /// Its rules with commas between: `uptime,stake`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for rule in self.iter() {
            write!(f, "{comma}{rule}")?;
            comma = ",";
        }
        Ok(())
    }
}

impl Serialize for RuleSet {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for RuleSet {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        Ok(<Vec<Rule>>::deserialize(input)?.into_iter().collect())
    }
}

impl utoipa::PartialSchema for RuleSet {
    fn schema() -> RefOr<Schema> {
        <Vec<Rule> as utoipa::PartialSchema>::schema()
    }
}

impl utoipa::ToSchema for RuleSet {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((Rule::name().into_owned(), <Rule as utoipa::PartialSchema>::schema()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_written_as_a_list_in_order() {
        let set: RuleSet = [Rule::Stake, Rule::Uptime, Rule::Stake].into_iter().collect();
        assert_eq!(set.to_string(), "uptime,stake");
        let json = serde_json::to_string(&set).unwrap();
        assert_eq!(json, r#"["uptime","stake"]"#);
        assert_eq!(serde_json::from_str::<RuleSet>(&json).unwrap(), set);
        assert!(RuleSet::NONE.is_empty() && !set.is_empty() && !set.has(Rule::Status));
    }

    #[test]
    fn a_rule_reads_the_same_everywhere() {
        for rule in Rule::ALL {
            assert_eq!(serde_json::to_string(rule).unwrap(), format!("\"{rule}\""));
        }
    }
}
