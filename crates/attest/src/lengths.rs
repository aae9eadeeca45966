//! Lengths in DER, looked at before anything is made of them: a decoder may reserve what a length promises.

/// How deep values may lie in each other: certificates need nine.
const DEPTH_MAX: usize = 16;
/// The bit of a tag that says: what follows are values again.
const CONSTRUCTED: u8 = 0x20;

/// Whether every value, however deep, lies whole within the one around it, and nothing follows the last.
pub(crate) fn fit(der: &[u8]) -> bool {
    fit_within(der, DEPTH_MAX)
}

fn fit_within(mut values: &[u8], depth: usize) -> bool {
    while let Some((tag, rest)) = values.split_first() {
        let Some((length, rest)) = length(rest) else { return false };
        let Some((contents, after)) = rest.split_at_checked(length) else { return false };
        if tag & CONSTRUCTED != 0 && (depth == 0 || !fit_within(contents, depth - 1)) {
            return false;
        }
        values = after;
    }
    true
}

/// The length at the front, and what follows it. Tags here have one byte.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    if *first < 0x80 {
        return Some((usize::from(*first), rest));
    }
    let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
    if digits.is_empty() || digits.len() > 4 {
        return None;
    }
    let length = digits.iter().fold(0, |length, digit| (length << 8) | usize::from(*digit));
    Some((length, rest))
}

#[cfg(test)]
mod tests {
    use super::fit;

    #[test]
    fn a_value_lies_within_the_one_around_it() {
        let check = |der: &[u8], expected| assert_eq!(fit(der), expected, "{der:02x?}");
        check(&[], true);
        check(&[0x02, 0x01, 0x05], true);
        check(&[0x30, 0x03, 0x02, 0x01, 0x05], true);
        check(&[0x30, 0x81, 0x03, 0x02, 0x01, 0x05], true);
        check(&[0x02], false);
        check(&[0x02, 0x02, 0x05], false);
        check(&[0x02, 0x84, 0x0f, 0xff, 0xff, 0xff, 0x05], false);
        check(&[0x30, 0x03, 0x02, 0x02, 0x05], false);
        check(&[0x30, 0x80, 0x00, 0x00], false);
        check(&[0x02, 0x85, 1, 1, 1, 1, 1, 0], false);
    }

    #[test]
    fn what_lies_too_deep_is_refused_without_going_there() {
        let mut der = vec![];
        for _ in 0..40 {
            let length = u8::try_from(der.len()).expect("it is short");
            der = [vec![0x30, length], der].concat();
        }
        assert!(!fit(&der));
    }
}
