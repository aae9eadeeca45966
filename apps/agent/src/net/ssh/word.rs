//! What a visitor says in a session, as far as a node hears it.

use std::sync::Arc;

use russh::{ChannelMsg, ChannelReadHalf};
use tokio::sync::mpsc;

use super::input::{Input, Piece};

/// One thing that was said. Where an answer may be wanted, that comes first.
#[derive(Debug)]
pub(super) enum Word {
    /// It wants a terminal of this kind, with so many columns and rows.
    Terminal(bool, String, u16, u16),
    /// A variable is to have this value.
    Variable(bool, String, String),
    /// It wants a shell.
    Shell(bool),
    /// It wants this command to be run.
    Command(bool, Vec<u8>),
    /// It wants files to be served.
    Files(bool),
    /// It wants what nodes do not do: X11, agents, other subsystems.
    Strange(bool),
    /// Input, which is never empty.
    Input(Vec<u8>),
    /// There is no more input.
    End,
    /// Its terminal has so many columns and rows.
    Size(u16, u16),
    /// It is gone.
    Gone,
    /// What means nothing to a node: signals, which terminals send, and what only servers say.
    Nothing,
}

impl From<ChannelMsg> for Word {
    fn from(message: ChannelMsg) -> Self {
        match message {
            ChannelMsg::RequestPty { want_reply, term, col_width, row_height, .. } => {
                Self::Terminal(want_reply, term, cells(col_width), cells(row_height))
            }
            ChannelMsg::SetEnv { want_reply, variable_name, variable_value } => {
                Self::Variable(want_reply, variable_name, variable_value)
            }
            ChannelMsg::RequestShell { want_reply } => Self::Shell(want_reply),
            ChannelMsg::Exec { want_reply, command } => Self::Command(want_reply, command),
            ChannelMsg::RequestSubsystem { want_reply, name } if name == "sftp" => {
                Self::Files(want_reply)
            }
            ChannelMsg::RequestSubsystem { want_reply, .. }
            | ChannelMsg::RequestX11 { want_reply, .. }
            | ChannelMsg::AgentForward { want_reply } => Self::Strange(want_reply),
            // Whoever sends much of nothing is to take no memory with it.
            ChannelMsg::Data { data } if data.is_empty() => Self::Nothing,
            ChannelMsg::Data { data } => Self::Input(data.to_vec()),
            ChannelMsg::Eof => Self::End,
            ChannelMsg::WindowChange { col_width, row_height, .. } => {
                Self::Size(cells(col_width), cells(row_height))
            }
            ChannelMsg::Close => Self::Gone,
            ChannelMsg::ExtendedData { .. }
            | ChannelMsg::Open { .. }
            | ChannelMsg::Signal { .. }
            | ChannelMsg::XonXoff { .. }
            | ChannelMsg::ExitStatus { .. }
            | ChannelMsg::ExitSignal { .. }
            | ChannelMsg::WindowAdjusted { .. }
            | ChannelMsg::Success
            | ChannelMsg::Failure
            | ChannelMsg::OpenFailure(_) => Self::Nothing,
            // More may come to be said.
            _ => Self::Nothing,
        }
    }
}

/// Hears a visitor whose program runs, until it is gone. Its input is kept for `pieces`, because the channel must never
/// be waited for; sizes of its terminal go to `resize`.
pub(super) async fn hear(
    mut from: ChannelReadHalf,
    pieces: mpsc::UnboundedSender<Piece>,
    input: Arc<Input>,
    resize: impl Fn(u16, u16),
) {
    let mut pieces = Some(pieces);
    while let Some(message) = from.wait().await {
        match Word::from(message) {
            Word::Input(bytes) => {
                if let Some(pieces) = &pieces {
                    let _ = pieces.send(input.keep(bytes));
                }
            }
            Word::End => drop(pieces.take()),
            Word::Size(columns, rows) => resize(columns, rows),
            Word::Gone => return,
            // A program runs already.
            Word::Terminal(..)
            | Word::Variable(..)
            | Word::Shell(_)
            | Word::Command(..)
            | Word::Files(_)
            | Word::Strange(_)
            | Word::Nothing => {}
        }
    }
}

/// What a terminal of so many cells has.
fn cells(count: u32) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_that_is_empty_is_nothing() {
        let said = |bytes: &[u8]| Word::from(ChannelMsg::Data { data: bytes.to_vec().into() });
        assert!(matches!(said(b""), Word::Nothing));
        assert!(matches!(said(b"a"), Word::Input(bytes) if bytes == b"a"));
    }
}
