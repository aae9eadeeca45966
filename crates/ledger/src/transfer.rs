//! What can be asked of the book, and why it may refuse.
//!
//! A transfer is a value: it names itself, so that telling it twice is telling it once, and each kind carries
//! only what that kind needs.

use units::TransferId;

use crate::account::AccountKey;

/// One movement of money between two accounts, or one phase of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Its name, chosen by the teller: the key of idempotence. A hold is known by the name of the transfer that
    /// made it.
    pub id: TransferId,
    /// What it does.
    pub kind: Kind,
}

/// What a transfer does. Units are the smallest of the accounts' asset, and never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Moves money at once.
    Move {
        /// Who pays.
        from: AccountKey,
        /// Who is paid.
        to: AccountKey,
        /// How much.
        units: u64,
    },
    /// Reserves money: the payer can no longer spend it, the payee cannot yet.
    Hold {
        /// Who will pay.
        from: AccountKey,
        /// Who will be paid.
        to: AccountKey,
        /// How much, at most.
        units: u64,
    },
    /// Closes a hold by paying `units` of it; the rest returns to the payer.
    Post {
        /// The hold.
        hold: TransferId,
        /// How much of it, at most all. To pay nothing of it, void it.
        units: u64,
    },
    /// Closes a hold by returning all of it to the payer.
    Void {
        /// The hold.
        hold: TransferId,
    },
}

impl Kind {
    /// The hold it closes.
    pub const fn closes(&self) -> Option<TransferId> {
        match *self {
            Kind::Post { hold, .. } | Kind::Void { hold } => Some(hold),
            Kind::Move { .. } | Kind::Hold { .. } => None,
        }
    }
}

/// Money set aside by a [`Kind::Hold`], and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Who pays.
    pub from: AccountKey,
    /// Who is paid.
    pub to: AccountKey,
    /// How much was set aside. Never zero.
    pub units: u64,
    /// Whether it is still set aside.
    pub state: HoldState,
}

impl Hold {
    /// One that nothing has closed.
    pub(crate) const fn open(from: AccountKey, to: AccountKey, units: u64) -> Self {
        Self { from, to, units, state: HoldState::Open }
    }

    /// The transfer that made it.
    pub(crate) const fn kind(&self) -> Kind {
        Kind::Hold { from: self.from, to: self.to, units: self.units }
    }

    /// How much is still set aside.
    pub const fn units_open(&self) -> u64 {
        match self.state {
            HoldState::Open => self.units,
            HoldState::Closed(_) => 0,
        }
    }
}

/// A hold is open until exactly one transfer closes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldState {
    /// The money is set aside.
    Open,
    /// It was paid or returned.
    Closed(Closing),
}

/// How a hold ended, and which transfer ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// Paid.
    Posted {
        /// The transfer that paid it.
        by: TransferId,
        /// How much of it was paid.
        units: u64,
    },
    /// Returned.
    Voided {
        /// The transfer that returned it.
        by: TransferId,
    },
}

impl Closing {
    /// The transfer that closed the hold.
    pub const fn by(self) -> TransferId {
        match self {
            Closing::Posted { by, .. } | Closing::Voided { by } => by,
        }
    }

    /// In a word.
    const fn verb(self) -> &'static str {
        match self {
            Closing::Posted { .. } => "posted",
            Closing::Voided { .. } => "voided",
        }
    }
}

/// Why a batch was refused. Checks run in the order of these variants, so that the same transfer told to the same
/// book is always refused for the same reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The batch is longer than the book can remember; the index is that of the first transfer too many.
    #[error("more than {max} transfers in one batch")]
    BatchTooLong {
        /// [`crate::REMEMBERED_MAX`].
        max: usize,
    },
    /// The id was told before with other contents.
    #[error("the transfer was told before with other contents")]
    IdReused,
    /// Payer and payee are the same account.
    #[error("the two accounts are the same")]
    SameAccount,
    /// The two accounts hold different assets. To exchange, make two transfers in one batch.
    #[error("the two accounts hold different assets")]
    AssetMismatch,
    /// The payer is [`Holder::Burned`](crate::Holder::Burned).
    #[error("what is burned does not come back")]
    Burned,
    /// Zero units.
    #[error("nothing would be moved")]
    Nothing,
    /// No such hold is open, nor was one closed lately.
    #[error("there is no such hold")]
    HoldUnknown,
    /// The hold is closed already.
    #[error("the hold was {} already", .0.verb())]
    HoldClosed(Closing),
    /// More units than the hold set aside.
    #[error("the hold set aside {held}, not {wanted}")]
    MoreThanHeld {
        /// What the hold set aside.
        held: u64,
        /// What was to be posted.
        wanted: u64,
    },
    /// The payer has less than that to spend.
    #[error("{available} available, {wanted} wanted")]
    Insufficient {
        /// What the payer may spend.
        available: u64,
        /// What was to be spent.
        wanted: u64,
    },
    /// A counter of one of the accounts would pass 64 bits.
    #[error("an account would count more than 64 bits hold")]
    Overflow,
}
