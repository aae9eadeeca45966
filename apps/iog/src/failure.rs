//! Why a verb was not done, and what the program says about it.

use std::io;

use agent::NotJoined;
use wire::{FieldProblem, Problem};

use crate::exit::Exit;
use crate::screen::{Ink, Screen};
use crate::show::{count, tame};
use crate::verb::choices;

/// Why a verb was not done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line or the configuration is wrong.
    Usage {
        /// What is wrong.
        what: String,
        /// What to do.
        hint: Option<String>,
    },
    /// The server answered with a problem.
    Answered(Box<Problem>),
    /// Nobody answered.
    Unreachable {
        /// Where.
        server: String,
        /// Why, as far as it is known.
        why: String,
    },
    /// What was asked for was tried and ended badly: a rental, a job, a step of the story.
    Ended {
        /// What ended, and how.
        what: String,
        /// What to do.
        hint: Option<String>,
    },
    /// What was asked for was looked at here, and does not do.
    Refused {
        /// What does not, and why.
        what: String,
        /// What to do.
        hint: Option<String>,
    },
    /// Something broke.
    Fault(anyhow::Error),
}

impl Failure {
    /// A wrong command line or configuration, with what to do about it.
    pub(crate) fn usage(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { what: what.into(), hint: Some(hint.into()) }
    }

    /// Something that ended badly, with what to do about it.
    pub(crate) fn ended(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Ended { what: what.into(), hint: Some(hint.into()) }
    }

    /// Something that does not do, with what to do about it.
    pub(crate) fn refused(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Refused { what: what.into(), hint: Some(hint.into()) }
    }

    /// A wrong command line or configuration, as a shell tells it.
    #[expect(clippy::needless_pass_by_value, reason = "it is used as `map_err(Failure::told)`")]
    pub(crate) fn told(fault: anyhow::Error) -> Self {
        let (what, hint) = in_words(&fault);
        Self::Usage { what, hint }
    }

    /// The code that the program ends with.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage { .. } => Exit::Usage,
            Self::Answered(problem) => match problem.status {
                429 | 502..=504 => Exit::Unavailable,
                500.. => Exit::Fault,
                _ => Exit::Refused,
            },
            Self::Refused { .. } => Exit::Refused,
            Self::Unreachable { .. } => Exit::Unavailable,
            Self::Ended { .. } | Self::Fault(_) => Exit::Fault,
        }
    }

    /// Whether the reader of standard output went away, as `head` does: nobody is left to be told.
    pub(crate) fn nobody_reads(&self) -> bool {
        let Self::Fault(fault) = self else { return false };
        fault.chain().any(|cause| {
            let cause = cause.downcast_ref::<io::Error>();
            cause.is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
        })
    }

    /// The lines for standard error.
    pub(crate) fn text(&self, screen: Screen) -> String {
        let mut lines = vec![line(screen, "error", Ink::Bad, &self.what())];
        if let Self::Answered(problem) = self {
            let said =
                |wrong: &&FieldProblem| problem.detail == format!("{}: {}", wrong.field, wrong.why);
            lines.extend(problem.fields.iter().filter(|wrong| !said(wrong)).map(|wrong| {
                format!("  {}: {}", screen.paint(Ink::Strong, &wrong.field), wrong.why)
            }));
            if let Some(told) = &problem.no_offer {
                lines.push(choices::no_offer(told, screen));
            } else if !problem.relaxations.is_empty() {
                lines.push("These could be served:".to_owned());
                lines.extend(problem.relaxations.iter().map(|order| format!("  - {order}")));
            }
        }
        lines.extend(self.hint().map(|hint| line(screen, "hint", Ink::Note, &hint)));
        if let Self::Answered(problem) = self
            && problem.status >= 500
        {
            let told = format!("the server's log names this request {}", problem.request_id);
            lines.push(screen.paint(Ink::Faint, &told));
        }
        lines.join("\n")
    }

    fn what(&self) -> String {
        match self {
            Self::Usage { what, .. } | Self::Ended { what, .. } | Self::Refused { what, .. } => {
                what.clone()
            }
            Self::Answered(problem) if problem.no_offer.is_some() => {
                let possible = problem.no_offer.as_ref().map_or(0, |told| told.nodes_possible);
                let nodes = count(u64::from(possible), "node");
                format!("no machines for this order: {nodes} possible now ({})", problem.code)
            }
            Self::Answered(problem) => {
                let said = if problem.detail.is_empty() { &problem.title } else { &problem.detail };
                format!("{said} ({})", problem.code)
            }
            Self::Unreachable { server, why } => format!("no answer from {server}: {why}"),
            Self::Fault(fault) => in_words(fault).0,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Usage { hint, .. } | Self::Ended { hint, .. } | Self::Refused { hint, .. } => {
                hint.clone()
            }
            // Said already, in the list.
            Self::Answered(problem)
                if problem.hint.as_ref().is_some_and(|hint| problem.relaxations.contains(hint)) =>
            {
                None
            }
            Self::Answered(problem) => problem.hint.clone().or_else(|| {
                let hint = match (problem.status, problem.code.as_str()) {
                    (401, _) => "log in again with a key that is valid: `iog login --server URL`",
                    (_, "not-found") => "is it the right id? What is not yours is not shown",
                    (404, _) => "is it the address of a control plane? See `iog login`",
                    _ => return None,
                };
                Some(hint.to_owned())
            }),
            Self::Unreachable { .. } => {
                Some("is the server running, and is the address right? See `iog login`".to_owned())
            }
            Self::Fault(fault) => in_words(fault).1,
        }
    }
}

/// What a shell says of a fault, which fits after "could not", and its hint.
fn in_words(fault: &anyhow::Error) -> (String, Option<String>) {
    let (what, hint) = split_hint(&format!("{fault:#}"));
    (format!("could not {what}"), hint)
}

/// A fault's text and the hint that shells write into it, as in `do this: why (hint: do that)`, or in the context of
/// another, as in `do this (hint: do that): why`.
fn split_hint(text: &str) -> (String, Option<String>) {
    let Some((what, rest)) = text.rsplit_once(" (hint: ") else { return (text.to_owned(), None) };
    match (rest.strip_suffix(')'), rest.split_once("): ")) {
        (Some(hint), _) => (what.to_owned(), Some(hint.to_owned())),
        (None, Some((hint, why))) => (format!("{what}: {why}"), Some(hint.to_owned())),
        (None, None) => (text.to_owned(), None),
    }
}

fn line(screen: Screen, label: &str, ink: Ink, text: &str) -> String {
    // Part of it may be words of others. Lines are the program's own: it breaks long ones.
    let tamed: Vec<String> = text.lines().map(tame).collect();
    format!("{} {}", screen.paint(ink, &format!("{label}:")), tamed.join("\n"))
}

impl From<NotJoined> for Failure {
    fn from(why: NotJoined) -> Self {
        match why {
            NotJoined::Told(fault) => Self::told(fault),
            NotJoined::Unreachable { server, why } => Self::Unreachable { server, why },
            NotJoined::Refused { what, hint } => Self::Refused { what, hint },
            NotJoined::Broken(fault) => Self::Fault(fault),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(fault: anyhow::Error) -> Self {
        Self::Fault(fault)
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn problem(status: u16, code: &str, detail: &str) -> Problem {
        Problem {
            r#type: format!("/docs/errors/{code}"),
            code: code.to_owned(),
            title: "No".to_owned(),
            status,
            detail: detail.to_owned(),
            hint: None,
            fields: Vec::new(),
            relaxations: Vec::new(),
            no_offer: None,
            request_id: "req_1".to_owned(),
        }
    }

    fn answered(problem: Problem) -> Failure {
        Failure::Answered(Box::new(problem))
    }

    #[test]
    fn a_refusal_says_what_would_be_served() {
        let relaxations = vec!["1 node fewer: 2 offers".to_owned(), "1 vCPU less".to_owned()];
        let hint = Some("ask for less".to_owned());
        let why = "no offer for 3 nodes: 14 machines excluded by tier, 3 by vCPUs";
        let problem = Problem { relaxations, hint, ..problem(409, "no-offer", why) };
        assert_snapshot!(answered(problem).text(Screen::PLAIN), @r"
        error: no offer for 3 nodes: 14 machines excluded by tier, 3 by vCPUs (no-offer)
        These could be served:
          - 1 node fewer: 2 offers
          - 1 vCPU less
        hint: ask for less
        ");
    }

    #[test]
    fn wrong_fields_are_named() {
        let fields =
            vec![FieldProblem { field: "hours".to_owned(), why: "must be 1 to 8760".to_owned() }];
        let problem = Problem { fields, ..problem(422, "invalid", "a value is wrong") };
        assert_snapshot!(answered(problem).text(Screen::PLAIN), @r"
        error: a value is wrong (invalid)
          hours: must be 1 to 8760
        ");
    }

    #[test]
    fn a_fault_of_the_server_names_the_request() {
        let failure = answered(problem(500, "fault", "something broke"));
        assert_snapshot!(failure.text(Screen::PLAIN), @r"
        error: something broke (fault)
        the server's log names this request req_1
        ");
    }

    #[test]
    fn the_hint_of_a_fault_gets_its_own_line() {
        let failure = Failure::Fault(anyhow::anyhow!("use ports 1-2: too few (hint: name more)"));
        assert_snapshot!(failure.text(Screen::PLAIN), @r"
        error: could not use ports 1-2: too few
        hint: name more
        ");
        let cause = anyhow::anyhow!("there is no bwrap");
        let failure = Failure::Fault(cause.context("run nodes (hint: install it (or not))"));
        assert_snapshot!(failure.text(Screen::PLAIN), @r"
        error: could not run nodes: there is no bwrap
        hint: install it (or not)
        ");
    }

    #[test]
    fn each_failure_has_its_exit_code() {
        let rows = [
            (Failure::usage("x", "y"), 2),
            (answered(problem(401, "unauthorized", "")), 10),
            (answered(problem(409, "no-offer", "")), 10),
            (answered(problem(429, "too-many", "")), 11),
            (answered(problem(500, "fault", "")), 1),
            (answered(problem(503, "busy", "")), 11),
            (Failure::Unreachable { server: "s".to_owned(), why: "w".to_owned() }, 11),
            (Failure::ended("x", "y"), 1),
            (Failure::Fault(anyhow::anyhow!("x")), 1),
        ];
        for (failure, code) in rows {
            assert_eq!(failure.exit().number(), code, "{failure:?}");
        }
    }
}
