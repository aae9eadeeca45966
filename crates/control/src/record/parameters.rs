//! Everything that the network goes by and that its people may change.

use market::{
    BurnRules, ConversionRules, DurationRules, FeeRules, OracleRules, PricingRules, Registry,
    WorkedRules,
};
use proofs::lock::LockRules;
use proofs::schedule::ProofRules;
use rewards::block::BlockRules;
use rewards::checklist::ChecklistRules;
use rewards::emission::EmissionRules;
use rewards::rule::{Rule, RuleSet};
use rewards::season::SeasonRules;
use rewards::vesting::GenesisRules;
use serde::{Deserialize, Serialize};
use stakes::votes::VoteRules;
use stakes::{ReliabilityRules, SafetyRules, SlashRules, StakeRules};

use super::QueueRules;
use crate::onboarding::OnboardingRules;

/// The parameters: one set, changed by patches, each with the hour from which it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// What the network takes for its services.
    pub fees: FeeRules,
    /// What an hour costs in a longer booking.
    pub durations: DurationRules,
    /// How worked time counts, and how often it is paid for.
    pub worked: WorkedRules,
    /// How assets are changed for each other.
    pub conversions: ConversionRules,
    /// How revenue becomes burned coins.
    pub burn: BurnRules,
    /// The models of devices: what they cost, what they count for, what they may do while idle.
    pub registry: Registry,
    /// How prices follow supply and demand.
    pub pricing: PricingRules,
    /// When a rate between coins and dollars is believed.
    pub oracle: OracleRules,
    /// How many coins each hour brings.
    pub emission: EmissionRules,
    /// How the coins of an hour are shared out.
    pub blocks: BlockRules,
    /// What a machine must fulfil to be nominated for an hour's coins.
    pub checklist: ChecklistRules,
    /// When machines are asked to prove what they have, and what exactly.
    pub proofs: ProofRules,
    /// How old the data may be that attestations are verified with, what they must show, and how long they hold.
    pub attestation: attest::Rules,
    /// What a machine goes through before renters see it.
    pub onboarding: OnboardingRules,
    /// Rules of the checklist from which every machine is excused: what this network cannot judge yet.
    pub exempt: RuleSet,
    /// Who is given what of the coins at genesis.
    pub genesis: GenesisRules,
    /// What must be staked, and how long it stays.
    pub stakes: StakeRules,
    /// How a machine's reliability is reckoned.
    pub reliability: ReliabilityRules,
    /// What the safety module goes by.
    pub safety: SafetyRules,
    /// What offences cost, and how they are judged.
    pub slashing: SlashRules,
    /// How holders decide, and how long the brake holds.
    pub votes: VoteRules,
    /// What reward programs go by.
    pub seasons: SeasonRules,
    /// How orders that wait for machines take turns.
    pub queue: QueueRules,
    /// What records of time-lock are judged by, and what follows from them.
    pub time_lock: LockRules,
}

impl Default for Parameters {
    /// What io.net publishes, and for what it does not, what `docs/adr` gives reasons for.
    fn default() -> Self {
        // Nothing here binds wallets or signs agreements.
        let exempt =
            [Rule::Wallet, Rule::AccountWallets, Rule::SupplierAgreement, Rule::PayoutAddress];
        Self {
            fees: FeeRules::default(),
            durations: DurationRules::default(),
            worked: WorkedRules::default(),
            conversions: ConversionRules::default(),
            burn: BurnRules::default(),
            registry: Registry::default(),
            pricing: PricingRules::default(),
            oracle: OracleRules::default(),
            emission: EmissionRules::default(),
            blocks: BlockRules { close_delay_secs: 45, ..BlockRules::default() },
            checklist: ChecklistRules::default(),
            proofs: ProofRules::default(),
            attestation: attest::Rules::default(),
            onboarding: OnboardingRules::default(),
            exempt: exempt.into_iter().collect(),
            genesis: GenesisRules::default(),
            stakes: StakeRules::default(),
            reliability: ReliabilityRules::default(),
            safety: SafetyRules::default(),
            slashing: SlashRules::default(),
            votes: VoteRules::default(),
            seasons: SeasonRules::default(),
            queue: QueueRules::default(),
            time_lock: LockRules::default(),
        }
    }
}

impl Parameters {
    /// Refuses what makes no sense, in words that say where.
    ///
    /// # Errors
    /// The first group that does not, and why.
    pub fn check(&self) -> Result<(), String> {
        fn named<E: std::fmt::Display>(group: &str, checked: Result<(), E>) -> Result<(), String> {
            checked.map_err(|why| format!("{group}: {why}"))
        }
        named("fees", self.fees.check())?;
        named("durations", self.durations.check())?;
        named("worked", self.worked.check())?;
        named("conversions", self.conversions.check())?;
        named("burn", self.burn.check())?;
        named("registry", self.registry.check())?;
        named("pricing", self.pricing.check())?;
        named("oracle", self.oracle.check())?;
        named("emission", self.emission.check())?;
        named("blocks", self.blocks.check())?;
        named("checklist", self.checklist.check())?;
        named("proofs", self.proofs.check())?;
        named("attestation", self.attestation.check())?;
        named("onboarding", self.onboarding.check())?;
        named("genesis", self.genesis.check(self.emission.genesis))?;
        let silence = crate::limits::SILENCE_MAX.as_secs();
        if u64::from(self.blocks.close_delay_secs) <= silence {
            return Err(format!(
                "blocks: `close_delay_secs` is more than {silence}: only then is it known who fell silent"
            ));
        }
        named("stakes", self.stakes.check())?;
        named("reliability", self.reliability.check())?;
        named("safety", self.safety.check())?;
        named("slashing", self.slashing.check())?;
        named("votes", self.votes.check())?;
        named("queue", self.queue.check())?;
        named("time_lock", self.time_lock.check())?;
        named("seasons", self.seasons.check())
    }
}
