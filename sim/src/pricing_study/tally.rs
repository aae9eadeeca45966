//! What came of a market.

/// Sums over a market's hours.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// Card-hours on the market.
    pub(super) offered: u64,
    /// Card-hours that people rented.
    pub(super) rented: u64,
    /// Card-hours that people would have paid for, and gave up on.
    pub(super) refused: u64,
    /// Card-hours booked.
    booked: u64,
    /// What these were worth to those who booked them.
    worth_ppm: u128,
    /// What they cost those who served them.
    cost_ppm: u128,
    /// What the supplier under watch has made.
    pub(super) watched_ppm: i128,
    hours: u64,
    price_sum: u128,
    price_min: u64,
    price_max: u64,
    last: u64,
    moved_bp: u64,
    moved_max_bp: u64,
}

impl Tally {
    pub(super) fn served(&mut self, card_hours: u64, worth_ppm: u64) {
        self.booked += card_hours;
        self.worth_ppm += u128::from(worth_ppm) * u128::from(card_hours);
    }

    pub(super) fn cost(&mut self, card_hours: u64, cost_ppm: u64) {
        self.cost_ppm += u128::from(cost_ppm) * u128::from(card_hours);
    }

    pub(super) fn price(&mut self, price: u64) {
        if self.hours > 0 {
            let moved = price.abs_diff(self.last) * 10_000 / self.last;
            self.moved_bp += moved;
            self.moved_max_bp = self.moved_max_bp.max(moved);
            self.price_min = self.price_min.min(price);
            self.price_max = self.price_max.max(price);
        } else {
            (self.price_min, self.price_max) = (price, price);
        }
        self.hours += 1;
        self.last = price;
        self.price_sum += u128::from(price);
    }

    /// All of another market, as if both were one.
    pub(super) fn add(&mut self, other: &Self) {
        self.offered += other.offered;
        self.rented += other.rented;
        self.refused += other.refused;
        self.booked += other.booked;
        self.worth_ppm += other.worth_ppm;
        self.cost_ppm += other.cost_ppm;
        self.watched_ppm += other.watched_ppm;
        self.price_min =
            if self.hours == 0 { other.price_min } else { self.price_min.min(other.price_min) };
        self.price_max = self.price_max.max(other.price_max);
        self.hours += other.hours;
        self.price_sum += other.price_sum;
        self.moved_bp += other.moved_bp;
        self.moved_max_bp = self.moved_max_bp.max(other.moved_max_bp);
    }

    pub(super) fn utilisation_permille(&self) -> u64 {
        self.rented * 1_000 / self.offered.max(1)
    }

    /// Of all that people would have paid for.
    pub(super) fn refused_permille(&self) -> u64 {
        self.refused * 1_000 / (self.refused + self.booked).max(1)
    }

    /// How far the price moves in an average hour, in hundredths of ten-thousandths.
    pub(super) fn moved_hundredths_bp(&self) -> u64 {
        self.moved_bp * 100 / self.hours.max(1)
    }

    pub(super) fn moved_max_bp(&self) -> u64 {
        self.moved_max_bp
    }

    pub(super) fn price_mean(&self) -> u64 {
        u64::try_from(self.price_sum / u128::from(self.hours.max(1))).expect("a mean of prices")
    }

    pub(super) fn price_range(&self) -> (u64, u64) {
        (self.price_min, self.price_max)
    }

    /// What renters and suppliers have of it together in an average hour: worth less cost, in base prices of a card.
    pub(super) fn surplus_an_hour(&self) -> u64 {
        let surplus = self.worth_ppm.saturating_sub(self.cost_ppm);
        u64::try_from(surplus / u128::from(self.hours.max(1)) / 1_000_000)
            .expect("a mean of prices")
    }
}
