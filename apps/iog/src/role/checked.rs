//! What a look at this machine found, as its owner reads it; and whether it joins like that.

use agent::{Depth, Finding, Report, Verdict};
use serde::Serialize;
use wire::{Machine, Requirements, SpeedView};

use crate::failure::Failure;
use crate::screen::{Ink, Screen};
use crate::session::Session;
use crate::show::hung;

/// The widest column of what was found; what is longer pushes the next column aside.
const FOUND_WIDTH: usize = 46;
/// What stands before what was found.
const MARGIN: usize = 18;

/// A report as JSON.
#[derive(Serialize)]
struct ReportJson<'a> {
    can_serve: bool,
    /// Whether a network said that it asks for this.
    is_of_network: bool,
    requirements: &'a Requirements,
    #[serde(skip_serializing_if = "Option::is_none")]
    machine: Option<&'a Machine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<&'a SpeedView>,
    findings: &'a [Finding],
}

/// Shows a report; a failure if the machine cannot serve.
pub(super) fn show(session: &Session, report: &Report) -> Result<(), Failure> {
    let json = ReportJson {
        can_serve: report.can_serve(),
        is_of_network: report.is_of_network,
        requirements: &report.requirements,
        machine: report.machine.as_ref(),
        line: report.line.as_ref(),
        findings: &report.findings,
    };
    session.show(&json, |_| text(&report.findings, session.screen))?;
    if report.can_serve() {
        return Ok(());
    }
    Err(Failure::refused("this machine cannot serve", "the lines that start with `bad` say why"))
}

/// Looks at the machine; says so where that takes a while.
pub(super) fn looked(config: &agent::Config, depth: Depth, screen: Screen) -> Report {
    match depth {
        Depth::Look => {}
        Depth::Measure => screen.note("Measuring the disk and the line takes some seconds …"),
    }
    agent::check(config, depth)
}

/// Looks at the machine, and refuses to join with it as it is, with every reason.
pub(super) fn before_joining(
    config: &agent::Config,
    depth: Depth,
    anyway: bool,
    screen: Screen,
) -> Result<(), Failure> {
    let report = looked(config, depth, screen);
    let is_open = |finding: &&Finding| finding.verdict != Verdict::Good;
    let open: Vec<Finding> = report.findings.iter().filter(is_open).cloned().collect();
    if !open.is_empty() {
        screen.note(text(&open, screen).trim_end());
    }
    if let Some(why) = report.silent {
        return Err(why.into());
    }
    if report.machine.is_none() {
        let hint = "see `offer` above: what is named must be there, and none of it nothing";
        return Err(Failure::usage("this machine cannot offer that", hint));
    }
    // What a network does not say it does not ask for.
    if report.can_serve() || !report.is_of_network {
        return Ok(());
    }
    match (anyway, report.may_join_without()) {
        (true, true) => Ok(()),
        (true, false) => Err(Failure::refused(
            "this network takes no machine that lacks something",
            "mend what is `bad` above, and join again",
        )),
        (false, true) => Err(Failure::refused(
            "this machine cannot serve like this",
            "mend what is `bad` above; or join with --anyway, and mend it before it takes rentals",
        )),
        (false, false) => Err(Failure::refused(
            "this machine cannot serve like this",
            "mend what is `bad` above, and join again",
        )),
    }
}

/// A line for each finding, and one for what to do about it.
fn text(findings: &[Finding], screen: Screen) -> String {
    findings.iter().map(|finding| line(finding, screen)).collect()
}

fn line(finding: &Finding, screen: Screen) -> String {
    let Finding { what, verdict, found, needed, hint } = finding;
    let ink = match verdict {
        Verdict::Good => Ink::Good,
        Verdict::Fair => Ink::Note,
        Verdict::Bad => Ink::Bad,
    };
    let verdict = screen.paint(ink, &format!("{verdict:4}"));
    let hang = |text: &str, margin| hung(text, margin, screen.columns);
    let mut text = format!("{verdict}  {what:<10}  {}", hang(found, MARGIN));
    if !needed.is_empty() {
        let asks = format!("(asked for: {needed})");
        let width = |text: &str| text.chars().count();
        let beside = MARGIN + width(found).max(FOUND_WIDTH) + 2 + width(&asks);
        let gap = match screen.columns.is_some_and(|columns| beside > columns) {
            true => format!("\n{:MARGIN$}", ""),
            false => " ".repeat(FOUND_WIDTH.saturating_sub(width(found)) + 2),
        };
        let asks = screen.paint(Ink::Faint, &hang(&asks, MARGIN));
        text.push_str(&format!("{gap}{asks}"));
    }
    text.push('\n');
    if !hint.is_empty() {
        text.push_str(&format!("{:MARGIN$}→ {}\n", "", hang(hint, MARGIN + 2)));
    }
    text
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn finding(what: &'static str, verdict: Verdict, [found, needed, hint]: [&str; 3]) -> Finding {
        let owned = |text: &str| text.to_owned();
        let (found, needed, hint) = (owned(found), owned(needed), owned(hint));
        Finding { what, verdict, found, needed, hint }
    }

    #[test]
    fn a_report_says_what_was_found_what_is_asked_for_and_what_to_do() {
        let findings = [
            finding("memory", Verdict::Good, ["23.5 GiB", "11 GiB, better 16 GiB", ""]),
            finding("disk", Verdict::Bad, ["40 GiB, 3 GiB free", "230 GiB", "name another disk"]),
            finding("identity", Verdict::Fair, ["has not joined", "", "join"]),
        ];
        assert_snapshot!(text(&findings, Screen::PLAIN), @r"
        good  memory      23.5 GiB                                        (asked for: 11 GiB, better 16 GiB)
        bad   disk        40 GiB, 3 GiB free                              (asked for: 230 GiB)
                          → name another disk
        fair  identity    has not joined
                          → join
        ");
    }
}
