//! What a service is called.

use std::fmt;
use std::str::FromStr;

use units::{AccountId, RentalId};

use crate::limits::NAME_MAX;

/// What a service is called everywhere: 1 to 63 of `a-z`, `0-9` and `-`, not starting or ending in `-`. It is a label
/// of a host name, so that a visitor can name it in an address.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName(Box<str>);

/// Why a text is not the name of a service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a service's name is 1 to 63 of `a-z`, `0-9` and `-`, not starting or ending in `-`")]
pub struct NotAServiceName;

impl ServiceName {
    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Characters of an id that a name ends in.
const OWNER_CHARS: usize = 26;

impl ServiceName {
    /// The name of what belongs to this rental: the label, and the rental's id. Nobody can take it who may not serve
    /// the rental.
    ///
    /// # Errors
    /// If the label is no label, or too long.
    pub fn of_rental(label: &str, rental: RentalId) -> Result<Self, NotAServiceName> {
        format!("{label}-{}", tail(&rental.to_string())).parse()
    }

    /// The name of what an account publishes.
    ///
    /// # Errors
    /// If the label is no label, or too long.
    pub fn of_account(label: &str, account: AccountId) -> Result<Self, NotAServiceName> {
        format!("{label}-{}", tail(&account.to_string())).parse()
    }

    /// Whether it is a name for what belongs to this rental.
    pub fn is_of_rental(&self, rental: RentalId) -> bool {
        self.ends_in(&rental.to_string())
    }

    /// Whether it is a name for what this account publishes.
    pub fn is_of_account(&self, account: AccountId) -> bool {
        self.ends_in(&account.to_string())
    }

    fn ends_in(&self, id: &str) -> bool {
        self.0.strip_suffix(tail(id)).is_some_and(|label| label.len() > 1 && label.ends_with('-'))
    }
}

/// An id without the word that says what it names.
fn tail(id: &str) -> &str {
    &id[id.len().saturating_sub(OWNER_CHARS)..]
}

impl FromStr for ServiceName {
    type Err = NotAServiceName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let edges = text.starts_with('-') || text.ends_with('-');
        if text.is_empty() || text.len() > NAME_MAX || edges || !text.bytes().all(allowed) {
            return Err(NotAServiceName);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for ServiceName {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for ServiceName {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(input)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_whose_it_is() {
        let (mine, other) = (RentalId::from_bits(35), RentalId::from_bits(36));
        let name = ServiceName::of_rental("jupyter", mine).unwrap();
        assert_eq!(name.as_str(), "jupyter-00000000000000000000000013");
        assert!(name.is_of_rental(mine) && !name.is_of_rental(other));
        let bare: ServiceName = "00000000000000000000000013".parse().unwrap();
        assert!(!bare.is_of_rental(mine), "a name has a label");
        let published = ServiceName::of_account("blog", AccountId::from_bits(35)).unwrap();
        assert!(published.is_of_account(AccountId::from_bits(35)));
        assert!(ServiceName::of_rental("", mine).is_err());
        assert!(ServiceName::of_rental(&"x".repeat(37), mine).is_err());
    }

    #[test]
    fn a_name_is_a_label_of_a_host_name() {
        for good in ["a", "jupyter-7q", "0", &"x".repeat(63)] {
            assert_eq!(good.parse::<ServiceName>().unwrap().as_str(), good);
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a_b", "ä", &"x".repeat(64)] {
            assert_eq!(bad.parse::<ServiceName>(), Err(NotAServiceName), "{bad}");
        }
    }
}
