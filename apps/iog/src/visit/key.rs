//! The key of this client: who bears it may visit what its passes name.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::Context;
use data_encoding::HEXLOWER;
use ed25519_dalek::SigningKey;

use crate::config::write_secret;
use crate::failure::Failure;

/// In the folder of the configuration: 64 hexadecimal digits, on a line.
const FILE: &str = "visitor.key";

/// The key in this folder; it is made if there is none.
pub(super) fn of(folder: &Path) -> Result<SigningKey, Failure> {
    let path = folder.join(FILE);
    match fs::read_to_string(&path) {
        Ok(text) => read(&text).ok_or_else(|| {
            let what = format!("{} holds no key", path.display());
            Failure::usage(what, "remove it; the next visit makes another")
        }),
        Err(fault) if fault.kind() == ErrorKind::NotFound => {
            let mut seed = [0; 32];
            getrandom::fill(&mut seed).context("make a key")?;
            let text = HEXLOWER.encode(&seed) + "\n";
            write_secret(&path, text.as_bytes())
                .with_context(|| format!("write {}", path.display()))?;
            Ok(SigningKey::from_bytes(&seed))
        }
        Err(fault) => Err(crate::file::unread(&path, &fault)),
    }
}

/// The key in this folder, if there is one.
pub(super) fn known(folder: &Path) -> Option<SigningKey> {
    read(&fs::read_to_string(folder.join(FILE)).ok()?)
}

fn read(text: &str) -> Option<SigningKey> {
    let seed = HEXLOWER.decode(text.trim().as_bytes()).ok()?;
    Some(SigningKey::from_bytes(seed.as_slice().try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_for_its_owner_only() {
        let folder = std::env::temp_dir().join(format!("iog-visitor-{}", std::process::id()));
        let made = of(&folder).unwrap();
        assert_eq!(of(&folder).unwrap(), made);
        assert_eq!(known(&folder), Some(made));
        let path = folder.join(FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        for wrong in ["", "00", "zz"] {
            fs::write(&path, wrong).unwrap();
            assert!(matches!(of(&folder), Err(Failure::Usage { .. })), "{wrong:?}");
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
