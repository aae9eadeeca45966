//! What people do with coins at stake: put them on machines and into the safety module, share, charge, appeal, claim,
//! and take out again what they may, and what they may not.

use control::{
    Actor, Command, ExemptionRecord, GrantRecord, OfferRecord, ProofSaid, SlashRecord,
    VerdictRecord,
};
use rewards::accruals::Wanted;
use stakes::{Evidence, EvidenceKind, Offence, Side};
use units::{AccountId, BlobId, Coins, GrantId, OfferId, SlashId, WorkerId};

use crate::people::Purpose;
use crate::world::{Due, World};

/// Smallest units in one coin.
const COIN: u64 = 100_000_000;

impl World {
    /// An economy that begins easily: little is asked of machines, and everybody has coins.
    pub(crate) fn begin_easily(&mut self) {
        let rules = r#"{"exempt":["cluster-formation","wallet","connectivity","uptime",
            "proof-of-work","account-wallets","supplier-agreement","payout-address"],
            "checklist":{"up_hours_min":0,"proof_of_work_required":false,
            "time_lock_minutes_min":1},"stakes":{"stake_per_unit":"1","cooldown_days":1}}"#;
        let command = Command::SetParameters { patch: rules.to_owned(), from: None };
        self.ask(Actor::Operator, command, Purpose::Other);
    }

    /// Somebody does something with coins at stake.
    pub(crate) fn stake_something(&mut self) {
        if !self.raining || !self.plan.coin {
            return;
        }
        let later = self.dice.seconds(2, 30);
        self.agenda.at(self.now.after(later), Due::AtStake);
        match self.dice.between(0, 19) {
            0..=4 => self.own_stake(),
            5..=8 => self.co_stake(),
            9..=11 => self.safety(),
            12..=14 => self.justice(),
            15 => self.grant(),
            16..=17 => self.vouch(),
            18 => self.claim(),
            _ => self.reach_into_stakes(),
        }
    }

    pub(crate) fn any_account(&mut self) -> AccountId {
        let people = &self.people;
        let accounts: Vec<AccountId> = people
            .suppliers
            .iter()
            .copied()
            .chain(people.renters.iter().map(|renter| renter.account))
            .collect();
        *self.dice.pick(&accounts).expect("there are renters")
    }

    /// A machine and who owns it.
    fn any_machine(&mut self) -> (WorkerId, AccountId) {
        // Most of it happens to a few, so that it meets.
        let all = self.machines.len();
        let among = if self.dice.chance(700) { all.min(2) } else { all };
        let machine = &self.machines[self.dice.index(among)];
        (machine.id, self.people.suppliers[machine.supplier])
    }

    fn coins(&mut self) -> Coins {
        let most = *self.dice.pick(&[1, 300, 3_000, 40_000]).expect("four");
        let change = if self.dice.chance(300) { self.dice.between(0, COIN) } else { 0 };
        Coins::from_units(self.dice.between(1, most) * COIN + change)
    }

    fn own_stake(&mut self) {
        let ((worker, account), coins) = (self.any_machine(), self.coins());
        let command = match self.dice.between(0, 9) {
            0..=5 => Command::Stake { worker, coins },
            6 => Command::Unstake { account, worker },
            7..=8 => {
                let unstake = self.dice.chance(300);
                Command::WithdrawOverflow { account, worker, coins, unstake }
            }
            _ => Command::WithdrawStake { account, worker },
        };
        self.ask(Actor::Account(account), command, Purpose::Other);
    }

    fn co_stake(&mut self) {
        let ((worker, owner), account) = (self.any_machine(), self.any_account());
        let recent = self.people.offers.len().saturating_sub(2);
        let known = self.dice.pick(&self.people.offers[recent..]).copied();
        let (by, command) = match (self.dice.between(0, 9), known) {
            (0..=4, Some(offer)) => (account, Command::AcceptOffer { account, offer }),
            (5..=6, Some(offer)) => (account, Command::LeaveOffer { account, offer }),
            (7, Some(offer)) => (owner, Command::RetractOffer { offer }),
            (8, Some(_)) => (account, Command::WithdrawStake { account, worker }),
            (_, _) => {
                let mut bp = || u16::try_from(self.dice.between(0, 6_000)).expect("a small number");
                let (portion_bp, share_bp) = (bp(), bp());
                let id = OfferId::from_bits(self.fresh_bits());
                let offer = OfferRecord { offer: id, worker, portion_bp, share_bp };
                (owner, Command::OfferCoStake { offer })
            }
        };
        self.ask(Actor::Account(by), command, Purpose::Known);
    }

    fn safety(&mut self) {
        let (account, coins) = (self.any_account(), self.coins());
        let command = match self.dice.between(0, 5) {
            0..=2 => Command::SafetyStake { account, coins },
            3 => Command::SafetyUnstake { account, coins },
            4 => Command::SafetyWithdraw { account },
            _ => Command::SafetyClaim { account },
        };
        self.ask(Actor::Account(account), command, Purpose::Other);
    }

    /// Machines are charged, their owners appeal, and the operator decides.
    fn justice(&mut self) {
        let (worker, owner) = self.any_machine();
        let known = self.dice.pick(&self.people.slashes).copied();
        let (by, command) = match (self.dice.between(0, 5), known) {
            (0..=1, Some(slash)) => {
                let (text, blob) = ("it was not so".to_owned(), None);
                (Actor::Account(owner), Command::Appeal { account: owner, slash, text, blob })
            }
            (2, Some(slash)) => {
                let (text, blob) = ("look again".to_owned(), None);
                let side = if self.dice.chance(500) { Side::Network } else { Side::Accused(owner) };
                (Actor::Operator, Command::StateOnSlash { side, slash, text, blob })
            }
            (3, Some(slash)) => {
                let (uphold, reason) = (self.dice.chance(500), "so it is".to_owned());
                (Actor::Operator, Command::Judge { slash, uphold, reason })
            }
            (_, _) => (Actor::Operator, self.charge(worker)),
        };
        self.ask(by, command, Purpose::Known);
    }

    fn charge(&mut self, worker: WorkerId) -> Command {
        let kinds = [
            EvidenceKind::ProofTranscript,
            EvidenceKind::TimeLockRecord,
            EvidenceKind::FingerprintClash,
            EvidenceKind::RentalRecord,
            EvidenceKind::FileMismatch,
            EvidenceKind::RenterClaim,
            EvidenceKind::OperatorReport,
        ];
        let shown = kinds.into_iter().filter(|_| self.dice.chance(800));
        let evidence = shown.map(|kind| Evidence {
            kind,
            blob: BlobId::from_sha256([3; 32]),
            summary: "see there".to_owned(),
        });
        let evidence: Vec<Evidence> = evidence.collect();
        let offence = *self.dice.pick(&Offence::ALL).expect("seven");
        let cards = u32::try_from(self.dice.between(0, 4)).expect("a small number");
        let slash = SlashId::from_bits(self.fresh_bits());
        let offended_at = self.server_clock();
        Command::Slash {
            slash: SlashRecord { slash, worker, offence, offended_at, cards, evidence },
        }
    }

    fn grant(&mut self) {
        if let Some(grant) = self.dice.pick(&self.people.grants).copied()
            && self.dice.chance(600)
        {
            let by = Actor::Account(self.any_account());
            self.ask(by, Command::ClaimGrant { grant }, Purpose::Other);
            return;
        }
        let classes = ["community", "ecosystem", "seed", "series-a", "core", "nobody"];
        let class = (*self.dice.pick(&classes).expect("five")).to_owned();
        let (id, account, coins) =
            (GrantId::from_bits(self.fresh_bits()), self.any_account(), self.coins());
        let grant = GrantRecord { grant: id, account, class, coins };
        self.ask(Actor::Operator, Command::OpenGrant { grant }, Purpose::Known);
    }

    /// What a machine needs to be paid: proofs, exemptions, and nobody who shuts it out.
    fn vouch(&mut self) {
        let (worker, _) = self.any_machine();
        let command = match self.dice.between(0, 5) {
            0..=2 => {
                let proofs = [ProofSaid::Cluster, ProofSaid::Work, ProofSaid::Vram];
                let proof = *self.dice.pick(&proofs).expect("three");
                let (at, passed) = (self.server_clock(), self.dice.chance(800));
                let verdict = VerdictRecord { proof, at, passed, note: String::new() };
                Command::RecordProof { worker, verdict }
            }
            3..=4 => {
                let rules = rewards::rule::Rule::ALL.iter().copied();
                let rules = rules.filter(|_| self.dice.chance(850)).collect();
                let (from, until) = (self.server_clock(), None);
                let exemption = rewards::checklist::Exemption { rules, from, until };
                let exemption = ExemptionRecord { exemption, reason: "a test".to_owned() };
                Command::Exempt { worker, exemption }
            }
            _ => {
                let reason = self.dice.chance(300).then(|| "odd".to_owned());
                Command::SetBlocked { worker, reason, kind: None }
            }
        };
        self.ask(Actor::Operator, command, Purpose::Other);
    }

    fn claim(&mut self) {
        let (account, coins) = (self.any_account(), self.coins());
        let (worker, _) = self.any_machine();
        let wishes = [Wanted::All, Wanted::Amount(coins), Wanted::Worker(worker)];
        let wanted = *self.dice.pick(&wishes).expect("three");
        let command = Command::ClaimRewards { account, wanted };
        self.ask(Actor::Account(account), command, Purpose::Other);
    }

    /// What must be refused, whatever is there.
    fn reach_into_stakes(&mut self) {
        let ((worker, owner), thief) = (self.any_machine(), self.any_account());
        if thief == owner {
            return;
        }
        let (coins, account, slash) = (self.coins(), owner, SlashId::from_bits(1));
        let command = match self.dice.between(0, 8) {
            0 => Command::Stake { worker, coins },
            1 => Command::Unstake { account, worker },
            2 => Command::WithdrawOverflow { account, worker, coins, unstake: true },
            3 => Command::WithdrawStake { account, worker },
            4 => Command::SafetyWithdraw { account },
            5 => Command::ClaimRewards { account, wanted: Wanted::All },
            6 => Command::Judge { slash, uphold: true, reason: String::new() },
            7 => self.charge(worker),
            _ => Command::Unstake { account: thief, worker },
        };
        self.ask(Actor::Account(thief), command, Purpose::Theft);
    }

    /// Long after, people come for what is theirs, one wish after another.
    pub(crate) fn take_what_is_left(&mut self, left: u32) {
        self.heirs = left;
        if left == 0 {
            return;
        }
        let later = self.dice.seconds(1, 10);
        self.agenda.at(self.now.after(later), Due::Heirs(left - 1));
        if self.plan.novelties.votes && self.dice.chance(600) {
            return self.have_a_say();
        }
        let (account, (worker, owner)) = (self.any_account(), self.any_machine());
        let grant = self.dice.pick(&self.people.grants).copied();
        let (by, command) = match (self.dice.between(0, 7), grant) {
            (0..=1, _) => (owner, Command::WithdrawStake { account: owner, worker }),
            (2, _) => (account, Command::WithdrawStake { account, worker }),
            (3, _) => (account, Command::SafetyWithdraw { account }),
            (4, _) => (account, Command::SafetyClaim { account }),
            (5, _) => (owner, Command::Unstake { account: owner, worker }),
            (6, Some(grant)) => (account, Command::ClaimGrant { grant }),
            (_, _) => (account, Command::ClaimRewards { account, wanted: Wanted::All }),
        };
        self.ask(Actor::Account(by), command, Purpose::Other);
    }
}
