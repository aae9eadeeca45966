//! Bytes in the order the protocol writes them: read with a bound, never beyond what is there.

/// Bytes that are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// They end in the middle.
    #[error("the bytes end early: {needed} more are needed")]
    Short {
        /// How many are missing.
        needed: usize,
    },
    /// Something follows the end.
    #[error("{extra} bytes follow the end")]
    Long {
        /// How many are too many.
        extra: usize,
    },
    /// A value that stands for nothing.
    #[error("{what} cannot be {value}")]
    Unknown {
        /// The field.
        what: &'static str,
        /// What it held.
        value: u64,
    },
}

/// Takes bytes from the front.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads these.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    /// What is left.
    pub fn left(&self) -> &'a [u8] {
        self.left
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.left)
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// If fewer are left.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let short = Malformed::Short { needed: count.saturating_sub(self.left.len()) };
        let (taken, left) = self.left.split_at_checked(count).ok_or(short)?;
        self.left = left;
        Ok(taken)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// If fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let short = Malformed::Short { needed: N.saturating_sub(self.left.len()) };
        let (taken, left) = self.left.split_first_chunk::<N>().ok_or(short)?;
        self.left = left;
        Ok(*taken)
    }

    /// A `u8`.
    ///
    /// # Errors
    /// If nothing is left.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    /// A `u16`.
    ///
    /// # Errors
    /// If fewer than two bytes are left.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// A `u32`.
    ///
    /// # Errors
    /// If fewer than four bytes are left.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// A `u64`.
    ///
    /// # Errors
    /// If fewer than eight bytes are left.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Nothing may follow.
    ///
    /// # Errors
    /// If something does.
    pub fn end(self) -> Result<(), Malformed> {
        match self.left.len() {
            0 => Ok(()),
            extra => Err(Malformed::Long { extra }),
        }
    }
}
