//! What a processor's certificate says of its platform: Intel's own extension.
//!
//! ```text
//! SEQUENCE OF SEQUENCE { OBJECT IDENTIFIER 1.2.840.113741.1.13.1.n, value }
//!   n = 2  SEQUENCE OF SEQUENCE { …2.1 to …2.16 security versions, …2.17 of the provisioning enclave, …2.18 all }
//!   n = 3  OCTET STRING (2)  the provisioning enclave's id
//!   n = 4  OCTET STRING (6)  the family of platforms (FMSPC)
//! ```

use x509_cert::der::asn1::{ObjectIdentifier, OctetStringRef};
use x509_cert::der::{Decode, Reader, Result, SliceReader};

const TCB: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1.2");
const PCE_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1.3");
const FMSPC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1.4");

/// A platform, as its processor's certificate names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Platform {
    /// The family of platforms.
    pub fmspc: [u8; 6],
    /// The provisioning enclave's id.
    pub pce_id: [u8; 2],
    /// Security versions of the platform's parts.
    pub components: [u8; 16],
    /// The provisioning enclave's security version.
    pub pce_svn: u16,
}

/// Reads the extension; nothing if it does not say all of it, or anything twice.
pub(super) fn parse(value: &[u8]) -> Option<Platform> {
    let (mut platform, mut seen) = (Platform::default(), (0, 0, 0));
    let read = each(value, |id, value| {
        match id {
            TCB => {
                seen.0 += 1;
                tcb(value, &mut platform)?;
            }
            PCE_ID => {
                seen.1 += 1;
                platform.pce_id = octets(value)?;
            }
            FMSPC => {
                seen.2 += 1;
                platform.fmspc = octets(value)?;
            }
            _ => {}
        }
        Ok(())
    });
    (read.is_ok() && seen == (1, 1, 1)).then_some(platform)
}

fn tcb(value: &[u8], platform: &mut Platform) -> Result<()> {
    let mut seen = [0_u32; 17];
    each(value, |id, value| {
        // The last arc says which: 1 to 16 for the platform's parts, 17 for the provisioning enclave.
        let place = id.arcs().last().and_then(|arc| usize::try_from(arc).ok()).unwrap_or(0);
        match place {
            1..=16 => platform.components[place - 1] = u8::from_der(value)?,
            17 => platform.pce_svn = u16::from_der(value)?,
            _ => return Ok(()),
        }
        seen[place - 1] += 1;
        Ok(())
    })?;
    if seen == [1; 17] { Ok(()) } else { Err(x509_cert::der::ErrorKind::Failed.into()) }
}

/// Calls for each pair of a sequence, with the value's whole encoding.
fn each(value: &[u8], mut call: impl FnMut(ObjectIdentifier, &[u8]) -> Result<()>) -> Result<()> {
    let mut reader = SliceReader::new(value)?;
    reader.sequence(|inner| {
        while !inner.is_finished() {
            inner.sequence(|pair| {
                let id: ObjectIdentifier = pair.decode()?;
                call(id, pair.tlv_bytes()?)
            })?;
        }
        Ok(())
    })?;
    reader.finish(())
}

fn octets<const N: usize>(value: &[u8]) -> Result<[u8; N]> {
    let octets = OctetStringRef::from_der(value)?;
    octets.as_bytes().try_into().map_err(|_| x509_cert::der::ErrorKind::Failed.into())
}
