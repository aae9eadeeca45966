//! How many numbers of a crowd are below another, while numbers come and go.

/// Numbers in one run: few enough to move cheaply, enough that there are few runs.
const RUN_LENGTH_MAX: usize = 512;
/// Room is made for so many numbers at a time: a run that doubled its room would waste a third of it.
const ROOM_LENGTH: usize = 64;

/// Where more than one in so many numbers are exchanged, all runs are made anew.
const EXCHANGED_ONE_IN: u64 = 16;
/// How long runs are made then, so that the next to come do not split each.
const MADE_LENGTH: usize = RUN_LENGTH_MAX * 3 / 4;

/// A bag of numbers that knows how many are below any.
///
/// Invariants: the runs' numbers, one after the other, are sorted; no run is empty; `firsts` and `lens` have an
/// element for each run.
#[derive(Clone, Debug)]
pub(crate) struct Ranks<T> {
    firsts: Vec<T>,
    lens: Vec<u16>,
    runs: Vec<Vec<T>>,
}

impl<T> Default for Ranks<T> {
    fn default() -> Self {
        Self { firsts: Vec::new(), lens: Vec::new(), runs: Vec::new() }
    }
}

impl<T: Copy + Ord> Ranks<T> {
    pub(crate) fn insert(&mut self, number: T) {
        if self.runs.is_empty() {
            self.put_run(0, Vec::new(), number);
        }
        let mut at = self.run_of(number);
        if self.runs[at].len() == RUN_LENGTH_MAX {
            let upper = self.runs[at].split_off(RUN_LENGTH_MAX / 2);
            self.runs[at].shrink_to_fit();
            let first = upper[0];
            self.lens[at] = length(&self.runs[at]);
            self.put_run(at + 1, upper, first);
            at = self.run_of(number);
        }
        let run = &mut self.runs[at];
        let place = run.partition_point(|other| *other < number);
        if run.len() == run.capacity() {
            run.reserve_exact(ROOM_LENGTH);
        }
        run.insert(place, number);
        self.told(at);
    }

    /// Takes one such number out. There is one.
    pub(crate) fn remove(&mut self, number: T) {
        let at = self.run_of(number);
        let place = self.runs[at].partition_point(|other| *other < number);
        assert!(
            self.runs[at].get(place).is_some_and(|found| *found == number),
            "a number that leaves had come"
        );
        self.runs[at].remove(place);
        if self.runs[at].is_empty() {
            self.firsts.remove(at);
            self.lens.remove(at);
            self.runs.remove(at);
        } else {
            self.told(at);
        }
    }

    /// Takes some numbers out, all of which are there, and as many others in.
    pub(crate) fn exchange(&mut self, mut out: Vec<T>, mut come: Vec<T>) {
        let few = u64::try_from(out.len()).expect("a count") < self.len() / EXCHANGED_ONE_IN;
        if few {
            out.into_iter().for_each(|number| self.remove(number));
            come.into_iter().for_each(|number| self.insert(number));
            return;
        }
        out.sort_unstable();
        come.sort_unstable();
        let (mut out, mut come) = (out.into_iter().peekable(), come.into_iter().peekable());
        let mut all = Vec::with_capacity(usize::try_from(self.len()).expect("a count"));
        for number in std::mem::take(&mut self.runs).into_iter().flatten() {
            if out.next_if_eq(&number).is_none() {
                all.extend(std::iter::from_fn(|| come.next_if(|new| *new <= number)));
                all.push(number);
            }
        }
        assert!(out.next().is_none(), "a number that leaves had come");
        all.extend(come);
        self.runs = all.chunks(MADE_LENGTH).map(<[T]>::to_vec).collect();
        self.firsts = self.runs.iter().map(|run| run[0]).collect();
        self.lens = self.runs.iter().map(|run| length(run)).collect();
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u64 {
        self.lens.iter().map(|len| u64::from(*len)).sum()
    }

    /// All of them, in order, a stretch at a time.
    pub(crate) fn runs(&self) -> impl Iterator<Item = &[T]> {
        self.runs.iter().map(Vec::as_slice)
    }

    /// Those from `first` to `last`, in order.
    pub(crate) fn range(&self, first: T, last: T) -> impl Iterator<Item = T> {
        let from = self.firsts.partition_point(|start| *start < first).saturating_sub(1);
        let all = self.runs[from.min(self.runs.len())..].iter().flatten().copied();
        all.skip_while(move |number| *number < first).take_while(move |number| *number <= last)
    }

    /// The number with `rank` others before it.
    pub(crate) fn nth(&self, mut rank: u64) -> Option<T> {
        for (run, len) in self.runs.iter().zip(&self.lens) {
            match rank.checked_sub(u64::from(*len)) {
                Some(rest) => rank = rest,
                None => return run.get(usize::try_from(rank).ok()?).copied(),
            }
        }
        None
    }

    /// How many are less than `number`.
    pub(crate) fn below(&self, number: T) -> u64 {
        let through = self.firsts.partition_point(|first| *first < number);
        let Some(last) = through.checked_sub(1) else { return 0 };
        let before: u64 = self.lens[..last].iter().map(|len| u64::from(*len)).sum();
        let within = self.runs[last].partition_point(|other| *other < number);
        before + u64::try_from(within).expect("a run is short")
    }

    /// The run that has `number`, if any does, and where it goes if not.
    fn run_of(&self, number: T) -> usize {
        self.firsts.partition_point(|first| *first <= number).saturating_sub(1)
    }

    fn put_run(&mut self, at: usize, run: Vec<T>, first: T) {
        self.firsts.insert(at, first);
        self.lens.insert(at, length(&run));
        self.runs.insert(at, run);
    }

    fn told(&mut self, at: usize) {
        self.firsts[at] = self.runs[at][0];
        self.lens[at] = length(&self.runs[at]);
    }
}

fn length<T>(run: &[T]) -> u16 {
    u16::try_from(run.len()).expect("a run is short")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn ranks_are_those_of_a_sorted_list(
            steps in proptest::collection::vec((0_u32..900, any::<bool>()), 0..3_000),
            of in 0_u32..1_000,
        ) {
            let (mut ranks, mut list) = (Ranks::default(), Vec::new());
            for (number, comes) in steps {
                if number.is_multiple_of(300) && !list.is_empty() {
                    // The first few are exchanged: all of them, or a handful.
                    let count = if comes { list.len() } else { 1 + list.len() / 40 };
                    let out: Vec<u32> = list.drain(..count).collect();
                    let come: Vec<u32> = out.iter().map(|old| (old * 7 + number) % 900).collect();
                    list.extend(&come);
                    ranks.exchange(out, come);
                } else if comes || list.len() < 1_200 {
                    ranks.insert(number);
                    list.push(number);
                } else {
                    let place = usize::try_from(number).unwrap() % list.len();
                    ranks.remove(list.swap_remove(place));
                }
            }
            list.sort_unstable();
            let within = |number: &u32| (of..of + 50).contains(number);
            let expected: Vec<u32> = list.iter().copied().filter(within).collect();
            prop_assert_eq!(ranks.range(of, of + 49).collect::<Vec<_>>(), expected);
            let below = list.iter().filter(|number| **number < of).count();
            prop_assert_eq!(ranks.len(), u64::try_from(list.len()).unwrap());
            prop_assert_eq!(ranks.below(of), u64::try_from(below).unwrap());
        }
    }
}
