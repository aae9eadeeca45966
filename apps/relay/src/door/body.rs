//! How far the body of a request reaches (RFC 9112, 6 and 7.1): so that the next request is seen as one.

use super::limits::CHUNK_LINE_BYTES;

/// How much of what a visitor sends still belongs to the body of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// This many bytes more.
    Left(u64),
    /// Chunks, and where in them.
    Chunks(Chunks),
}

/// Where in a body of chunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Chunks {
    /// In the line with the next chunk's size: the size so far, how long the line is, and whether a digit was seen and
    /// the digits are over.
    Size { size: u64, length: usize, digits: Digits },
    /// This many bytes of the chunk are left.
    Data(u64),
    /// The end of line after a chunk: its CR, its LF.
    DataEnd { seen_cr: bool },
    /// Lines after the last chunk: how long all of them are, and how long this one.
    Trailers { length: usize, line: usize, seen_cr: bool },
    /// It is over.
    Over,
}

/// How far the digits of a size are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Digits {
    /// None yet.
    None,
    /// Some.
    Some,
    /// All; an extension follows.
    Over,
    /// All, and the CR.
    Cr,
}

/// The chunks are not as they must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the chunks of the body are malformed")]
pub(crate) struct Malformed;

impl Body {
    /// No body.
    pub(crate) const NONE: Self = Self::Left(0);

    /// A body of chunks, at its beginning.
    pub(crate) const fn chunks() -> Self {
        Self::Chunks(Chunks::FIRST)
    }

    /// Whether nothing more belongs to it.
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Self::Left(left) => *left == 0,
            Self::Chunks(chunks) => *chunks == Chunks::Over,
        }
    }

    /// How many of these bytes, which come next, belong to the body.
    pub(crate) fn on_bytes(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        match self {
            Self::Left(left) => {
                let some = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= u64::try_from(some).expect("a length fits");
                Ok(some)
            }
            Self::Chunks(chunks) => chunks.on_bytes(bytes),
        }
    }
}

impl Chunks {
    const FIRST: Self = Self::Size { size: 0, length: 0, digits: Digits::None };

    fn on_bytes(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        let mut at = 0;
        while at < bytes.len() && *self != Self::Over {
            if let Self::Data(left) = self {
                let some = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len() - at);
                at += some;
                *left -= u64::try_from(some).expect("a length fits");
                if *left == 0 {
                    *self = Self::DataEnd { seen_cr: false };
                }
                continue;
            }
            *self = self.on_byte(bytes[at])?;
            at += 1;
        }
        Ok(at)
    }

    fn on_byte(&self, byte: u8) -> Result<Self, Malformed> {
        match (self, byte) {
            (Self::Size { size, length, digits }, byte) => {
                on_size(*size, *length + 1, *digits, byte)
            }
            (Self::DataEnd { seen_cr: false }, b'\r') => Ok(Self::DataEnd { seen_cr: true }),
            (Self::DataEnd { seen_cr: true }, b'\n') => Ok(Self::FIRST),
            (Self::Trailers { length, line, seen_cr }, byte) => {
                on_trailer(*length + 1, *line, *seen_cr, byte)
            }
            (Self::DataEnd { .. } | Self::Data(_) | Self::Over, _) => Err(Malformed),
        }
    }
}

fn on_size(size: u64, length: usize, digits: Digits, byte: u8) -> Result<Chunks, Malformed> {
    if length > CHUNK_LINE_BYTES {
        return Err(Malformed);
    }
    let next = |digits| Ok(Chunks::Size { size, length, digits });
    match (digits, byte) {
        (Digits::None | Digits::Some, byte) if byte.is_ascii_hexdigit() => {
            let digit = char::from(byte).to_digit(16).map(u64::from).ok_or(Malformed)?;
            let size =
                size.checked_mul(16).and_then(|size| size.checked_add(digit)).ok_or(Malformed)?;
            Ok(Chunks::Size { size, length, digits: Digits::Some })
        }
        (Digits::Some | Digits::Over, b'\r') => next(Digits::Cr),
        (Digits::Some, b';' | b' ' | b'\t') => next(Digits::Over),
        (Digits::Over, byte) if byte != b'\n' => next(Digits::Over),
        (Digits::Cr, b'\n') if size == 0 => {
            Ok(Chunks::Trailers { length: 0, line: 0, seen_cr: false })
        }
        (Digits::Cr, b'\n') => Ok(Chunks::Data(size)),
        (Digits::None | Digits::Some | Digits::Over | Digits::Cr, _) => Err(Malformed),
    }
}

fn on_trailer(length: usize, line: usize, seen_cr: bool, byte: u8) -> Result<Chunks, Malformed> {
    if length > CHUNK_LINE_BYTES {
        return Err(Malformed);
    }
    match (seen_cr, byte, line) {
        (true, b'\n', 0) => Ok(Chunks::Over),
        (true, b'\n', _) => Ok(Chunks::Trailers { length, line: 0, seen_cr: false }),
        (false, b'\r', _) => Ok(Chunks::Trailers { length, line, seen_cr: true }),
        (true, _, _) | (false, b'\n', _) => Err(Malformed),
        (false, _, _) => Ok(Chunks::Trailers { length, line: line + 1, seen_cr: false }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// How many of the bytes are the body, when they come in pieces of `size`; `Err` when they are refused.
    fn body_of(bytes: &[u8], size: usize) -> Result<Option<usize>, Malformed> {
        let mut body = Body::chunks();
        let mut taken = 0;
        for piece in bytes.chunks(size) {
            let some = body.on_bytes(piece)?;
            taken += some;
            if body.is_over() {
                return Ok(Some(taken));
            }
            assert_eq!(some, piece.len(), "a body that is not over takes all");
        }
        Ok(None)
    }

    #[test]
    fn chunks_end_where_they_say() {
        let cases: [(&[u8], _); 13] = [
            (b"0\r\n\r\nGET /", Ok(Some(5))),
            (b"5\r\nhello\r\n0\r\n\r\n", Ok(Some(15))),
            (b"5;name=value\r\nhello\r\n0\r\n\r\n", Ok(Some(26))),
            (b"00a\r\n0123456789\r\n0\r\nX: y\r\n\r\nmore", Ok(Some(28))),
            (b"5\r\nhel", Ok(None)),
            (b"\r\n", Err(Malformed)),
            (b"5\nhello", Err(Malformed)),
            (b"5;a\nhello", Err(Malformed)),
            (b"-5\r\n", Err(Malformed)),
            (b"0x5\r\n", Err(Malformed)),
            (b"5\r\nhelloX", Err(Malformed)),
            (b"11112222333344445\r\n", Err(Malformed)),
            (b"0\r\nX: y\n\r\n", Err(Malformed)),
        ];
        for (bytes, wanted) in cases {
            for size in [1, 2, 64] {
                assert_eq!(
                    body_of(bytes, size),
                    wanted,
                    "{:?} by {size}",
                    String::from_utf8_lossy(bytes)
                );
            }
        }
    }

    #[test]
    fn lines_without_an_end_are_refused() {
        let long = [b"5;".as_slice(), &[b'x'; CHUNK_LINE_BYTES]].concat();
        assert_eq!(body_of(&long, 64), Err(Malformed));
        let long = [b"0\r\n".as_slice(), &[b'x'; CHUNK_LINE_BYTES + 1]].concat();
        assert_eq!(body_of(&long, 64), Err(Malformed));
    }

    #[test]
    fn a_length_is_counted_down() {
        let mut body = Body::Left(5);
        assert_eq!(body.on_bytes(b"hel"), Ok(3));
        assert!(!body.is_over());
        assert_eq!(body.on_bytes(b"loGET"), Ok(2));
        assert!(body.is_over());
    }

    proptest! {
        #[test]
        fn no_bytes_break_it_and_pieces_make_no_difference(
            bytes in prop::collection::vec(prop::sample::select(b"05af;\r\n x".to_vec()), 0..60),
            size in 1..10_usize,
        ) {
            prop_assert_eq!(body_of(&bytes, size), body_of(&bytes, 100));
        }

        #[test]
        fn what_is_cut_into_chunks_is_found_again(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..8), size in 1..50_usize,
        ) {
            let mut bytes = Vec::new();
            for part in &parts {
                bytes.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
                bytes.extend_from_slice(part);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
            let length = bytes.len();
            bytes.extend_from_slice(b"GET / HTTP/1.1\r\n");
            prop_assert_eq!(body_of(&bytes, size), Ok(Some(length)));
        }
    }
}
