//! A session: what a visitor asks for, the program that answers, and what goes between the two.

use std::sync::Arc;
use std::time::Duration;

use russh::server::{Handle, Msg};
use russh::{Channel, ChannelId, ChannelReadHalf, ChannelWriteHalf};
use tokio::io::AsyncWriteExt;
use tokio::sync::{mpsc, watch};

use super::input::{Input, Piece};
use super::pipe::Pipe;
use super::word::{Word, hear};
use super::{Asked, Control, Program, Room};

/// Variables that a visitor may set: of the terminal and the language, as servers commonly take them.
const VARIABLES: [&str; 4] = ["LANG", "COLORTERM", "TERM_PROGRAM", "NO_COLOR"];
/// Beginnings of names of further ones: of the language, and those that are made for this.
const VARIABLE_PREFIXES: [&str; 2] = ["LC_", "IOG_SSH_"];
/// Variables of one session.
const VARIABLES_MAX: usize = 32;
/// The longest value of one, in bytes.
const VARIABLE_BYTES_MAX: usize = 4_096;
/// The longest name of a kind of terminal.
const KIND_BYTES_MAX: usize = 64;
/// What is read of a program's output at a time.
const PIECE_BYTES: usize = 32 << 10;
/// How long the output of a program that has ended may be silent before that was all.
const LINGER: Duration = Duration::from_millis(300);
/// What a shell says of a command that is not there.
const NOT_FOUND: u32 = 127;
/// What stands for output that is no error, in a channel.
const COMPLAINTS: u32 = 1;

/// One session of a visitor.
pub(super) struct SessionOfVisitor {
    room: Arc<dyn Room>,
    may_have_terminal: bool,
    input: Arc<Input>,
    id: ChannelId,
    from: ChannelReadHalf,
    to: Arc<ChannelWriteHalf<Msg>>,
    handle: Handle,
    asked: Asked,
}

impl SessionOfVisitor {
    pub(super) fn new(
        room: Arc<dyn Room>,
        may_have_terminal: bool,
        input: Arc<Input>,
        channel: Channel<Msg>,
        handle: Handle,
    ) -> Self {
        let id = channel.id();
        let (from, to) = channel.split();
        let (to, asked) = (Arc::new(to), Asked::default());
        Self { room, may_have_terminal, input, id, from, to, handle, asked }
    }

    /// Serves it to its end.
    pub(super) async fn work(mut self) {
        // What comes before the command.
        while let Some(message) = self.from.wait().await {
            match Word::from(message) {
                Word::Terminal(want_reply, kind, columns, rows) => {
                    let is_given = self.may_have_terminal && is_kind(&kind);
                    if is_given {
                        self.asked.terminal = Some((kind, columns, rows));
                    }
                    self.answer(want_reply, is_given).await;
                }
                Word::Variable(want_reply, name, value) => {
                    let is_taken = self.set(name, value);
                    self.answer(want_reply, is_taken).await;
                }
                Word::Shell(want_reply) => return self.run(want_reply).await,
                Word::Command(want_reply, command) => {
                    let Ok(command) = String::from_utf8(command) else {
                        return self.answer(want_reply, false).await;
                    };
                    self.asked.command = Some(command);
                    return self.run(want_reply).await;
                }
                Word::Files(want_reply) => {
                    (self.asked.files, self.asked.terminal) = (true, None);
                    return self.run(want_reply).await;
                }
                Word::Strange(want_reply) => self.answer(want_reply, false).await,
                Word::Gone => return,
                // Input comes once there is a program for it.
                Word::Input(_) | Word::End | Word::Size(..) | Word::Nothing => {}
            }
        }
    }

    async fn answer(&self, is_wanted: bool, is_yes: bool) {
        let _ = match (is_wanted, is_yes) {
            (false, _) => Ok(()),
            (true, true) => self.handle.channel_success(self.id).await,
            (true, false) => self.handle.channel_failure(self.id).await,
        };
    }

    /// Keeps a variable, if visitors may set it.
    fn set(&mut self, name: String, value: String) -> bool {
        let is_known = VARIABLES.contains(&name.as_str())
            || VARIABLE_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        let is_word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let fits = self.asked.variables.len() < VARIABLES_MAX && value.len() <= VARIABLE_BYTES_MAX;
        let is_taken = is_known && is_word && fits && !value.contains('\0');
        if is_taken {
            self.asked.variables.push((name, value));
        }
        is_taken
    }

    async fn run(self, is_answer_wanted: bool) {
        let (room, asked) = (self.room.clone(), self.asked.clone());
        let started = tokio::task::spawn_blocking(move || room.run(&asked)).await;
        let program = match started {
            Ok(Ok(program)) => program,
            Ok(Err(fault)) => return self.fail(is_answer_wanted, &format!("{fault:#}")).await,
            Err(_) => return self.fail(is_answer_wanted, "the agent is stopping").await,
        };
        self.answer(is_answer_wanted, true).await;
        if let Err(fault) = self.carry(program).await {
            tracing::debug!(%fault, "a session's pipes could not be used");
        }
    }

    async fn fail(&self, is_answer_wanted: bool, why: &str) {
        tracing::warn!(why, "a program of a visitor could not be started");
        self.answer(is_answer_wanted, true).await;
        let words = format!("could not start this in the node: {why}\r\n");
        let _ = self.to.extended_data_bytes(COMPLAINTS, words.into_bytes()).await;
        self.say_end(NOT_FOUND).await;
    }

    async fn say_end(&self, status: u32) {
        let _ = self.to.exit_status(status).await;
        let _ = self.to.eof().await;
        let _ = self.to.close().await;
    }

    async fn carry(self, program: Program) -> std::io::Result<()> {
        let Self { input, from, to, .. } = self;
        let Program { input: into, output, errors, control } = program;
        let has_terminal = errors.is_none();
        let (pieces, taken) = mpsc::unbounded_channel();
        let feeding = tokio::spawn(feed(Pipe::new(into)?, taken, has_terminal));
        let listening = tokio::spawn(listen(from, pieces, input, control.clone()));
        let (over, is_over) = watch::channel(false);
        let mut drains =
            vec![tokio::spawn(drain(Pipe::new(output)?, to.clone(), None, is_over.clone()))];
        if let Some(errors) = errors {
            let errors = drain(Pipe::new(errors)?, to.clone(), Some(COMPLAINTS), is_over);
            drains.push(tokio::spawn(errors));
        }
        let waiter = control.clone();
        let status = tokio::task::spawn_blocking(move || waiter.wait()).await.unwrap_or(NOT_FOUND);
        // All that it said goes before its end.
        let _ = over.send(true);
        for drain in drains {
            let _ = drain.await;
        }
        let _ = to.exit_status(status).await;
        let _ = to.eof().await;
        let _ = to.close().await;
        feeding.abort();
        listening.abort();
        Ok(())
    }
}

/// Whether this can be the kind of a terminal.
pub(super) fn is_kind(kind: &str) -> bool {
    let is_of_kinds = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._".contains(&byte);
    !kind.is_empty() && kind.len() <= KIND_BYTES_MAX && kind.bytes().all(is_of_kinds)
}

/// Hears the visitor until it is gone; then its program ends, too.
async fn listen(
    from: ChannelReadHalf,
    pieces: mpsc::UnboundedSender<Piece>,
    input: Arc<Input>,
    control: Arc<dyn Control>,
) {
    hear(from, pieces, input, |columns, rows| control.resize(columns, rows)).await;
    control.end();
}

/// Gives a program its input, and says when that ends.
async fn feed(into: Pipe, mut pieces: mpsc::UnboundedReceiver<Piece>, has_terminal: bool) {
    while let Some(piece) = pieces.recv().await {
        if into.write_all(&piece.bytes).await.is_err() {
            // It reads no more. What comes is thrown away.
            pieces.close();
        }
    }
    if has_terminal {
        // The end of a terminal's input is a character; its pipe goes on for its output.
        let _ = into.write_all(&[4]).await;
    }
}

/// Hands on what a program says, until it has said all, or is over and says nothing more: what it started may hold its
/// output open for ever.
async fn drain(
    from: Pipe,
    to: Arc<ChannelWriteHalf<Msg>>,
    kind: Option<u32>,
    mut over: watch::Receiver<bool>,
) {
    let mut writer = to.make_writer_ext(kind);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let is_over = *over.borrow_and_update();
        let read = tokio::select! {
            read = from.read(&mut piece) => read,
            () = tokio::time::sleep(LINGER), if is_over => break,
            _ = over.changed(), if !is_over => continue,
        };
        let Ok(many @ 1..) = read else { break };
        if writer.write_all(&piece[..many]).await.is_err() {
            break;
        }
    }
    let _ = writer.flush().await;
}
