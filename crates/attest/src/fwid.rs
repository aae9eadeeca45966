//! The identity of firmware inside a certificate, in the two shapes that the Trusted Computing Group gave it.
//!
//! ```text
//! Hopper   SEQUENCE { version INTEGER, deviceID SubjectPublicKeyInfo, fwid FWID }
//! later    DiceTcbInfo: SEQUENCE { [0] … [5] strings and numbers, [6] SEQUENCE OF FWID, [7] … }
//! FWID     SEQUENCE { hashAlg OBJECT IDENTIFIER (SHA-384), digest OCTET STRING (48) }
//! ```
//!
//! Both come under the same object identifiers, so the first element tells them apart. Of a list, the first is the
//! one that a report repeats.

use x509_cert::der::asn1::{ObjectIdentifier, OctetStringRef};
use x509_cert::der::{Decode, ErrorKind, Header, Reader, Result, SliceReader, Tag, TagNumber};

use crate::report::DIGEST_BYTES;

/// The extensions under which it comes.
pub(crate) const EXTENSIONS: [ObjectIdentifier; 2] = [
    ObjectIdentifier::new_unwrap("2.23.133.5.4.1"),
    ObjectIdentifier::new_unwrap("2.23.133.5.4.1.1"),
];

const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
/// Where a `DiceTcbInfo` lists its firmware.
const FWIDS: TagNumber = TagNumber::new(6);

/// The firmware's digest in an extension's value.
pub(crate) fn parse(value: &[u8]) -> Result<[u8; DIGEST_BYTES]> {
    let mut reader = SliceReader::new(value)?;
    let digest = reader.sequence(|inner| match inner.peek_header()?.tag == Tag::Integer {
        true => in_composite_device_id(inner),
        false => in_tcb_info(inner),
    })?;
    reader.finish(digest)
}

fn in_composite_device_id<'a>(reader: &mut impl Reader<'a>) -> Result<[u8; DIGEST_BYTES]> {
    let _version = reader.tlv_bytes()?;
    let _device = reader.tlv_bytes()?;
    fwid(reader)
}

fn in_tcb_info<'a>(reader: &mut impl Reader<'a>) -> Result<[u8; DIGEST_BYTES]> {
    let mut found = None;
    while !reader.is_finished() {
        let wanted = Tag::ContextSpecific { constructed: true, number: FWIDS };
        let element = reader.tlv_bytes()?;
        let mut inside = SliceReader::new(element)?;
        if Header::decode(&mut inside)?.tag == wanted {
            found = Some(fwid(&mut inside)?);
        }
    }
    found.ok_or_else(|| ErrorKind::TagUnexpected { expected: None, actual: Tag::Null }.into())
}

fn fwid<'a>(reader: &mut impl Reader<'a>) -> Result<[u8; DIGEST_BYTES]> {
    reader.sequence(|inner| {
        let hash: ObjectIdentifier = inner.decode()?;
        let digest: OctetStringRef<'_> = inner.decode()?;
        let digest = digest.as_bytes().try_into();
        match (hash == SHA384, digest) {
            (true, Ok(digest)) => Ok(digest),
            (true | false, Ok(_) | Err(_)) => Err(ErrorKind::OidUnknown { oid: hash }.into()),
        }
    })
}
