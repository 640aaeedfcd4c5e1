//! Secrets at rest: encrypted with XChaCha20-Poly1305 under the master key.
//!
//! An encrypted secret is the key's id (4 bytes), a random nonce (24 bytes), and the ciphertext with its
//! tag. Column and row id are its associated data: copied to another row or column it does not decrypt.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use model::Secret;
use rand::Rng as _;
use sha2::{Digest as _, Sha256};

const KEY_BYTES: usize = 32;
const KEY_ID_BYTES: usize = 4;
const NONCE_BYTES: usize = 24;

/// Why a secret could not be encrypted or decrypted.
#[derive(Debug, thiserror::Error)]
pub enum CipherError {
    /// The key file cannot be read or made.
    #[error("the master key file `{path}` {problem}")]
    KeyFile {
        /// Where it is.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// It was encrypted with another master key.
    #[error(
        "the secrets in the database were encrypted with master key {theirs:08x}, but the key given is \
         {ours:08x}; give the file with the first one"
    )]
    OtherKey {
        /// The id of the key that it was encrypted with.
        theirs: u32,
        /// The id of the key that was given.
        ours: u32,
    },
    /// It was changed, or copied from another row or column.
    #[error("the encrypted {0} cannot be decrypted: it was changed, or copied from another row")]
    Damaged(String),
    /// It cannot be encrypted.
    #[error("the {0} cannot be encrypted")]
    Encrypt(String),
}

/// Encrypts and decrypts secrets with the master key.
#[derive(Clone)]
pub struct Cipher {
    aead: XChaCha20Poly1305,
    key_id: [u8; KEY_ID_BYTES],
    link_key: [u8; KEY_BYTES],
}

impl Cipher {
    /// With a key of 32 bytes.
    pub fn new(key: [u8; KEY_BYTES]) -> Self {
        let digest = Sha256::new().chain_update(b"borealis master key id").chain_update(key).finalize();
        let mut key_id = [0; KEY_ID_BYTES];
        key_id.copy_from_slice(&digest[..KEY_ID_BYTES]);
        let link_key = Sha256::new().chain_update(b"borealis link key").chain_update(key).finalize().into();
        Self { aead: XChaCha20Poly1305::new(&key.into()), key_id, link_key }
    }

    /// The key that links to objects are signed with. It is derived from the master key, so that every
    /// process of an installation has the same, and nobody can compute the master key from it.
    pub fn link_key(&self) -> [u8; KEY_BYTES] {
        self.link_key
    }

    /// With the key in this file (32 bytes, raw or as 64 hex digits), which is made (0600) when it
    /// is absent.
    ///
    /// # Errors
    /// When it can neither be read nor made, or holds no key.
    pub fn load_or_create(path: &Path) -> Result<Self, CipherError> {
        let failed = |problem: String| CipherError::KeyFile { path: path.display().to_string(), problem };
        let content = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create_key_file(path).and_then(|()| fs::read(path))
            }
            read => read,
        };
        let content = content.map_err(|error| failed(format!("cannot be read or made: {error}")))?;
        let key = parse_key(&content)
            .ok_or_else(|| failed("holds no key; it must be 32 bytes or 64 hex digits".to_owned()))?;
        Ok(Self::new(key))
    }

    /// Encrypts a secret for its column and row.
    pub(crate) fn encrypt(
        &self,
        column: &str,
        row_id: &str,
        secret: &Secret,
    ) -> Result<Vec<u8>, CipherError> {
        let mut nonce = [0; NONCE_BYTES];
        rand::rng().fill_bytes(&mut nonce);
        let aad = associated_data(column, row_id);
        let payload = Payload { msg: secret.expose().as_bytes(), aad: aad.as_bytes() };
        let ciphertext = self
            .aead
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| CipherError::Encrypt(column.to_owned()))?;
        Ok([&self.key_id[..], &nonce, &ciphertext].concat())
    }

    /// Decrypts what was encrypted for this column and row.
    pub(crate) fn decrypt(
        &self,
        column: &str,
        row_id: &str,
        encrypted: &[u8],
    ) -> Result<Secret, CipherError> {
        let damaged = || CipherError::Damaged(column.to_owned());
        let (key_id, rest) = encrypted.split_first_chunk::<KEY_ID_BYTES>().ok_or_else(damaged)?;
        if *key_id != self.key_id {
            return Err(CipherError::OtherKey {
                theirs: u32::from_be_bytes(*key_id),
                ours: u32::from_be_bytes(self.key_id),
            });
        }
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or_else(damaged)?;
        let aad = associated_data(column, row_id);
        let payload = Payload { msg: ciphertext, aad: aad.as_bytes() };
        let plaintext = self.aead.decrypt(&XNonce::from(*nonce), payload).map_err(|_| damaged())?;
        String::from_utf8(plaintext).map(Secret::new).map_err(|_| damaged())
    }
}

/// What an encrypted secret is bound to.
fn associated_data(column: &str, row_id: &str) -> String {
    format!("{column}:{row_id}")
}

fn parse_key(content: &[u8]) -> Option<[u8; KEY_BYTES]> {
    if let Ok(raw) = content.try_into() {
        return Some(raw);
    }
    let mut key = [0; KEY_BYTES];
    hex::decode_to_slice(content.trim_ascii(), &mut key).ok()?;
    Some(key)
}

/// Makes the file whole or not at all; when another process was quicker, its file stays.
fn create_key_file(path: &Path) -> io::Result<()> {
    let mut key = [0; KEY_BYTES];
    rand::rng().fill_bytes(&mut key);
    let part = path.with_extension(format!("{}.part", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    writeln!(file, "{}", hex::encode(key))?;
    file.sync_all()?;
    // a hard link, because it fails where a file is already; a rename would replace it
    let linked = match fs::hard_link(&part, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    };
    fs::remove_file(&part)?;
    linked?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // the name of a new file is durable when its folder is synced
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_is_encrypted_is_decrypted_in_its_row_and_column_alone() {
        let cipher = Cipher::new([7; 32]);
        let encrypted = cipher.encrypt("storage_sk", "a", &Secret::new("hush")).expect("encrypted");
        assert!(!encrypted.windows(4).any(|window| window == b"hush"));
        assert_eq!(cipher.decrypt("storage_sk", "a", &encrypted).expect("decrypted").expose(), "hush");
        assert!(matches!(cipher.decrypt("storage_sk", "b", &encrypted), Err(CipherError::Damaged(_))));
        assert!(matches!(cipher.decrypt("storage_ak", "a", &encrypted), Err(CipherError::Damaged(_))));
        let other = Cipher::new([8; 32]).decrypt("storage_sk", "a", &encrypted);
        assert!(matches!(other, Err(CipherError::OtherKey { .. })));
        let mut changed = encrypted;
        *changed.last_mut().expect("bytes") ^= 1;
        assert!(matches!(cipher.decrypt("storage_sk", "a", &changed), Err(CipherError::Damaged(_))));
    }

    #[test]
    fn the_key_file_is_made_once_and_for_us_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("master.key");
        let first = Cipher::load_or_create(&path).expect("made");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(Cipher::load_or_create(&path).expect("read").key_id, first.key_id);
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn a_key_is_raw_or_hex() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("master.key");
        let load = |content: &[u8]| {
            fs::write(&path, content).expect("written");
            Cipher::load_or_create(&path)
        };
        let raw = load(&[0xab; 32]).expect("raw");
        let hex = load(format!("{}\n", "ab".repeat(32)).as_bytes()).expect("hex");
        assert_eq!(raw.key_id, hex.key_id);
        let error = load(b"short").err().expect("refused").to_string();
        assert!(error.contains("holds no key"), "{error}");
    }
}
