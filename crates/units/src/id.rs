//! Names of things: 128 bits behind a prefix that says what is named.

use std::fmt;
use std::str::FromStr;

/// Crockford's base 32, lower case: no letter is mistaken for a digit when read aloud.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 128 bits in groups of five.
const TEXT_LENGTH: usize = 26;

/// Why a text is not an id of the kind asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected {expected}_ and 26 characters of base 32, found `{found}`")]
pub struct NotAnId {
    /// The prefix of the kind that was asked for.
    pub expected: &'static str,
    /// What was given instead, cut to a readable length.
    pub found: String,
}

fn write(f: &mut fmt::Formatter<'_>, prefix: &str, value: u128) -> fmt::Result {
    let mut text = [0_u8; TEXT_LENGTH];
    let mut rest = value;
    for place in text.iter_mut().rev() {
        let low = usize::try_from(rest & 31).expect("five bits fit");
        *place = DIGITS[low];
        rest >>= 5;
    }
    let text = std::str::from_utf8(&text).expect("digits are ASCII");
    write!(f, "{prefix}_{text}")
}

fn parse(prefix: &'static str, text: &str) -> Result<u128, NotAnId> {
    let refused = || NotAnId { expected: prefix, found: text.chars().take(40).collect() };
    let digits = text
        .strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('_'))
        .filter(|digits| digits.len() == TEXT_LENGTH)
        .ok_or_else(refused)?;
    let mut value: u128 = 0;
    for digit in digits.bytes() {
        let low = DIGITS.iter().position(|known| *known == digit).ok_or_else(refused)?;
        let low = u128::try_from(low).expect("a position below 32");
        value = value.checked_mul(32).and_then(|high| high.checked_add(low)).ok_or_else(refused)?;
    }
    Ok(value)
}

/// Text form, parsing, serde and schema for a type that is written as text.
macro_rules! as_text {
    ($name:ident, $example:expr) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                out.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(input)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::schema::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .examples([$example])
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {}
    };
}
pub(crate) use as_text;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// What its text starts with.
            pub const PREFIX: &'static str = $prefix;

            /// The id with these bits; whoever makes it answers for its being new.
            pub const fn from_bits(bits: u128) -> Self {
                Self(bits)
            }

            /// The bits, for hashing and for storage.
            pub const fn bits(self) -> u128 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write(f, $prefix, self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                parse($prefix, text).map(Self)
            }
        }

        as_text!($name, Self::from_bits(7).to_string());
    )*};
}

ids! {
    /// A person or a company: rents, supplies, or both.
    AccountId = "acc";
    /// A command told to the control plane, by the one who tells it: the key of idempotence.
    CommandId = "cmd";
    /// Coins set aside for somebody, released by a vesting schedule.
    GrantId = "gra";
    /// A single-use invitation for one machine to join.
    InviteId = "inv";
    /// A piece of work submitted to a rental.
    JobId = "job";
    /// An API key.
    KeyId = "key";
    /// A private network: that of one rental, or one that operators made.
    MeshId = "msh";
    /// An offer of a share of a machine's rewards for a part of its stake.
    OfferId = "off";
    /// An order that waits until machines for it are there; the rental that it becomes has the same bits.
    OrderId = "ord";
    /// What is paid for together: rentals, keys, members, one balance.
    ProjectId = "prj";
    /// Something that holders vote on.
    ProposalId = "prp";
    /// A price promised for a time.
    QuoteId = "quo";
    /// A renter's hold on machines for a span of time.
    RentalId = "rnt";
    /// One thing a worker has to say, told until it is acknowledged.
    ReportId = "rep";
    /// A reward program with a beginning and an end.
    SeasonId = "sea";
    /// Stake taken for an offence, until it is burned or given back.
    SlashId = "sla";
    /// A movement of money between two accounts of the book.
    TransferId = "trf";
    /// A machine that offers its hardware.
    WorkerId = "wkr";
}

/// The SHA-256 of a file's bytes: what it is called everywhere.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId([u8; 32]);

impl BlobId {
    /// The id of a file with this SHA-256.
    pub const fn from_sha256(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The SHA-256.
    pub const fn sha256(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for BlobId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let refused = || NotAnId { expected: "sha256", found: text.chars().take(40).collect() };
        if text.len() != 64 || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(refused());
        }
        let mut digest = [0_u8; 32];
        for (place, pair) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| refused())?;
            *place = u8::from_str_radix(pair, 16).map_err(|_| refused())?;
        }
        Ok(Self(digest))
    }
}

as_text!(BlobId, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".to_owned());

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_id_says_what_it_names() {
        assert_eq!(RentalId::from_bits(35).to_string(), "rnt_00000000000000000000000013");
    }

    #[test]
    fn an_id_of_another_kind_is_refused() {
        let rental = RentalId::from_bits(35).to_string();
        assert!(rental.parse::<WorkerId>().is_err());
        assert!(
            "rnt_zzzzzzzzzzzzzzzzzzzzzzzzzz".parse::<RentalId>().is_err(),
            "more than 128 bits"
        );
        assert!("".parse::<RentalId>().is_err());
    }

    proptest! {
        #[test]
        fn ids_read_back_as_written(bits: u128) {
            let id = JobId::from_bits(bits);
            prop_assert_eq!(id.to_string().parse::<JobId>(), Ok(id));
        }

        #[test]
        fn blob_ids_read_back_as_written(digest: [u8; 32]) {
            let id = BlobId::from_sha256(digest);
            prop_assert_eq!(id.to_string().parse::<BlobId>(), Ok(id));
        }

        #[test]
        fn any_text_is_read_without_panic(text: String) {
            let _ = text.parse::<JobId>();
            let _ = text.parse::<BlobId>();
        }
    }
}
