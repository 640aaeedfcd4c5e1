//! Signatures, as Standard Webhooks v1 defines them.

use model::{CallbackId, Secret, Timestamp};

/// The header with the callback's id.
pub const ID_HEADER: &str = "webhook-id";
/// The header with the attempt's time.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
/// The header with the signatures.
pub const SIGNATURE_HEADER: &str = "webhook-signature";

/// A secret that cannot sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret is not `whsec_` and the base64 of 24 to 64 bytes")]
pub struct SecretError;

/// Why a callback is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The secret cannot sign.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The timestamp is not a number.
    #[error("the timestamp is not a number of seconds")]
    Timestamp,
    /// It was signed too long ago.
    #[error("it was signed more than 5 minutes ago")]
    TooOld,
    /// It was signed in the future.
    #[error("it was signed more than 5 minutes in the future")]
    TooNew,
    /// No signature fits.
    #[error("no signature fits")]
    Mismatch,
}

/// The headers that are verified, as they came.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'a> {
    /// `webhook-id`
    pub id: &'a str,
    /// `webhook-timestamp`
    pub timestamp: &'a str,
    /// `webhook-signature`
    pub signature: &'a str,
}

/// A new secret: `whsec_` and the base64 of 32 random bytes.
pub fn generate_secret() -> Secret {
    todo!()
}

/// Checks that a secret given by a customer can sign.
///
/// # Errors
/// When it cannot.
pub fn check_secret(_secret: &Secret) -> Result<(), SecretError> {
    todo!()
}

/// The signature of a body.
///
/// # Errors
/// When the secret cannot sign.
pub fn signature(
    _secret: &Secret,
    _id: &CallbackId,
    _at: Timestamp,
    _body: &[u8],
) -> Result<String, SecretError> {
    todo!()
}

/// Verifies what came in.
///
/// # Errors
/// Why it is not believed.
pub fn verify(
    _secret: &Secret,
    _headers: Headers<'_>,
    _body: &[u8],
    _now: Timestamp,
) -> Result<(), VerifyError> {
    todo!()
}
