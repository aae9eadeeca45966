//! Texts by which strangers name things of a private network: keys, services, addresses, members.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use mesh::names::MeshName;
use mesh::{CallSign, Prefix, PublicKey};
use tunnel::{Policy, Proto, ServiceName, Visibility};
use units::{Name, RentalId};
use wire::paper::{AddressRange, MeshKey, NodeKey, is_signed};
use wire::{SERVICE_LABEL_BYTES_MAX, service_name};

/// A text, read as each of them.
pub fn names(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    reads::<AddressRange>(text);
    reads::<CallSign>(text);
    reads::<MeshKey>(text);
    reads::<MeshName>(text);
    reads::<NodeKey>(text);
    reads::<Prefix>(text);
    reads::<Proto>(text);
    reads::<PublicKey>(text);
    reads::<ServiceName>(text);
    reads::<Visibility>(text);
    let policy = text.parse::<Policy>();
    assert_eq!(policy, text.parse::<Policy>(), "the same text, the same policy");
    label(text);
    assert!(!is_signed(&NodeKey([1; 32]), text, text), "chance does not sign");
}

/// What reads is written again, and reads as the same.
fn reads<T: FromStr + Display + PartialEq + Debug>(text: &str) {
    let Ok(read) = text.parse::<T>() else { return };
    let again = read.to_string();
    assert_eq!(again.parse::<T>().ok(), Some(read), "{again} reads as what it was written of");
}

/// A label of a service is part of a name that is the rental's, however it ends.
fn label(text: &str) {
    let Ok(label) = text.parse::<Name>() else { return };
    let (rental, other) = (RentalId::from_bits(35), RentalId::from_bits(36));
    let name = service_name(&label, rental);
    let Ok(read) = name.parse::<ServiceName>() else {
        assert!(label.text().len() > SERVICE_LABEL_BYTES_MAX, "{name} is no name");
        return;
    };
    assert_eq!(ServiceName::of_rental(label.text(), rental).as_ref(), Ok(&read));
    assert!(read.is_of_rental(rental) && !read.is_of_rental(other), "{name} is whose it is");
}
