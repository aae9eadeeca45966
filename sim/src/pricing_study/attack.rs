//! What one supplier does to move the price.

/// What the supplier under watch does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Attack {
    /// Nothing: it offers what it has.
    Honest,
    /// It keeps half of its cards off the market for good.
    WithholdHalf,
    /// It takes everything off the market for two days of every seven.
    WithholdPulse,
    /// It rents its own idle cards through one other account.
    WashOne,
    /// It rents its own idle cards through twenty other accounts.
    WashTwenty,
    /// It asks for what is not there, through one other account.
    SpoofOne,
    /// The same through twenty accounts.
    SpoofTwenty,
}

impl Attack {
    pub(super) const ALL: &'static [Self] = &[
        Self::WithholdHalf,
        Self::WithholdPulse,
        Self::WashOne,
        Self::WashTwenty,
        Self::SpoofOne,
        Self::SpoofTwenty,
    ];

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Honest => "none",
            Self::WithholdHalf => "withholds half",
            Self::WithholdPulse => "withholds all, 2 days of 7",
            Self::WashOne => "wash-rents, 1 account",
            Self::WashTwenty => "wash-rents, 20 accounts",
            Self::SpoofOne => "false requests, 1 account",
            Self::SpoofTwenty => "false requests, 20 accounts",
        }
    }

    /// How many of its cards it keeps off the market in this hour.
    pub(super) const fn withheld(self, cards: u32, hour: u32) -> u32 {
        match self {
            Self::WithholdHalf => cards / 2,
            Self::WithholdPulse if (hour / 24) % 7 < 2 => cards,
            Self::WithholdPulse
            | Self::Honest
            | Self::WashOne
            | Self::WashTwenty
            | Self::SpoofOne
            | Self::SpoofTwenty => 0,
        }
    }

    /// Through how many accounts it rents from itself.
    pub(super) const fn washers(self) -> u32 {
        match self {
            Self::WashOne => 1,
            Self::WashTwenty => 20,
            Self::Honest
            | Self::WithholdHalf
            | Self::WithholdPulse
            | Self::SpoofOne
            | Self::SpoofTwenty => 0,
        }
    }

    /// Through how many accounts it asks for what is not there.
    pub(super) const fn spoofers(self) -> u32 {
        match self {
            Self::SpoofOne => 1,
            Self::SpoofTwenty => 20,
            Self::Honest
            | Self::WithholdHalf
            | Self::WithholdPulse
            | Self::WashOne
            | Self::WashTwenty => 0,
        }
    }
}
