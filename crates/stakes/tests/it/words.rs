//! The words stories are told in, and one `check` that tells them.
//!
//! A line is a command, and after `->` what becomes of it; `...` stands for any end of that. Times are days and parts
//! of them since the beginning.

use std::collections::BTreeMap;
use std::fmt::Display;

use stakes::{
    Beyond, Charge, Device, Effect, Evidence, EvidenceKind, NewOffer, Offence, SafetyRules, Side,
    SlashRules, StakeRules, Stakes, Statement, Taken, Verdict,
};
use units::{AccountId, BlobId, Coins, Hour, OfferId, SlashId, Timestamp, WorkerId};

const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];

/// Tells a story line by line. After each line everything must add up, and read back as written.
pub(crate) fn check(story: &str) {
    let mut world = World::default();
    for line in story.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (command, expected) = line.split_once("->").unwrap_or((line, "ok"));
        let words: Vec<&str> = command.split_whitespace().collect();
        let before = world.stakes.clone();
        let told = world.tell(&words);
        if told.starts_with("refused") {
            assert_eq!(before, world.stakes, "a refusal changes nothing: {line}\n{story}");
        }
        let expected = expected.trim();
        match expected.strip_suffix("...") {
            Some(beginning) => assert!(told.starts_with(beginning), "{told}: {line}\n{story}"),
            None => assert_eq!(told, expected, "{line}\n{story}"),
        }
        world.adds_up(line);
    }
}

struct World {
    stakes: Stakes,
    now: Timestamp,
    need: BTreeMap<WorkerId, Coins>,
    hired: bool,
    in_less_out: i128,
    pool_in_less_out: i128,
    rules: StakeRules,
    slash_rules: SlashRules,
}

impl Default for World {
    fn default() -> Self {
        Self {
            stakes: Stakes::default(),
            now: Timestamp::from_millis(0),
            need: BTreeMap::new(),
            hired: false,
            in_less_out: 0,
            pool_in_less_out: 0,
            rules: StakeRules::default(),
            slash_rules: SlashRules::default(),
        }
    }
}

fn account(name: &str) -> AccountId {
    let at = NAMES.iter().position(|known| *known == name).expect("a known name");
    AccountId::from_bits(at as u128)
}

fn name(account: AccountId) -> &'static str {
    NAMES[usize::try_from(account.bits()).expect("a small number")]
}

fn number(word: &str) -> u128 {
    word.trim_start_matches(|c: char| c.is_alphabetic()).parse().expect("a letter and a number")
}

fn worker(word: &str) -> WorkerId {
    WorkerId::from_bits(number(word))
}

fn offer(word: &str) -> OfferId {
    OfferId::from_bits(number(word))
}

fn slash(word: &str) -> SlashId {
    SlashId::from_bits(number(word))
}

fn coins(word: &str) -> Coins {
    word.parse().expect("an amount")
}

fn short(coins: Coins) -> String {
    coins.to_string().trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Basis points of `30%`.
fn percent(word: &str) -> u16 {
    word.trim_end_matches('%').parse::<u16>().expect("a percentage") * 100
}

/// The moment of `14d`, `14d-1ms`, `14d+36h`.
fn moment(word: &str) -> Timestamp {
    let (days, rest) = word.split_once('d').expect("a day");
    let start = days.parse::<i64>().expect("a number of days") * 86_400_000;
    let (digits, unit) = rest.split_at(rest.find(char::is_alphabetic).unwrap_or(0));
    let millis = match unit {
        "" => 0,
        "ms" => 1,
        "h" => 3_600_000,
        other => panic!("no unit is called {other}"),
    };
    let extra = if digits.is_empty() { 0 } else { digits.parse::<i64>().expect("a number") };
    Timestamp::from_millis(u64::try_from(start + extra * millis).expect("after the beginning"))
}

fn day(at: Timestamp) -> String {
    let (days, rest) = (at.millis() / 86_400_000, at.millis() % 86_400_000);
    if rest == 0 { format!("{days}d") } else { format!("{days}d+{rest}ms") }
}

/// The evidence that a list of kinds names.
fn evidence(kinds: &str) -> Vec<Evidence> {
    let one = |kind: &str| Evidence {
        kind: match kind {
            "proof" => EvidenceKind::ProofTranscript,
            "lock" => EvidenceKind::TimeLockRecord,
            "clash" => EvidenceKind::FingerprintClash,
            "rental" => EvidenceKind::RentalRecord,
            "claim" => EvidenceKind::RenterClaim,
            "report" => EvidenceKind::OperatorReport,
            other => panic!("no evidence is called {other}"),
        },
        blob: BlobId::from_sha256([7; 32]),
        summary: "what it shows".to_owned(),
    };
    kinds.split('+').filter(|kind| !kind.is_empty()).map(one).collect()
}

fn said(by: Side) -> Statement {
    Statement { by, text: "because".to_owned(), blob: None }
}

/// An outcome in words.
fn told<T, E: Display>(outcome: Result<T, E>, ok: impl FnOnce(T) -> String) -> String {
    outcome.map_or_else(|refusal| format!("refused: {refusal}"), ok)
}

impl World {
    fn device(&self, word: &str) -> Device {
        let worker = worker(word);
        let need = self.need.get(&worker).copied().unwrap_or(coins("1000"));
        Device { worker, need, hired: self.hired }
    }

    fn moved(&mut self, units: i128) {
        self.in_less_out += units;
    }

    fn tell(&mut self, words: &[&str]) -> String {
        let ok = "ok".to_owned();
        match words {
            ["at", when] => self.now = moment(when),
            ["need", worker_, need] => {
                self.need.insert(worker(worker_), coins(need));
            }
            ["hired"] => self.hired = true,
            ["free"] => self.hired = false,
            ["wake"] => return self.wake(),
            ["power"] => return self.power(),
            ["show", what] => return self.show(what),
            ["payout", worker_, hour, amount] => return self.payout(worker_, hour, amount),
            ["pool", rest @ ..] => return self.pool(rest),
            ["slash", rest @ ..] => return self.slash(rest),
            [who, "appeals", id] => {
                let statement = said(Side::Accused(account(who)));
                let told_ = self.stakes.appeal(slash(id), statement, self.now, &self.slash_rules);
                return told(told_, |by| format!("decided by {}", day(by)));
            }
            ["uphold", id] => return self.decide(id, Verdict::Uphold),
            ["overturn", id] => return self.decide(id, Verdict::Overturn),
            [who, rest @ ..] => return self.act(account(who), rest),
            [] => {}
        }
        ok
    }

    fn act(&mut self, who: AccountId, words: &[&str]) -> String {
        let (now, rules) = (self.now, self.rules.clone());
        match words {
            ["stakes", amount, on] => {
                let told_ = self.stakes.stake(worker(on), who, coins(amount), now);
                if told_.is_ok() {
                    self.moved(i128::from(coins(amount).units()));
                }
                told(told_, |all| format!("{} count", short(all)))
            }
            ["unstakes", on] => {
                let told_ = self.stakes.unstake(&self.device(on), who, now, &rules);
                told(told_, |out| unstaked(&out))
            }
            ["takes", amount, on, rest @ ..] => {
                let beyond = if rest.is_empty() { Beyond::Refuse } else { Beyond::Unstake };
                let ask = (coins(amount), beyond);
                let device = self.device(on);
                let told_ = self.stakes.withdraw_overflow(&device, who, ask, now, &rules);
                if let Ok(Taken::Overflow(out)) = &told_ {
                    self.moved(-i128::from(out.units()));
                }
                told(told_, |taken| match taken {
                    Taken::Overflow(out) => format!("paid {}", short(out)),
                    Taken::Unstaked(out) => unstaked(&out),
                })
            }
            ["withdraws", on] => {
                let told_ = self.stakes.withdraw(worker(on), who, now);
                if let Ok(out) = &told_ {
                    self.moved(-i128::from(out.units()));
                }
                told(told_, |out| format!("paid {}", short(out)))
            }
            ["offers", id, on, portion, "for", share] => {
                let new = NewOffer {
                    id: offer(id),
                    owner: who,
                    portion_bp: percent(portion),
                    share_bp: percent(share),
                };
                let told_ = self.stakes.create_offer(&self.device(on), &new, now, &rules);
                told(told_, |amount| format!("asks for {}", short(amount)))
            }
            ["retracts", id] => {
                told(self.stakes.retract_offer(offer(id), who, now), |()| "ok".to_owned())
            }
            ["accepts", id] => {
                let need = self.need_of(id);
                let told_ = self.stakes.accept_offer(offer(id), who, need, now, &rules);
                if let Ok(amount) = &told_ {
                    self.moved(i128::from(amount.units()));
                }
                told(told_, |amount| format!("{} in", short(amount)))
            }
            ["leaves", id] => {
                let told_ = self.stakes.leave_offer(offer(id), who, now, &rules);
                told(told_, |leaving| {
                    let (until, out) = (day(leaving.until), day(leaving.withdrawable_at));
                    format!("{} count until {until}, out at {out}", short(leaving.amount))
                })
            }
            other => panic!("nobody does {other:?}"),
        }
    }

    fn need_of(&self, id: &str) -> Coins {
        let worker = self.stakes.offer(offer(id)).map(|offer| offer.worker);
        worker.and_then(|worker| self.need.get(&worker).copied()).unwrap_or(coins("1000"))
    }

    /// `s1 w1 spoofed at 3d by proof+clash [cards 8] [rewards bob 5]`
    fn slash(&mut self, words: &[&str]) -> String {
        let [id, on, offence, "at", when, "by", kinds, rest @ ..] = words else {
            panic!("no slash: {words:?}")
        };
        let (mut cards, mut rewards) = (1, BTreeMap::new());
        match rest {
            [] => {}
            ["cards", count] => cards = count.parse().expect("a number of cards"),
            ["rewards", who, amount] => {
                rewards.insert(account(who), coins(amount));
            }
            other => panic!("no slash has {other:?}"),
        }
        let charge = Charge {
            id: slash(id),
            worker: worker(on),
            offence: *Offence::ALL.iter().find(|one| one.text() == *offence).expect("an offence"),
            offended_at: moment(when),
            need: self.device(on).need,
            cards,
            rewards,
            evidence: evidence(if *kinds == "nothing" { "" } else { kinds }),
        };
        let told_ = self.stakes.charge(&charge, self.now, &self.slash_rules);
        if let Ok(locked) = &told_ {
            self.moved(i128::from(locked.rewards.units()));
        }
        told(told_, |locked| {
            let (stake, rewards) = (short(locked.stake), short(locked.rewards));
            format!("locks {stake} and {rewards}, appeal by {}", day(locked.appeal_by))
        })
    }

    fn decide(&mut self, id: &str, verdict: Verdict) -> String {
        let told_ = self.stakes.decide(slash(id), verdict, said(Side::Network), self.now);
        if let Ok(effect) = &told_ {
            self.book(effect);
        }
        told(told_, |effect| effect_text(&effect))
    }

    fn wake(&mut self) -> String {
        let effects = self.stakes.on_wake(self.now);
        effects.iter().for_each(|effect| self.book(effect));
        if effects.is_empty() {
            return "nothing".to_owned();
        }
        effects.iter().map(effect_text).collect::<Vec<_>>().join("; ")
    }

    fn book(&mut self, effect: &Effect) {
        match effect {
            Effect::CoStakeCools { .. } => {}
            Effect::Burned { stake, rewards, .. } => {
                self.moved(-i128::from(stake.units()) - i128::from(rewards.units()));
            }
            Effect::Restored { rewards, .. } => {
                rewards.values().for_each(|amount| self.in_less_out -= i128::from(amount.units()));
            }
        }
    }

    fn power(&self) -> String {
        let power = self.stakes.voting_power(self.now, &self.rules);
        let one = |(who, coins): (&AccountId, &Coins)| format!("{} {}", name(*who), short(*coins));
        let all: Vec<String> = power.iter().map(one).collect();
        if all.is_empty() { "nobody".to_owned() } else { all.join(", ") }
    }

    fn show(&self, what: &str) -> String {
        if what.starts_with('w') {
            let need = self.device(what).need;
            let Some(view) = self.stakes.view(worker(what), need, self.now, &self.rules) else {
                return "nothing".to_owned();
            };
            let cooling = view.cooling.iter().map(|one| {
                let (who, amount) = (name(one.account), short(one.amount));
                format!(", {who} {amount} cools until {}", day(one.withdrawable_at))
            });
            let cooling: String = cooling.collect();
            let [own, co, overflow, locked] =
                [view.own, view.co, view.overflow, view.locked].map(short);
            let (have, need) = (short(view.have), short(view.need));
            return format!(
                "{have}/{need}: own {own} co {co} over {overflow} locked {locked}{cooling}"
            );
        }
        if what.starts_with('o') {
            let Some(known) = self.stakes.offer(offer(what)) else { return "forgotten".to_owned() };
            let status = self.stakes.offer_status(known, self.need_of(what), self.now);
            let color = if status.is_alarm() { "red" } else { "green" };
            return format!("{}, {color}", status.text());
        }
        let slash = self.stakes.slash(slash(what)).expect("a known slash");
        let of =
            |piece: &stakes::Piece| format!(", {} {}", name(piece.account), short(piece.amount));
        let pieces: String = slash.pieces.iter().map(of).collect();
        format!("{}, {} steps{pieces}", slash.stage.text(), slash.history.len())
    }

    fn payout(&self, on: &str, hour: &str, amount: &str) -> String {
        let hour = Hour::from_number(hour.parse().expect("an hour"));
        let split = self.stakes.split_payout(worker(on), hour, coins(amount));
        let co = split.co.map(|(who, part)| format!(", {} {}", name(who), short(part)));
        format!("owner {}{}", short(split.owner), co.unwrap_or_default())
    }

    fn pool(&mut self, words: &[&str]) -> String {
        let (now, rules) = (self.now, SafetyRules::default());
        let pool = &mut self.stakes.safety;
        match words {
            ["give", amount] => {
                let told_ = pool.give(coins(amount), Hour::of(now));
                if told_.is_ok() {
                    self.pool_in_less_out += i128::from(coins(amount).units());
                }
                told(told_, |()| "ok".to_owned())
            }
            ["yield"] => {
                let basis = pool.yield_basis(now);
                let (week, staked) = (short(basis.given_week), short(basis.staked));
                let yearly = basis.yearly_bp().map_or("none".to_owned(), |bp| bp.to_string());
                format!("{week} a week on {staked}: {yearly} bp")
            }
            [who, "stakes", amount] => {
                let told_ = pool.stake(account(who), coins(amount), now, &rules);
                if told_.is_ok() {
                    self.pool_in_less_out += i128::from(coins(amount).units());
                }
                told(told_, |all| format!("{} staked", short(all)))
            }
            [who, "unstakes", amount] => {
                let told_ = pool.unstake(account(who), coins(amount), now, &rules);
                told(told_, |at| format!("cools until {}", day(at)))
            }
            [who, verb @ ("withdraws" | "claims")] => {
                let told_ = match *verb {
                    "claims" => pool.claim(account(who)),
                    _ => pool.withdraw(account(who), now),
                };
                if let Ok(out) = &told_ {
                    self.pool_in_less_out -= i128::from(out.units());
                }
                told(told_, |out| format!("paid {}", short(out)))
            }
            other => panic!("the pool does no {other:?}"),
        }
    }

    fn adds_up(&self, line: &str) {
        assert_eq!(self.stakes.audit(), Ok(()), "{line}");
        assert_eq!(i128::from(self.stakes.total().units()), self.in_less_out, "{line}");
        let pool = i128::from(self.stakes.safety_total().units());
        assert_eq!(pool, self.pool_in_less_out, "{line}");
        let written = serde_json::to_string(&self.stakes).expect("stakes are JSON");
        let read: Stakes = serde_json::from_str(&written).expect("stakes are read back");
        assert_eq!(read, self.stakes, "{line}");
    }
}

fn unstaked(out: &stakes::Unstaked) -> String {
    let co = out.co.map(|(who, amount)| format!(" and {} {}", name(who), short(amount)));
    let (own, co) = (short(out.own), co.unwrap_or_default());
    format!("{own}{co} cool until {}", day(out.withdrawable_at))
}

fn effect_text(effect: &Effect) -> String {
    match effect {
        Effect::CoStakeCools { account, amount, withdrawable_at, .. } => {
            format!("{} {} cools until {}", name(*account), short(*amount), day(*withdrawable_at))
        }
        Effect::Burned { stake, rewards, .. } => {
            format!("burned {} and {}", short(*stake), short(*rewards))
        }
        Effect::Restored { stake, rewards, .. } => {
            let one = |(who, amount): (&AccountId, &Coins)| {
                format!(", {} {}", name(*who), short(*amount))
            };
            let rewards: String = rewards.iter().map(one).collect();
            format!("restored {}{rewards}", short(*stake))
        }
    }
}
