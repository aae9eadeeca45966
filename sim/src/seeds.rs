//! Seeds as people write them: `0x5eed` or `24301`, and files with one a line.

/// Why a text is not a seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotASeed {
    /// What was given.
    pub found: String,
}

impl std::fmt::Display for NotASeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` is not a seed: write 0x5eed or 24301", self.found)
    }
}

impl std::error::Error for NotASeed {}

/// One seed, in hexadecimal behind `0x` or in decimal.
///
/// # Errors
/// When it is neither.
pub fn parse_seed(text: &str) -> Result<u64, NotASeed> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| NotASeed { found: text.to_owned() })
}

/// The seeds of a file: one a line, and behind it whatever it once found. Lines that start with `#` are for people.
///
/// # Errors
/// The first line that does not start with a seed.
pub fn parse_seeds(text: &str) -> Result<Vec<u64>, NotASeed> {
    let lines = text.lines().map(str::trim);
    let words = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    words.filter_map(|line| line.split_whitespace().next()).map(parse_seed).collect()
}

/// Seeds in the order they were played, as the command line takes them: those that follow each other as `FROM..TO`.
pub fn text_of_seeds(seeds: impl Iterator<Item = u64>) -> String {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for seed in seeds {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(seed) => *last = seed,
            Some(_) | None => runs.push((seed, seed)),
        }
    }
    let text = |(first, last): &(u64, u64)| match last.checked_add(1) {
        Some(behind) if first < last => format!("{first:#x}..{behind:#x}"),
        Some(_) | None => format!("{first:#x}"),
    };
    runs.iter().map(text).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_seeds_is_read() {
        assert_eq!(parse_seeds("# why\n\n0x10 found this\n7\n"), Ok(vec![16, 7]));
        assert_eq!(text_of_seeds([16, 7, 8, 9, 3].into_iter()), "0x10 0x7..0xa 0x3");
        assert_eq!(parse_seeds("seven"), Err(NotASeed { found: "seven".to_owned() }));
    }
}
