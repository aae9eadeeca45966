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

#[cfg(test)]
mod tests {
    use super::*;

    /// `SEQUENCE { SHA-384, 48 bytes of 7 }`.
    fn fwid_bytes() -> Vec<u8> {
        let hash = [0x06, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2];
        [&[0x30, 61][..], &hash, &[0x04, 48], &[7; 48]].concat()
    }

    #[test]
    fn firmware_is_found_in_either_shape() {
        let fwid = fwid_bytes();
        // Version, and a stand-in for the device's key.
        let composite = [&[0x30, 68, 0x02, 1, 1, 0x30, 0][..], &fwid].concat();
        assert_eq!(parse(&composite), Ok([7; 48]));
        // [0] a vendor, [6] one firmware, [7] flags.
        let info = [&[0x30, 71, 0x80, 1, b'N', 0xa6, 63][..], &fwid, &[0x87, 1, 0]].concat();
        assert_eq!(parse(&info), Ok([7; 48]));
    }

    #[test]
    fn without_firmware_or_with_another_hash_there_is_none() {
        assert!(parse(&[]).is_err());
        assert!(parse(&[0x30, 0]).is_err());
        assert!(parse(&[0x30, 3, 0x80, 1, b'N']).is_err());
        let mut sha256 = [&[0x30, 68, 0x02, 1, 1, 0x30, 0][..], &fwid_bytes()].concat();
        sha256[19] = 1;
        assert!(parse(&sha256).is_err());
        let trailing = [&[0x30, 68, 0x02, 1, 1, 0x30, 0][..], &fwid_bytes(), &[0]].concat();
        assert!(parse(&trailing).is_err());
    }
}
