//! Signatures as Standard Webhooks v1 defines them: `v1,` and the base64 of HMAC-SHA256 over
//! `id.timestamp.body`. The key is the decoded base64 after the secret's `whsec_`.
//!
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac};
use model::{CallbackId, Secret, Timestamp};
use rand::Rng;
use sha2::Sha256;

/// The header with the callback's id: the same on every attempt.
pub const ID_HEADER: &str = "webhook-id";
/// The header with the attempt's time, in Unix seconds.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
/// The header with the signatures, separated by spaces: one for each secret in use.
pub const SIGNATURE_HEADER: &str = "webhook-signature";

/// How far the clocks of sender and receiver may be apart. An older callback may be an attacker's replay.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(5 * 60);

const SECRET_PREFIX: &str = "whsec_";
const SIGNATURE_PREFIX: &str = "v1,";

/// A secret that cannot sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not `whsec_` and the base64 of 24 to 64 bytes")]
pub struct SecretError;

/// Why a callback is not taken as authentic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The secret cannot sign.
    #[error("the secret {0}")]
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
    /// No signature matches.
    #[error("no signature matches: another secret, or a changed body")]
    Mismatch,
}

/// The headers of a callback that came in.
#[derive(Clone, Copy, Debug)]
pub struct SignatureHeaders<'a> {
    /// `webhook-id`
    pub id: &'a str,
    /// `webhook-timestamp`
    pub timestamp: &'a str,
    /// `webhook-signature`
    pub signature: &'a str,
}

/// A new secret: `whsec_` and the base64 of 32 random bytes.
pub fn generate_secret() -> Secret {
    let mut key = [0; 32];
    rand::rng().fill_bytes(&mut key);
    Secret::new(format!("{SECRET_PREFIX}{}", STANDARD.encode(key)))
}

/// Checks that a secret, which a customer may choose, can sign.
///
/// # Errors
/// When it cannot.
pub fn check_secret(secret: &Secret) -> Result<(), SecretError> {
    decode_key(secret).map(|_| ())
}

/// Signs a body that is sent `at` a time; gives a signature such as
/// `v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=`.
///
/// # Errors
/// When the secret cannot sign.
pub fn sign(secret: &Secret, id: &CallbackId, at: Timestamp, body: &[u8]) -> Result<String, SecretError> {
    let mac = mac(secret, id.as_str(), at.as_secs(), body)?;
    Ok(format!("{SIGNATURE_PREFIX}{}", STANDARD.encode(mac.finalize().into_bytes())))
}

/// Verifies a callback that came in, in constant time.
///
/// # Errors
/// Why it is not authentic.
pub fn verify(
    secret: &Secret,
    headers: SignatureHeaders<'_>,
    body: &[u8],
    now: Timestamp,
) -> Result<(), VerifyError> {
    let seconds: i64 = headers.timestamp.parse().map_err(|_| VerifyError::Timestamp)?;
    let signed_at = Timestamp::from_millis(seconds.saturating_mul(1000));
    if now.since(signed_at) > CLOCK_TOLERANCE {
        return Err(VerifyError::TooOld);
    }
    if signed_at.since(now) > CLOCK_TOLERANCE {
        return Err(VerifyError::TooNew);
    }
    let expected = mac(secret, headers.id, seconds, body)?;
    let matches = |signature: &str| {
        let claimed = signature.strip_prefix(SIGNATURE_PREFIX).and_then(|text| STANDARD.decode(text).ok());
        claimed.is_some_and(|claimed| expected.clone().verify_slice(&claimed).is_ok())
    };
    if headers.signature.split_ascii_whitespace().any(matches) { Ok(()) } else { Err(VerifyError::Mismatch) }
}

fn decode_key(secret: &Secret) -> Result<Vec<u8>, SecretError> {
    let text = secret.expose().strip_prefix(SECRET_PREFIX).ok_or(SecretError)?;
    let key = STANDARD.decode(text).map_err(|_| SecretError)?;
    if (24..=64).contains(&key.len()) { Ok(key) } else { Err(SecretError) }
}

fn mac(secret: &Secret, id: &str, seconds: i64, body: &[u8]) -> Result<Hmac<Sha256>, SecretError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&decode_key(secret)?).map_err(|_| SecretError)?;
    mac.update(format!("{id}.{seconds}.").as_bytes());
    mac.update(body);
    Ok(mac)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    // the example of the specification's reference implementations
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const EXAMPLE: SignatureHeaders<'_> = SignatureHeaders {
        id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp: "1614265330",
        signature: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    };
    const SIGNED_AT: Timestamp = Timestamp::from_millis(1_614_265_330_000);

    fn verified(headers: SignatureHeaders<'_>, body: &[u8]) -> Result<(), VerifyError> {
        verify(&Secret::new(SECRET), headers, body, SIGNED_AT)
    }

    #[test]
    fn the_known_example() {
        assert_eq!(verified(EXAMPLE, BODY), Ok(()));
        let mac = mac(&Secret::new(SECRET), EXAMPLE.id, SIGNED_AT.as_secs(), BODY).expect("a good secret");
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        assert_eq!(format!("v1,{signature}"), EXAMPLE.signature);
    }

    #[test]
    fn any_one_of_several_signatures() {
        let signature = format!("v1,AAAA v1a,xyz {} v1,BBBB", EXAMPLE.signature);
        assert_eq!(verified(SignatureHeaders { signature: &signature, ..EXAMPLE }, BODY), Ok(()));
    }

    #[rstest]
    #[case(SignatureHeaders { id: "msg_other", ..EXAMPLE }, BODY, VerifyError::Mismatch)]
    #[case(SignatureHeaders { timestamp: "1614265331", ..EXAMPLE }, BODY, VerifyError::Mismatch)]
    #[case(SignatureHeaders { timestamp: "yesterday", ..EXAMPLE }, BODY, VerifyError::Timestamp)]
    #[case(SignatureHeaders { signature: "", ..EXAMPLE }, BODY, VerifyError::Mismatch)]
    #[case(SignatureHeaders { signature: "v1,", ..EXAMPLE }, BODY, VerifyError::Mismatch)]
    #[case(SignatureHeaders { signature: &EXAMPLE.signature[3..], ..EXAMPLE }, BODY, VerifyError::Mismatch)]
    #[case(EXAMPLE, br#"{"test":2432232314}"#, VerifyError::Mismatch)]
    fn what_was_changed_is_not_authentic(
        #[case] headers: SignatureHeaders<'_>,
        #[case] body: &[u8],
        #[case] why: VerifyError,
    ) {
        assert_eq!(verified(headers, body), Err(why));
    }

    #[test]
    fn five_minutes_are_tolerated() {
        let secret = Secret::new(SECRET);
        let late = SIGNED_AT + CLOCK_TOLERANCE;
        assert_eq!(verify(&secret, EXAMPLE, BODY, late), Ok(()));
        let later = late + Duration::from_millis(1);
        assert_eq!(verify(&secret, EXAMPLE, BODY, later), Err(VerifyError::TooOld));
        let early = SIGNED_AT - CLOCK_TOLERANCE;
        assert_eq!(verify(&secret, EXAMPLE, BODY, early), Ok(()));
        let earlier = early - Duration::from_millis(1);
        assert_eq!(verify(&secret, EXAMPLE, BODY, earlier), Err(VerifyError::TooNew));
    }

    #[test]
    fn a_new_secret_signs_what_it_verifies() {
        let (secret, other) = (generate_secret(), generate_secret());
        assert_ne!(secret, other);
        let id = CallbackId::generate(&mut rand::rng());
        let now = Timestamp::from_millis(1_700_000_000_999);
        let signature = sign(&secret, &id, now, b"body").expect("a good secret");
        let headers = SignatureHeaders { id: id.as_str(), timestamp: "1700000000", signature: &signature };
        assert_eq!(verify(&secret, headers, b"body", now), Ok(()));
        assert_eq!(verify(&other, headers, b"body", now), Err(VerifyError::Mismatch));
    }

    #[test]
    fn secrets_have_24_to_64_bytes() {
        let secret = |bytes: usize| Secret::new(format!("whsec_{}", STANDARD.encode(vec![7; bytes])));
        assert_eq!(check_secret(&secret(24)).and(check_secret(&secret(64))), Ok(()));
        for wrong in
            [secret(23), secret(65), Secret::default(), Secret::new("whsec_?"), Secret::new(&SECRET[6..])]
        {
            assert_eq!(check_secret(&wrong), Err(SecretError), "{}", wrong.expose());
        }
    }
}
