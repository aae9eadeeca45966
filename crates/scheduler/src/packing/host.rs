//! A host and what an order needs of one: processors, memory, and cards that are shared in thousandths.

/// Cards of one host that are packed: the largest host sold has 16.
pub const CARDS_PER_HOST_MAX: usize = 16;
/// Models of cards that one set of hosts may have: a set of models is one word.
pub const MODELS_MAX: u8 = 64;
/// A whole card, in thousandths.
pub const WHOLE_MILLI: u16 = 1_000;

const _: () =
    assert!(CARDS_PER_HOST_MAX <= u16::BITS as usize, "a set of cards of a host is half a word");

/// A model of cards, by the number that whoever describes the hosts gave it: below [`MODELS_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Model(u8);

impl Model {
    /// The model of that number, or none if there are only [`MODELS_MAX`].
    pub fn of(number: u8) -> Option<Self> {
        (number < MODELS_MAX).then_some(Self(number))
    }

    #[inline]
    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }

    #[inline]
    pub(crate) fn number(self) -> u8 {
        self.0
    }
}

/// The models that an order accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Models(u64);

impl Models {
    /// Whatever there is.
    pub const ANY: Self = Self(u64::MAX);
    /// None of those there are.
    pub const NONE: Self = Self(0);

    /// These and one more.
    pub fn and(self, model: Model) -> Self {
        Self(self.0 | (1 << model.0))
    }

    /// These and those.
    pub(crate) fn or(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether that model is among them.
    #[inline]
    pub fn contains(self, model: Model) -> bool {
        self.contains_number(model.index())
    }

    #[inline]
    pub(crate) fn contains_number(self, number: usize) -> bool {
        (self.0 >> number) & 1 == 1
    }
}

/// What one order takes of one host. Two orders that need the same are rated once.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "WrittenNeed", into = "WrittenNeed")]
pub struct Need {
    /// Processors, in thousandths of one.
    pub cpu_milli: u32,
    /// Memory, in mebibytes.
    pub memory_mib: u32,
    cards: u8,
    card_milli: u16,
    models: Models,
}

/// A need as it is written.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenNeed {
    cpu_milli: u32,
    memory_mib: u32,
    cards: u8,
    card_milli: u16,
    models: u64,
}

impl From<Need> for WrittenNeed {
    fn from(need: Need) -> Self {
        let Need { cpu_milli, memory_mib, cards, card_milli, models } = need;
        Self { cpu_milli, memory_mib, cards, card_milli, models: models.0 }
    }
}

impl TryFrom<WrittenNeed> for Need {
    type Error = NotANeed;

    fn try_from(written: WrittenNeed) -> Result<Self, NotANeed> {
        let (milli, models) = (u32::from(written.card_milli), Models(written.models));
        let need = Self::of_processors(written.cpu_milli, written.memory_mib);
        match written.cards {
            0 => Ok(need),
            1 if written.card_milli < WHOLE_MILLI => need.with_share(milli, models),
            cards => need.with_cards(u32::from(cards), models),
        }
    }
}

/// Why a need is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotANeed {
    /// No host has as many cards.
    #[error("{asked} cards of one host are more than {CARDS_PER_HOST_MAX}")]
    TooManyCards {
        /// How many were asked for.
        asked: u32,
    },
    /// A share is of one card, and some of it.
    #[error("{asked} thousandths are no share of a card: say 1 to {WHOLE_MILLI}")]
    NoShare {
        /// How much was asked for, in thousandths.
        asked: u32,
    },
}

impl Need {
    /// Processors and memory alone.
    pub fn of_processors(cpu_milli: u32, memory_mib: u32) -> Self {
        Self { cpu_milli, memory_mib, cards: 0, card_milli: 0, models: Models::ANY }
    }

    /// With `milli` thousandths of one card of one of `models`.
    pub fn with_share(self, milli: u32, models: Models) -> Result<Self, NotANeed> {
        let of_a_card = u16::try_from(milli).ok().filter(|milli| (1..=WHOLE_MILLI).contains(milli));
        let card_milli = of_a_card.ok_or(NotANeed::NoShare { asked: milli })?;
        Ok(Self { cards: 1, card_milli, models, ..self })
    }

    /// With that many whole cards of one of `models`, all of one host.
    pub fn with_cards(self, cards: u32, models: Models) -> Result<Self, NotANeed> {
        let of_a_host =
            u8::try_from(cards).ok().filter(|cards| usize::from(*cards) <= CARDS_PER_HOST_MAX);
        let cards = of_a_host.ok_or(NotANeed::TooManyCards { asked: cards })?;
        Ok(Self { cards, card_milli: WHOLE_MILLI, models, ..self })
    }

    /// How many cards of one host.
    #[inline]
    pub fn cards(&self) -> u8 {
        self.cards
    }

    /// How much of each of them, in thousandths.
    #[inline]
    pub fn card_milli(&self) -> u16 {
        self.card_milli
    }

    /// Of which models.
    #[inline]
    pub fn models(&self) -> Models {
        self.models
    }

    /// Whether it shares its card with others.
    #[inline]
    pub fn is_share(&self) -> bool {
        self.cards == 1 && self.card_milli < WHOLE_MILLI
    }

    /// All that it takes of cards, in thousandths.
    #[inline]
    pub fn demand_milli(&self) -> u32 {
        u32::from(self.cards) * u32::from(self.card_milli)
    }
}

/// How much is free of each card of a host, in thousandths. Cards it does not have are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cards {
    free_milli: [u16; CARDS_PER_HOST_MAX],
    count: u8,
}

impl Cards {
    fn whole(count: u8) -> Self {
        let mut free_milli = [0; CARDS_PER_HOST_MAX];
        free_milli[..usize::from(count)].fill(WHOLE_MILLI);
        Self { free_milli, count }
    }

    /// What is free of each.
    #[inline]
    pub fn free(&self) -> &[u16] {
        &self.free_milli[..usize::from(self.count)]
    }

    pub(crate) fn free_mut(&mut self) -> &mut [u16] {
        &mut self.free_milli[..usize::from(self.count)]
    }

    /// What is free of all together, in thousandths.
    #[inline]
    pub fn sum_milli(&self) -> u32 {
        self.free().iter().map(|milli| u32::from(*milli)).sum()
    }

    /// How many nobody has a share of.
    #[inline]
    pub fn untouched(&self) -> u8 {
        self.at_least(WHOLE_MILLI)
    }

    /// How many have that much free.
    #[inline]
    pub fn at_least(&self, milli: u16) -> u8 {
        self.free().iter().map(|free| u8::from(*free >= milli)).sum()
    }

    /// The card with least free of those that have that much, the first of several.
    pub fn tightest(&self, milli: u16) -> Option<usize> {
        let fitting = (0..).zip(self.free()).filter(|(_, free)| **free >= milli);
        fitting.min_by_key(|(_, free)| **free).map(|(card, _)| card)
    }
}

/// What is free of one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its place among the hosts: of two equally good ones the lower is taken.
    pub id: u32,
    /// Processors, in thousandths of one.
    pub cpu_milli: u32,
    /// Memory, in mebibytes.
    pub memory_mib: u32,
    /// Its cards.
    pub cards: Cards,
    /// The model of all its cards.
    pub model: Model,
}

/// Where an order is: a host, and which of its cards, a bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    /// Which host.
    pub host: u32,
    /// The lowest bit is its first card.
    pub cards: u16,
}

impl Host {
    /// A host of which nothing is taken.
    pub fn new(cpu_milli: u32, memory_mib: u32, cards: u8, model: Model) -> Result<Self, NotANeed> {
        if usize::from(cards) > CARDS_PER_HOST_MAX {
            return Err(NotANeed::TooManyCards { asked: u32::from(cards) });
        }
        Ok(Self { id: 0, cpu_milli, memory_mib, cards: Cards::whole(cards), model })
    }

    /// Whether the order can be here.
    #[inline]
    pub fn fits(&self, need: &Need) -> bool {
        if self.cpu_milli < need.cpu_milli || self.memory_mib < need.memory_mib {
            return false;
        }
        need.cards == 0
            || need.models.contains(self.model)
                && self.cards.at_least(need.card_milli) >= need.cards
    }

    /// The host once the order is on it; a share goes to `card`, whole cards are the first untouched ones.
    ///
    /// # Panics
    /// If it does not [fit](Self::fits).
    pub fn with(mut self, need: &Need, card: usize) -> Self {
        let spot = self.spot(need, card);
        self.take(need, spot);
        self
    }

    /// Which cards the order would have, when a share goes to `card`.
    ///
    /// # Panics
    /// If it does not [fit](Self::fits).
    pub fn spot(&self, need: &Need, card: usize) -> Spot {
        if need.is_share() {
            return Spot { host: self.id, cards: 1 << card };
        }
        let mut wanted = need.cards;
        let mut cards = 0;
        for (card, free) in self.cards.free().iter().enumerate() {
            if wanted > 0 && *free == WHOLE_MILLI {
                cards |= 1 << card;
                wanted -= 1;
            }
        }
        assert!(wanted == 0, "an order is put only where it fits");
        Spot { host: self.id, cards }
    }

    /// The order comes.
    ///
    /// # Panics
    /// If the spot is not free.
    pub fn take(&mut self, need: &Need, spot: Spot) {
        self.cpu_milli -= need.cpu_milli;
        self.memory_mib -= need.memory_mib;
        for (card, free) in self.cards.free_mut().iter_mut().enumerate() {
            *free -= need.card_milli * ((spot.cards >> card) & 1);
        }
    }

    /// The order goes.
    pub fn give_back(&mut self, need: &Need, spot: Spot) {
        self.cpu_milli += need.cpu_milli;
        self.memory_mib += need.memory_mib;
        for (card, free) in self.cards.free_mut().iter_mut().enumerate() {
            *free += need.card_milli * ((spot.cards >> card) & 1);
        }
    }
}
