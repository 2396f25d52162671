//! What must not lie on a disk in clear: sealed with a key that lies beside it, readable by the service alone.
//!
//! A copy of the database files, a backup of them, or a page of them in a core dump then tells nothing.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const KEY_BYTES: usize = 32;

/// Seals and opens, by AES-256-GCM with random nonces.
pub struct Vault(RandomizedNonceKey);

/// Why something is not sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The key's file cannot be used.
    #[error("the sealing key {path}: {source}")]
    Key {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// What was to be opened was sealed by another key, for another purpose, or was changed.
    #[error("what is sealed cannot be opened")]
    Broken,
}

impl Vault {
    /// The vault of the key in this file; the key is made when there is no file.
    ///
    /// # Errors
    /// When the file cannot be read or made, or holds no key.
    pub fn open(path: &Path) -> Result<Vault, VaultError> {
        let failed = |source| VaultError::Key { path: path.display().to_string(), source };
        let key = match read(path) {
            Ok(key) => key,
            Err(e) if e.kind() == ErrorKind::NotFound => make(path).map_err(failed)?,
            Err(e) => return Err(failed(e)),
        };
        RandomizedNonceKey::new(&AES_256_GCM, &key).map(Vault).map_err(|_| VaultError::Broken)
    }

    /// `text`, sealed. It opens for the same purpose only.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn seal(&self, purpose: &str, text: &[u8]) -> Result<Vec<u8>, VaultError> {
        let mut sealed = Vec::with_capacity(NONCE_LEN + text.len() + AES_256_GCM.tag_len());
        sealed.extend_from_slice(text);
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::from(purpose), &mut sealed)
            .map_err(|_| VaultError::Broken)?;
        sealed.extend_from_slice(nonce.as_ref());
        Ok(sealed)
    }

    /// What was sealed for this purpose.
    ///
    /// # Errors
    /// When it was not, or not by this vault.
    pub fn unseal(&self, purpose: &str, mut sealed: Vec<u8>) -> Result<Vec<u8>, VaultError> {
        let at = sealed.len().checked_sub(NONCE_LEN).ok_or(VaultError::Broken)?;
        let nonce = Nonce::try_assume_unique_for_key(&sealed[at..]).map_err(|_| VaultError::Broken)?;
        sealed.truncate(at);
        let length = self
            .0
            .open_in_place(nonce, Aad::from(purpose), &mut sealed)
            .map_err(|_| VaultError::Broken)?
            .len();
        sealed.truncate(length);
        Ok(sealed)
    }
}

fn read(path: &Path) -> std::io::Result<[u8; KEY_BYTES]> {
    let mut key = Vec::new();
    OpenOptions::new().read(true).open(path)?.take(KEY_BYTES as u64 + 1).read_to_end(&mut key)?;
    key.try_into().map_err(|_| std::io::Error::new(ErrorKind::InvalidData, "it does not hold 32 bytes"))
}

/// Makes the key beside its place and links it there, so that nobody ever reads half of one; whoever was first wins.
fn make(path: &Path) -> std::io::Result<[u8; KEY_BYTES]> {
    let mut key = [0; KEY_BYTES];
    let random = SystemRandom::new();
    random.fill(&mut key).map_err(|_| std::io::Error::other("the system gives no randomness"))?;
    let draft = path.with_extension(format!("{}.new", std::process::id()));
    let _ = std::fs::remove_file(&draft);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(&key)?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&draft, path);
    let _ = std::fs::remove_file(&draft);
    match linked {
        Ok(()) => {}
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
        Err(e) => return Err(e),
    }
    if let Some(folder) = path.parent() {
        std::fs::File::open(folder)?.sync_all()?;
    }
    read(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_sealed_opens_for_its_purpose_and_for_no_other() {
        let folder = std::env::temp_dir().join(format!("hgo-vault-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir(&folder).expect("a folder");
        let path = folder.join("seal.key");
        let vault = Vault::open(&path).expect("made");
        assert_eq!(std::fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(&folder).expect("a folder").count(), 1, "no draft is left");

        let sealed = vault.seal("task:a", b"secret").expect("sealed");
        assert!(!sealed.windows(6).any(|w| w == b"secret"));
        assert_ne!(vault.seal("task:a", b"secret").expect("sealed"), sealed);
        let again = Vault::open(&path).expect("opened");
        assert_eq!(again.unseal("task:a", sealed.clone()).expect("opened"), b"secret");
        assert!(again.unseal("task:b", sealed.clone()).is_err());
        for i in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[i] ^= 1;
            assert!(again.unseal("task:a", bent).is_err(), "byte {i}");
            assert!(again.unseal("task:a", sealed[..i].to_vec()).is_err(), "cut at {i}");
        }
        assert_eq!(again.unseal("x", again.seal("x", b"").expect("sealed")).expect("opened"), b"");

        std::fs::write(&path, b"short").expect("written");
        assert!(Vault::open(&path).is_err());
        let _ = std::fs::remove_dir_all(&folder);
    }
}
