//! Secrets at rest.

use std::path::Path;

/// Why a secret could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CipherError(String);

/// Seals secrets with the master key.
#[derive(Clone)]
pub struct Cipher {}

impl Cipher {
    /// With a key of 32 bytes.
    pub fn new(_key: [u8; 32]) -> Self {
        todo!()
    }

    /// With the key in this file (32 bytes, raw or in hex), which is made when it is absent.
    pub fn load_or_create(_path: &Path) -> Result<Self, CipherError> {
        todo!()
    }
}
