//! Secrets at rest: XChaCha20-Poly1305 under the master key.
//!
//! A sealed secret is the key's id (4 bytes), a random nonce (24 bytes), and the ciphertext with its
//! tag. Its place (column and row id) is associated data: copied elsewhere it does not open.

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

const KEY_ID: usize = 4;
const NONCE: usize = 24;

/// Why a secret could not be sealed or opened.
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
    /// Another master key sealed it.
    #[error(
        "the secrets in the database were sealed with master key {theirs:08x}, but the key given is {ours:08x}; \
         give the file with the first one"
    )]
    OtherKey {
        /// The id of the key that sealed it.
        theirs: u32,
        /// The id of the key that was given.
        ours: u32,
    },
    /// It was changed, or moved from another row.
    #[error("the sealed {0} does not open: it was changed or moved")]
    Damaged(String),
    /// It cannot be sealed.
    #[error("the {0} cannot be sealed")]
    Seal(String),
}

/// Seals secrets with the master key.
#[derive(Clone)]
pub struct Cipher {
    aead: XChaCha20Poly1305,
    id: [u8; KEY_ID],
    link_key: [u8; 32],
}

impl Cipher {
    /// With a key of 32 bytes.
    pub fn new(key: [u8; 32]) -> Self {
        let digest = Sha256::new().chain_update(b"borealis master key id").chain_update(key).finalize();
        let mut id = [0; KEY_ID];
        id.copy_from_slice(&digest[..KEY_ID]);
        let link_key = Sha256::new().chain_update(b"borealis link key").chain_update(key).finalize().into();
        Self { aead: XChaCha20Poly1305::new(&key.into()), id, link_key }
    }

    /// The key that links to objects are signed with. It comes from the master key, so that every
    /// process of an installation has the same, and says nothing about it.
    pub fn link_key(&self) -> [u8; 32] {
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

    /// Seals a secret for its place: column and row.
    pub(crate) fn seal(&self, column: &str, row: &str, secret: &Secret) -> Result<Vec<u8>, CipherError> {
        let mut nonce = [0; NONCE];
        rand::rng().fill_bytes(&mut nonce);
        let place = place(column, row);
        let payload = Payload { msg: secret.expose().as_bytes(), aad: place.as_bytes() };
        let sealed = self
            .aead
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| CipherError::Seal(column.to_owned()))?;
        Ok([&self.id[..], &nonce, &sealed].concat())
    }

    /// Opens what was sealed for this place.
    pub(crate) fn open(&self, column: &str, row: &str, sealed: &[u8]) -> Result<Secret, CipherError> {
        let damaged = || CipherError::Damaged(column.to_owned());
        let (id, rest) = sealed.split_first_chunk::<KEY_ID>().ok_or_else(damaged)?;
        if *id != self.id {
            return Err(CipherError::OtherKey {
                theirs: u32::from_be_bytes(*id),
                ours: u32::from_be_bytes(self.id),
            });
        }
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE>().ok_or_else(damaged)?;
        let place = place(column, row);
        let payload = Payload { msg: ciphertext, aad: place.as_bytes() };
        let opened = self.aead.decrypt(&XNonce::from(*nonce), payload).map_err(|_| damaged())?;
        String::from_utf8(opened).map(Secret::new).map_err(|_| damaged())
    }
}

fn place(column: &str, row: &str) -> String {
    format!("{column}:{row}")
}

fn parse_key(content: &[u8]) -> Option<[u8; 32]> {
    if let Ok(raw) = content.try_into() {
        return Some(raw);
    }
    let hex = content.trim_ascii();
    let mut key = [0; 32];
    if hex.len() != 64 || !hex.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    for (byte, digits) in key.iter_mut().zip(hex.chunks(2)) {
        let digits = std::str::from_utf8(digits).ok()?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(key)
}

/// Makes the file whole or not at all; when another process was quicker, its file stays.
fn create_key_file(path: &Path) -> io::Result<()> {
    let mut key = [0; 32];
    rand::rng().fill_bytes(&mut key);
    let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let part = path.with_extension(format!("{}.part", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    writeln!(file, "{hex}")?;
    file.sync_all()?;
    let linked = match fs::hard_link(&part, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    };
    fs::remove_file(&part)?;
    linked?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_is_sealed_opens_in_its_place_alone() {
        let cipher = Cipher::new([7; 32]);
        let sealed = cipher.seal("storage_sk", "a", &Secret::new("hush")).expect("sealed");
        assert!(!sealed.windows(4).any(|window| window == b"hush"));
        assert_eq!(cipher.open("storage_sk", "a", &sealed).expect("opened").expose(), "hush");
        assert!(matches!(cipher.open("storage_sk", "b", &sealed), Err(CipherError::Damaged(_))));
        assert!(matches!(cipher.open("storage_ak", "a", &sealed), Err(CipherError::Damaged(_))));
        let other = Cipher::new([8; 32]).open("storage_sk", "a", &sealed);
        assert!(matches!(other, Err(CipherError::OtherKey { .. })));
        let mut changed = sealed;
        *changed.last_mut().expect("bytes") ^= 1;
        assert!(matches!(cipher.open("storage_sk", "a", &changed), Err(CipherError::Damaged(_))));
    }

    #[test]
    fn the_key_file_is_made_once_and_for_us_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("master.key");
        let first = Cipher::load_or_create(&path).expect("made");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(Cipher::load_or_create(&path).expect("read").id, first.id);
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
        assert_eq!(raw.id, hex.id);
        let error = load(b"short").err().expect("refused").to_string();
        assert!(error.contains("holds no key"), "{error}");
    }
}
