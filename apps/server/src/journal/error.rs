//! Why the journal could not do what it was asked, in the terms of the person who must act.

/// Why the journal refused or failed. Refusals of a batch are checked in the order of their variants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Another server has this journal open.
    #[error("open {place}: another server holds it")]
    Locked {
        /// The lock file, or the schema.
        place: String,
    },
    /// A newer writer took over; this one may never append again.
    #[error("append: writer {theirs} took over from writer {ours}")]
    Fenced {
        /// This writer's epoch.
        ours: u64,
        /// The epoch found in the store.
        theirs: u64,
    },
    /// A batch or a body is over a bound of [`super::limits`].
    #[error("take {what} of size {size}: the limit is {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size, in bytes or in pieces.
        size: usize,
        /// The bound.
        limit: usize,
    },
    /// A text that cannot be kept: not UTF-8, with a NUL in it, or an empty id.
    #[error("keep {what}: it is not text, or is empty")]
    NotText {
        /// Which text.
        what: &'static str,
    },
    /// An entry does not follow the last one: its number or the hash before it is wrong.
    #[error("append entry {told}: it does not follow entry {last}")]
    ChainBroken {
        /// The number of the last entry stored.
        last: u64,
        /// The number of the entry refused.
        told: u64,
    },
    /// An event does not come after the last one, or belongs to an entry that does not exist.
    #[error("append event {seq}.{part}: it is out of order")]
    EventOutOfOrder {
        /// The entry the event names.
        seq: u64,
        /// Its place among the entry's events.
        part: u32,
    },
    /// The disk, the quota or `max_bytes` is full. Nothing was written; the journal stays readable.
    #[error("write: the disk is full ({detail})")]
    Full {
        /// In the store's words.
        detail: String,
    },
    /// What was read is not what was written.
    #[error("trust the journal: {detail}")]
    Corrupt {
        /// What does not fit.
        detail: String,
    },
    /// The database does not answer. Whether a batch in flight was stored is not known: appending the very
    /// same batch again stores it once.
    #[error("reach the database: {detail}")]
    Unreachable {
        /// In the driver's words.
        detail: String,
    },
    /// A newer program has changed the schema.
    #[error("open the journal: its schema has change {found}, this program knows {known}")]
    TooNew {
        /// Changes this program knows.
        known: u64,
        /// Changes the store has seen.
        found: u64,
    },
    /// The address names no journal.
    #[error("understand the address of the journal: {detail}")]
    BadAddress {
        /// What is wrong with it. Never the address itself: it may hold a password.
        detail: String,
    },
    /// Anything else.
    #[error("{doing}: {detail}")]
    Other {
        /// What was being done.
        doing: &'static str,
        /// In the store's words.
        detail: String,
    },
}

impl JournalError {
    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Locked { .. } => {
                "stop the other server first, or start this one as its successor to take over"
            }
            Self::Fenced { .. } => "stop this server: the newer one is answering",
            Self::TooLarge { .. } | Self::NotText { .. } => {
                "send less, or put large contents into a blob"
            }
            Self::ChainBroken { .. } | Self::EventOutOfOrder { .. } => {
                "this is a bug: restart the server, so that it reads the journal anew, and report it"
            }
            Self::Full { .. } => {
                "free space on the disk or raise the limit; appends go on without a restart"
            }
            Self::Corrupt { .. } => {
                "stop, copy the store aside, and restore the newest backup; `iog audit` names the first bad entry"
            }
            Self::Unreachable { .. } => {
                "see that the database runs and that its address is right; the server reconnects by itself"
            }
            Self::TooNew { .. } => "start the newer program: an old one does not read its schema",
            Self::BadAddress { .. } => {
                "use sqlite:/path/iog.db or postgres://user@host/database?schema=iog"
            }
            Self::Other { .. } => "see the detail; the journal itself is unchanged",
        }
    }
}
