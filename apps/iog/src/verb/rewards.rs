//! `iog rewards`, `iog ready`, `iog blocks`: what machines earn in blocks, what they lack to, and the blocks.

use anyhow::Context;
use rewards::merkle::verify;
use rewards::statement::text;
use units::{BlobId, Coins, Hour, WorkerId};
use wire::{
    BlockProof, BlockView, BlockWorker, ClaimAnswer, ClaimRequest, MachineRewards, NetworkKey,
    ReadyView, RewardsView,
};

use crate::client::{Client, escaped};
use crate::failure::Failure;
use crate::file::TEXT_BYTES_MAX;
use crate::screen::{Ink, Screen};
use crate::session::Session;
use crate::show::{coins, count, money};
use crate::table::Table;
use crate::verb::audit::{Signed, is_signed};

const MINE: &str = "/v1/io-blocks/users/me/rewards";

/// What your machines have earned in blocks: show it, claim it, prove it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  iog rewards\n  iog rewards claim\n  iog rewards history wkr_…"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show what you have not claimed yet, machine by machine.
    #[command(after_help = "Example:\n  iog rewards show")]
    Show,
    /// Claim all of it, or a part; it is then yours to spend.
    #[command(after_help = "Examples:\n  iog rewards claim\n  iog rewards claim --amount 10")]
    Claim {
        /// So many coins.
        #[arg(long, value_name = "COINS", conflicts_with = "worker")]
        amount: Option<Coins>,
        /// What this machine has earned.
        #[arg(long, value_name = "ID")]
        worker: Option<WorkerId>,
    },
    /// Show what a machine's hours brought it, newest first; needs no key.
    #[command(after_help = "Example:\n  iog rewards history wkr_…")]
    History {
        /// The machine.
        worker: WorkerId,
        /// All of them, not only the last hundred.
        #[arg(long)]
        all: bool,
    },
    /// Prove that a machine's line is in a block, and check the proof here; needs no key.
    #[command(after_help = "Example:\n  iog rewards proof wkr_… --hour 2026-11-22T16 --key KEY")]
    Proof {
        /// The machine.
        worker: WorkerId,
        /// The block.
        #[arg(long, value_name = "HOUR")]
        hour: Hour,
        /// The network's public key as you know it, in hexadecimal; else the server is believed.
        #[arg(long, value_name = "HEX")]
        key: Option<String>,
    },
}

impl Args {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let (client, screen) = (session.client()?, session.screen);
        match &self.verb {
            None | Some(Verb::Show) => {
                let rewards = unclaimed(&client)?;
                session.show(&rewards, |rewards| unclaimed_text(rewards, screen))
            }
            Some(Verb::Claim { amount, worker }) => {
                let request = ClaimRequest { amount: *amount, worker: *worker };
                let answer: ClaimAnswer = client.post(&format!("{MINE}/claim"), &request)?;
                session.show(&answer, |answer| {
                    let balance = money(answer.balance);
                    let claimable = coins(answer.claimable);
                    format!("balance {balance}\nstill claimable {claimable} IO\n")
                })
            }
            Some(Verb::History { worker, all }) => {
                let path = format!("/v1/io-blocks/devices/{worker}/block-rewards");
                let (rows, more): (Vec<BlockWorker>, bool) = match all {
                    true => (client.pages(&path)?, false),
                    false => client.page(&path)?,
                };
                session.list(&rows, "It was in no block.", |rows| history(rows, screen))?;
                if more {
                    screen.note("There are more: --all shows all of them.");
                }
                Ok(())
            }
            Some(Verb::Proof { worker, hour, key }) => {
                let proof: BlockProof =
                    client.get(&format!("/v1/io-blocks/blocks/{hour}/proof/{worker}"))?;
                let known = match key {
                    Some(key) => key.clone(),
                    None => client.get::<NetworkKey>("/v1/network/key")?.public_key,
                };
                check(&proof, &known)?;
                session.show(&proof, |proof| proof_text(proof, key.is_some()))
            }
        }
    }
}

fn unclaimed(client: &Client) -> Result<RewardsView, Failure> {
    let mut all: RewardsView = client.get(&format!("{MINE}?limit=200"))?;
    while let Some(next) = all.next.take() {
        let path = format!("{MINE}?limit=200&cursor={}", escaped(&next));
        let more: RewardsView = client.get(&path)?;
        all.items.extend(more.items);
        all.next = more.next;
    }
    Ok(all)
}

fn unclaimed_text(rewards: &RewardsView, screen: Screen) -> String {
    let mut table = Table::new(&["WORKER", ">IO"]);
    for MachineRewards { worker, amount } in &rewards.items {
        table.row([worker.to_string(), amount.to_string()]);
    }
    table.row(["all".to_owned(), rewards.claimable.to_string()]);
    table.text(screen)
}

fn history(rows: &[BlockWorker], screen: Screen) -> String {
    let mut table = Table::new(&["BLOCK", "OUTCOME", ">IO", ">BASE", ">UP", "WHY"]);
    for row in rows {
        let why = row.reason.clone().unwrap_or_else(|| row.missing.join(", "));
        table.row([
            row.hour.to_string(),
            row.status.clone(),
            row.payout.to_string(),
            row.base.map(|base| base.to_string()).unwrap_or_default(),
            format!("{} min", row.up_minutes),
            why,
        ]);
    }
    table.text(screen)
}

/// Checks a proof: the signature by the key that is known, and the way from the line to the root that was signed.
fn check(proof: &BlockProof, key: &str) -> Result<(), Failure> {
    let wrong = |what: &str| {
        let hint = "the server, or somebody between, does not tell the truth: keep the proof";
        Failure::ended(format!("the proof does not hold: {what}"), hint)
    };
    if !proof.public_key.eq_ignore_ascii_case(key) {
        return Err(wrong("it is signed by another key"));
    }
    let by = Signed { key: &proof.public_key, signature: &proof.signature };
    if !is_signed(&proof.header, &by) {
        return Err(wrong("the signature is not one of this header"));
    }
    let (header, _) = text::read(&proof.header).map_err(|why| wrong(&why.to_string()))?;
    let row = text::read_row(&proof.line).filter(|row| row.device.worker == proof.worker);
    if header.hour != proof.hour || row.is_none() {
        return Err(wrong("it is of another block or another machine"));
    }
    let path: Option<Vec<BlobId>> = proof.path.iter().map(|hash| hash.parse().ok()).collect();
    let leads = |path: Vec<BlobId>| {
        verify(proof.line.as_bytes(), proof.index, header.rows, &path, header.root)
    };
    if path.is_some_and(leads) { Ok(()) } else { Err(wrong("the line does not lead to the root")) }
}

fn proof_text(proof: &BlockProof, known: bool) -> String {
    let key = if known { "which you named" } else { "as this server says" };
    format!(
        "{}\n  line {} of block {}, {} from the root\n  signed by {}, {key}\n✓ checked here: it holds\n",
        proof.line,
        proof.index + 1,
        proof.hour,
        count(proof.path.len() as u64, "hash").replace("hashs", "hashes"),
        proof.public_key,
    )
}

/// Show whether a machine would be nominated for the hour's coins, and what it lacks.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  iog ready wkr_…\n  iog ready wkr_… --json | jq .block_rewards_ready"
)]
pub(crate) struct ReadyArgs {
    /// The machine.
    worker: WorkerId,
}

impl ReadyArgs {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let path = format!("/v1/io-blocks/devices/{}/ready", self.worker);
        let ready: ReadyView = session.client()?.get(&path)?;
        session.show(&ready, |ready| ready_text(ready, session.screen))
    }
}

fn ready_text(ready: &ReadyView, screen: Screen) -> String {
    let mut table = Table::new(&["", "RULE", "WHY"]);
    for rule in &ready.rules {
        let mark = match (rule.check, rule.exempt) {
            (true, true) => "~",
            (true, false) => "✓",
            (false, _) => "✗",
        };
        table.row([mark.to_owned(), rule.rule.clone(), rule.reason.clone()]);
    }
    let lacking = ready.rules.iter().filter(|rule| !rule.check).count();
    let last = match ready.block_rewards_ready {
        true => screen.paint(Ink::Good, "Ready: it would be nominated."),
        false => {
            let lacking = count(lacking as u64, "rule");
            screen.paint(Ink::Bad, &format!("Not ready: {lacking} not fulfilled."))
        }
    };
    format!("{}{last}\n", table.text(screen))
}

/// Show blocks, newest first, or one of them; needs no key.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  iog blocks
  iog blocks 2026-11-22T16 --workers
  iog blocks 2026-11-22T16 --statement > block.txt")]
pub(crate) struct BlocksArgs {
    /// The hour of one block, in UTC.
    hour: Option<Hour>,
    /// Its machines.
    #[arg(long, requires = "hour", conflicts_with = "statement")]
    workers: bool,
    /// Its statement, for `iog audit`.
    #[arg(long, requires = "hour")]
    statement: bool,
}

impl BlocksArgs {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let (client, screen) = (session.client()?, session.screen);
        let Some(hour) = self.hour else {
            let (blocks, more): (Vec<BlockView>, bool) = client.page("/v1/io-blocks/blocks")?;
            let nothing = "There are no blocks: the network has no coin yet.";
            session.list(&blocks, nothing, |blocks| block_table(blocks, screen))?;
            if more {
                screen.note("There are older ones: name an hour.");
            }
            return Ok(());
        };
        let path = format!("/v1/io-blocks/blocks/{hour}");
        if self.statement {
            let text = client.fetch(&format!("{path}/statement"), TEXT_BYTES_MAX)?;
            let text = String::from_utf8(text).context("read the statement")?;
            return screen.data(&text);
        }
        if self.workers {
            let rows: Vec<BlockWorker> = client.pages(&format!("{path}/workers"))?;
            return session.list(&rows, "It had no machines.", |rows| workers(rows, screen));
        }
        let block: BlockView = client.get(&path)?;
        session.show(&block, block_text)
    }
}

fn block_table(blocks: &[BlockView], screen: Screen) -> String {
    let mut table = Table::new(&[
        "BLOCK",
        "STATUS",
        ">NOMINATED",
        ">EARNED",
        ">FAILED",
        ">MISSED",
        ">EMITS IO",
    ]);
    for block in blocks {
        table.row([
            block.hour.to_string(),
            block.status.clone(),
            block.nominated_workers.to_string(),
            block.succeeded.to_string(),
            block.failed.to_string(),
            block.missed.to_string(),
            block.total_block_emission.to_string(),
        ]);
    }
    table.text(screen)
}

fn block_text(block: &BlockView) -> String {
    let mut lines = vec![
        format!("block          {}, {}", block.hour, block.status),
        format!("emits          {} IO", block.total_block_emission),
        format!(
            "machines       {} nominated, {} earned, {} failed, {} missed",
            block.nominated_workers, block.succeeded, block.failed, block.missed
        ),
    ];
    let figure = |label: &str, coins: Option<Coins>| coins.map(|it| format!("{label}{it} IO"));
    lines.extend(figure("to machines    ", block.worker_emission));
    lines.extend(figure("safety module  ", block.safety_module_emission));
    lines.extend(figure("unearned       ", block.unearned));
    let group = |group: &wire::BlockGroup| {
        let name = &group.name;
        let earned = count(u64::from(group.earned), "machine");
        format!("{name:<13}  {} IO, {earned}, base scores {}", group.amount, group.base)
    };
    lines.extend(block.groups.iter().map(group));
    lines.extend(block.root.as_ref().map(|root| format!("root           {root}")));
    lines.join("\n") + "\n"
}

fn workers(rows: &[BlockWorker], screen: Screen) -> String {
    let mut table = Table::new(&["WORKER", "OUTCOME", ">IO", ">BASE", "TIER", ">CHIPS", "WHY"]);
    for row in rows {
        let why = row.reason.clone().unwrap_or_else(|| row.missing.join(", "));
        table.row([
            row.worker.to_string(),
            row.status.clone(),
            row.payout.to_string(),
            row.base.map(|base| base.to_string()).unwrap_or_default(),
            row.connectivity_tier.to_string(),
            format!("{} × {}", row.quantity, row.multiplier),
            why,
        ]);
    }
    table.text(screen)
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use ed25519_dalek::{Signer, SigningKey};
    use rewards::block::{BlockRules, Device, Proof, Proofs, close};
    use rewards::merkle::{Tree, leaf_hash};
    use rewards::rule::RuleSet;
    use rewards::statement::Header;
    use units::{DeviceKind, Pool, Tier};

    use super::*;

    /// A proof of the second of three machines, and the key that signed it.
    fn proof() -> (BlockProof, String) {
        let device = |number: u128| Device {
            worker: WorkerId::from_bits(number),
            kind: DeviceKind::Gpu,
            pool: Pool::Enterprise,
            tier: Tier::High,
            multiplier: "10".parse().unwrap(),
            quantity: 8,
            hired: false,
            missing: RuleSet::NONE,
            proofs: Proofs { work: Proof::NotAsked, time_lock: Proof::Passed, up_minutes: 60 },
        };
        let rules = BlockRules::default();
        let block = close(&rules, "4129".parse().unwrap(), &[1, 2, 3].map(device));
        let hour = "2025-03-05T10".parse().unwrap();
        let header = Header::of(hour, None, &rules, &block).to_string();
        let lines: Vec<String> = block.rows.iter().map(ToString::to_string).collect();
        let tree = Tree::new(lines.iter().map(|line| leaf_hash(line.as_bytes())));
        let key = SigningKey::from_bytes(&[7; 32]);
        let public_key = HEXLOWER.encode(key.verifying_key().as_bytes());
        let proof = BlockProof {
            hour,
            worker: WorkerId::from_bits(2),
            line: lines[1].clone(),
            index: 1,
            path: tree.proof(1).unwrap().iter().map(ToString::to_string).collect(),
            signature: HEXLOWER.encode(&key.sign(header.as_bytes()).to_bytes()),
            header,
            public_key: public_key.clone(),
        };
        (proof, public_key)
    }

    #[test]
    fn a_proof_holds_and_nothing_near_it_does() {
        let (good, key) = proof();
        check(&good, &key).unwrap();
        let forged = |change: fn(&mut BlockProof)| {
            let mut proof = good.clone();
            change(&mut proof);
            let failure = check(&proof, &key).unwrap_err();
            assert_eq!(failure.exit().number(), 1);
            failure.text(Screen::PLAIN)
        };
        assert!(forged(|proof| proof.public_key = "00".repeat(32)).contains("another key"));
        assert!(
            forged(|proof| proof.header = proof.header.replace("4129", "9129"))
                .contains("signature")
        );
        assert!(forged(|proof| proof.signature.clear()).contains("signature"));
        assert!(forged(|proof| proof.worker = WorkerId::from_bits(3)).contains("another machine"));
        assert!(forged(|proof| proof.hour = proof.hour.next()).contains("another block"));
        assert!(
            forged(|proof| proof.line = proof.line.replace("10.00 8", "10.00 9")).contains("root")
        );
        assert!(forged(|proof| proof.index = 0).contains("root"));
        assert!(forged(|proof| drop(proof.path.pop())).contains("root"));
        assert!(forged(|proof| proof.path[0] = "x".to_owned()).contains("root"));
    }
}
