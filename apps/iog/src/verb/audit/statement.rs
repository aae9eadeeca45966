//! One block's statement, from its signature to its last line.

use std::path::Path;

use control::Parameters;
use data_encoding::HEXLOWER_PERMISSIVE;
use ed25519_dalek::{Signature, VerifyingKey};
use rewards::emission::Emission;
use rewards::statement::{self, Header, text};
use serde::Serialize;
use units::{Coins, Hour};

use super::wrong;
use crate::failure::Failure;
use crate::file;

/// What a signed statement begins with.
const FIRST_LINE: &str = "iog statement 1";

/// Who signed what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signed<'a> {
    /// The public key, in hexadecimal.
    pub(crate) key: &'a str,
    /// The signature, in hexadecimal.
    pub(crate) signature: &'a str,
}

/// What a statement is held against, beside itself.
#[derive(Debug, Default)]
pub(super) struct Against<'a> {
    pub(super) key: Option<&'a str>,
    pub(super) parameters: Option<&'a Parameters>,
    /// The statement of the block before.
    pub(super) previous: Option<String>,
}

/// What was found right.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    hour: Hour,
    machines: u64,
    earned: u32,
    emission: Coins,
    worker_emission: Coins,
    root: String,
    header_sha256: String,
    signed_by: Option<String>,
    /// Whether the key that signed was named by whoever asks.
    key_known: bool,
    schedule_checked: bool,
    previous_checked: bool,
}

pub(super) fn text_of(path: &Path) -> Result<String, Failure> {
    file::read_text(path)
}

/// Whether a text was signed with a key.
pub(crate) fn is_signed(text: &str, by: &Signed<'_>) -> bool {
    let hex = |text: &str| HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
    let check = || {
        let key = VerifyingKey::from_bytes(&hex(by.key)?.try_into().ok()?).ok()?;
        let signature = Signature::from_bytes(&hex(by.signature)?.try_into().ok()?);
        key.verify_strict(text.as_bytes(), &signature).ok()
    };
    check().is_some()
}

/// The signature of a statement, if it has one, and what follows it.
fn signed(text: &str) -> Result<(Option<Signed<'_>>, &str), Failure> {
    let Some(rest) = text.strip_prefix(FIRST_LINE).and_then(|rest| rest.strip_prefix('\n')) else {
        return Ok((None, text));
    };
    let lines = || {
        let (key, rest) = rest.strip_prefix("key ")?.split_once('\n')?;
        let (signature, rest) = rest.strip_prefix("signature ")?.split_once('\n')?;
        Some((Some(Signed { key, signature }), rest))
    };
    lines().ok_or_else(|| wrong("its second and third lines are not `key …` and `signature …`"))
}

/// Computes a statement again.
pub(super) fn audit(statement: &str, against: &Against<'_>) -> Result<Figures, Failure> {
    let (signed, body) = signed(statement)?;
    let (header, rows) = text::read(body).map_err(|why| wrong(why.to_string()))?;
    check_signature(&header, signed.as_ref(), against.key)?;
    let schedule =
        against.parameters.map(|parameters| rules_are(&header, parameters)).transpose()?;
    statement::audit(&header, &rows, schedule.as_ref()).map_err(|why| wrong(why.to_string()))?;
    if let Some(previous) = &against.previous {
        check_previous(&header, previous)?;
    }
    Ok(Figures {
        hour: header.hour,
        machines: header.rows,
        earned: header.counts.succeeded,
        emission: header.emission,
        worker_emission: header.worker_emission,
        root: header.root.to_string(),
        header_sha256: header.hash().to_string(),
        signed_by: signed.map(|signed| signed.key.to_owned()),
        key_known: against.key.is_some(),
        schedule_checked: schedule.is_some(),
        previous_checked: against.previous.is_some(),
    })
}

fn check_signature(
    header: &Header,
    signed: Option<&Signed<'_>>,
    key: Option<&str>,
) -> Result<(), Failure> {
    match (signed, key) {
        (None, None) => Ok(()),
        (None, Some(_)) => Err(wrong("nobody signed it")),
        (Some(signed), Some(key)) if !signed.key.eq_ignore_ascii_case(key) => {
            Err(wrong(format!("it is signed by {}, not by {key}", signed.key)))
        }
        (Some(signed), _) if !is_signed(&header.to_string(), signed) => {
            Err(wrong("the signature is not one of this header"))
        }
        (Some(_), _) => Ok(()),
    }
}

/// The schedule of the parameters, whose rules must be the block's.
fn rules_are(header: &Header, parameters: &Parameters) -> Result<Emission, Failure> {
    if header.rules != parameters.blocks {
        return Err(wrong("its rules are not those of the parameters"));
    }
    Emission::new(&parameters.emission).map_err(|why| wrong(why.to_string()))
}

fn check_previous(header: &Header, previous: &str) -> Result<(), Failure> {
    let (_, body) = signed(previous)?;
    let (before, _) = text::read(body)
        .map_err(|why| wrong(format!("the statement of the block before: {why}")))?;
    if before.hour.next() != header.hour {
        return Err(wrong(format!("the block before is of {}, an hour is missing", before.hour)));
    }
    if header.previous != Some(before.hash()) {
        let stated = header.previous.map_or("none".to_owned(), |hash| hash.to_string());
        let computed = before.hash();
        return Err(wrong(format!("stated `previous {stated}`, computed `previous {computed}`")));
    }
    Ok(())
}

impl Figures {
    pub(super) fn text(&self) -> String {
        let signed = match (&self.signed_by, self.key_known) {
            (None, _) => "by nobody".to_owned(),
            (Some(key), true) => format!("by {key}"),
            (Some(key), false) => format!("by {key}: compare it with what you know of the network"),
        };
        let checked = |done, flag| if done { "checked" } else { flag };
        format!(
            "block      {}\nmachines   {}, {} earned\nemission   {} IO, {} IO to machines\nroot       {}\n\
             signed     {signed}\nschedule   {}\nbefore it  {}\n✓ computed again from its lines: it adds up\n",
            self.hour,
            self.machines,
            self.earned,
            self.emission,
            self.worker_emission,
            self.root,
            checked(self.schedule_checked, "not checked: name --parameters"),
            checked(self.previous_checked, "not checked: name --previous"),
        )
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use ed25519_dalek::{Signer, SigningKey};
    use rewards::block::{Device, Proof, Proofs, close};
    use rewards::rule::RuleSet;
    use units::{DeviceKind, Pool, Tier, WorkerId};

    use super::*;
    use crate::screen::Screen;

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[7; 32])
    }

    fn public() -> String {
        HEXLOWER.encode(key().verifying_key().as_bytes())
    }

    fn device(number: u128) -> Device {
        let time_lock = if number == 3 { Proof::Failed } else { Proof::Passed };
        Device {
            worker: WorkerId::from_bits(number),
            kind: DeviceKind::Gpu,
            pool: if number == 2 { Pool::Community } else { Pool::Enterprise },
            tier: Tier::High,
            multiplier: "10".parse().unwrap(),
            quantity: 8,
            hired: number == 1,
            missing: RuleSet::NONE,
            proofs: Proofs { work: Proof::NotAsked, time_lock, up_minutes: 60 },
        }
    }

    fn sign(header: &Header, body: &str) -> String {
        let signature = HEXLOWER.encode(&key().sign(header.to_string().as_bytes()).to_bytes());
        format!("iog statement 1\nkey {}\nsignature {signature}\n{body}", public())
    }

    /// A signed statement of the hour, after `previous`.
    fn statement(hour: &str, previous: Option<&Header>) -> (Header, String) {
        let (parameters, hour) = (Parameters::default(), hour.parse().unwrap());
        let emission = Emission::new(&parameters.emission).unwrap().block(hour);
        let block = close(&parameters.blocks, emission, &[1, 2, 3].map(device));
        let previous = previous.map(Header::hash);
        let header = Header::of(hour, previous, &parameters.blocks, &block);
        let body = text::write(&header, &block.rows);
        let signed = sign(&header, &body);
        (header, signed)
    }

    fn check(statement: &str, against: &Against<'_>) -> String {
        match audit(statement, against) {
            Ok(_) => "it adds up".to_owned(),
            Err(failure) => {
                assert_eq!(failure.exit().number(), 1);
                failure.text(Screen::PLAIN)
            }
        }
    }

    #[test]
    fn a_statement_as_the_network_made_it_adds_up() {
        let (parameters, key) = (Parameters::default(), public());
        let (before, text_before) = statement("2025-03-05T10", None);
        let (_, text) = statement("2025-03-05T11", Some(&before));
        let all = Against {
            key: Some(&key),
            parameters: Some(&parameters),
            previous: Some(text_before.clone()),
        };
        let figures = audit(&text, &all).unwrap();
        assert!(figures.text().contains("3, 2 earned"), "{}", figures.text());
        let unsigned = text_before.splitn(4, '\n').last().unwrap();
        assert_eq!(check(unsigned, &Against::default()), "it adds up");
    }

    /// The statement with the first `from` replaced, and signed anew, as a network that lies would.
    fn forged(text: &str, from: &str, to: &str) -> String {
        assert!(text.contains(from), "{from} is not in {text}");
        let body = text.splitn(4, '\n').last().unwrap().replacen(from, to, 1);
        match text::read(&body) {
            Ok((header, _)) => sign(&header, &body),
            Err(_) => body,
        }
    }

    #[test]
    fn every_kind_of_tampering_is_found() {
        let (_, text) = statement("2025-03-05T10", None);
        let parameters = Parameters::default();
        let alone = Against::default();
        let with = Against { parameters: Some(&parameters), ..Against::default() };
        let found = |text: &str, against: &Against<'_>, expected: &str| {
            let said = check(text, against);
            assert!(said.contains(expected), "{said}\nnot {expected}");
        };
        // A figure of the header, as whoever holds the file would change it.
        let touched = text.replacen("unearned 0.00000000", "unearned 1.00000000", 1);
        found(&touched, &alone, "the signature is not one of this header");
        // The same by the network itself.
        found(
            &forged(&text, "unearned 0.00000000", "unearned 1.00000000"),
            &alone,
            "stated `unearned 1",
        );
        // A payout, an input of a score, an outcome, a line too few, lines out of order, a root.
        let line = text.lines().find(|line| line.contains(" 8 hired ")).unwrap();
        let paid = format!(" {}\n", line.split(' ').next_back().unwrap());
        found(&forged(&text, &paid, " 9999.00000000\n"), &alone, "stated `wkr_");
        found(&forged(&text, "10.00 8 hired", "10.00 9 hired"), &alone, "stated `wkr_");
        found(&forged(&text, "failed time-lock", "missed outranked"), &alone, "computed `wkr_");
        found(&forged(&text, "rows 3", "rows 4"), &alone, "stated `rows 4`, computed `rows 3`");
        let root = text.lines().find(|line| line.starts_with("root ")).unwrap();
        let other = format!("root {}", "0".repeat(64));
        found(&forged(&text, root, &other), &alone, "computed `root");
        let lines: Vec<&str> = text.lines().collect();
        let mut swapped = lines.clone();
        let end = swapped.len() - 1;
        swapped.swap(end, end - 1);
        found(&format!("{}\n", swapped.join("\n")), &alone, "out of order");
        found(&format!("{}\n", lines[..end].join("\n")), &alone, "stated `");
        // The rules, and the emission with everything that follows from it.
        found(
            &forged(&text, "safety-module 300", "safety-module 0"),
            &with,
            "not those of the parameters",
        );
        found(&forged(&text, "emission 4129", "emission 4999"), &with, "stated `emission 4999");
        // What is no statement.
        found(&forged(&text, "grouping pool", "grouping  pool"), &alone, "line 5 of the statement");
        found("", &alone, "line 1 of the statement");
        found("iog statement 1\n", &alone, "second and third lines");
    }

    #[test]
    fn the_wrong_key_and_the_wrong_past_are_found() {
        let (before, text_before) = statement("2025-03-05T10", None);
        let (_, text) = statement("2025-03-05T11", Some(&before));
        let other = "00".repeat(32);
        let said = check(&text, &Against { key: Some(&other), ..Against::default() });
        assert!(said.contains("not by 00"), "{said}");
        let unsigned = text.splitn(4, '\n').last().unwrap();
        let said = check(unsigned, &Against { key: Some(&other), ..Against::default() });
        assert!(said.contains("nobody signed it"), "{said}");
        let after = |text: &str, previous: String| {
            check(text, &Against { previous: Some(previous), ..Against::default() })
        };
        assert!(after(&text, text.clone()).contains("an hour is missing"));
        let (_, unlinked) = statement("2025-03-05T11", None);
        assert!(after(&unlinked, text_before).contains("stated `previous none`"));
    }
}
