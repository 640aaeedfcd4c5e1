//! Signatures, as Standard Webhooks v1 defines them: `v1,` and the base64 of HMAC-SHA256 over
//! `id.timestamp.body`, keyed with what is base64 behind `whsec_`.
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
/// The header with the signatures, separated by spaces: one of them fits.
pub const SIGNATURE_HEADER: &str = "webhook-signature";

/// How far the clocks of sender and receiver may be apart; older callbacks may be replays.
pub const TOLERANCE: Duration = Duration::from_secs(5 * 60);

const PREFIX: &str = "whsec_";
const VERSION: &str = "v1,";

/// A secret that cannot sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not `whsec_` and the base64 of 24 to 64 bytes")]
pub struct SecretError;

/// Why a callback is not believed.
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
    /// No signature fits.
    #[error("no signature fits: another secret, or a changed body")]
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
    let mut key = [0; 32];
    rand::rng().fill_bytes(&mut key);
    Secret::new(format!("{PREFIX}{}", STANDARD.encode(key)))
}

/// Checks that a secret, which a customer may choose, can sign.
///
/// # Errors
/// When it cannot.
pub fn check_secret(secret: &Secret) -> Result<(), SecretError> {
    key(secret).map(|_| ())
}

/// The signature of a body that is sent `at` a time, such as `v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=`.
///
/// # Errors
/// When the secret cannot sign.
pub fn signature(
    secret: &Secret,
    id: &CallbackId,
    at: Timestamp,
    body: &[u8],
) -> Result<String, SecretError> {
    let mac = mac(secret, id.as_str(), at.as_secs(), body)?;
    Ok(format!("{VERSION}{}", STANDARD.encode(mac.finalize().into_bytes())))
}

/// Verifies a callback that came in, in constant time.
///
/// # Errors
/// Why it is not believed.
pub fn verify(secret: &Secret, headers: Headers<'_>, body: &[u8], now: Timestamp) -> Result<(), VerifyError> {
    let seconds: i64 = headers.timestamp.parse().map_err(|_| VerifyError::Timestamp)?;
    let signed = Timestamp::from_millis(seconds.saturating_mul(1000));
    if now.since(signed) > TOLERANCE {
        return Err(VerifyError::TooOld);
    }
    if signed.since(now) > TOLERANCE {
        return Err(VerifyError::TooNew);
    }
    let expected = mac(secret, headers.id, seconds, body)?;
    let fits = |signature: &str| {
        let claimed = signature.strip_prefix(VERSION).and_then(|text| STANDARD.decode(text).ok());
        claimed.is_some_and(|claimed| expected.clone().verify_slice(&claimed).is_ok())
    };
    if headers.signature.split_ascii_whitespace().any(fits) { Ok(()) } else { Err(VerifyError::Mismatch) }
}

fn key(secret: &Secret) -> Result<Vec<u8>, SecretError> {
    let text = secret.expose().strip_prefix(PREFIX).ok_or(SecretError)?;
    let key = STANDARD.decode(text).map_err(|_| SecretError)?;
    if (24..=64).contains(&key.len()) { Ok(key) } else { Err(SecretError) }
}

fn mac(secret: &Secret, id: &str, seconds: i64, body: &[u8]) -> Result<Hmac<Sha256>, SecretError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&key(secret)?).map_err(|_| SecretError)?;
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
    const EXAMPLE: Headers<'_> = Headers {
        id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp: "1614265330",
        signature: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    };
    const THEN: Timestamp = Timestamp::from_millis(1_614_265_330_000);

    fn verified(headers: Headers<'_>, body: &[u8]) -> Result<(), VerifyError> {
        verify(&Secret::new(SECRET), headers, body, THEN)
    }

    #[test]
    fn the_known_example() {
        assert_eq!(verified(EXAMPLE, BODY), Ok(()));
        let made = mac(&Secret::new(SECRET), EXAMPLE.id, THEN.as_secs(), BODY).expect("a good secret");
        let made = STANDARD.encode(made.finalize().into_bytes());
        assert_eq!(format!("v1,{made}"), EXAMPLE.signature);
    }

    #[test]
    fn any_one_of_several_signatures() {
        let signature = format!("v1,AAAA v1a,xyz {} v1,BBBB", EXAMPLE.signature);
        assert_eq!(verified(Headers { signature: &signature, ..EXAMPLE }, BODY), Ok(()));
    }

    #[rstest]
    #[case(Headers { id: "msg_other", ..EXAMPLE }, BODY, VerifyError::Mismatch)]
    #[case(Headers { timestamp: "1614265331", ..EXAMPLE }, BODY, VerifyError::Mismatch)]
    #[case(Headers { timestamp: "yesterday", ..EXAMPLE }, BODY, VerifyError::Timestamp)]
    #[case(Headers { signature: "", ..EXAMPLE }, BODY, VerifyError::Mismatch)]
    #[case(Headers { signature: "v1,", ..EXAMPLE }, BODY, VerifyError::Mismatch)]
    #[case(Headers { signature: &EXAMPLE.signature[3..], ..EXAMPLE }, BODY, VerifyError::Mismatch)]
    #[case(EXAMPLE, br#"{"test":2432232314}"#, VerifyError::Mismatch)]
    fn what_was_changed_is_not_believed(
        #[case] headers: Headers<'_>,
        #[case] body: &[u8],
        #[case] why: VerifyError,
    ) {
        assert_eq!(verified(headers, body), Err(why));
    }

    #[test]
    fn five_minutes_are_tolerated() {
        let secret = Secret::new(SECRET);
        let late = THEN + TOLERANCE;
        assert_eq!(verify(&secret, EXAMPLE, BODY, late), Ok(()));
        let later = late + Duration::from_millis(1);
        assert_eq!(verify(&secret, EXAMPLE, BODY, later), Err(VerifyError::TooOld));
        let early = THEN - TOLERANCE;
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
        let signature = signature(&secret, &id, now, b"body").expect("a good secret");
        let headers = Headers { id: id.as_str(), timestamp: "1700000000", signature: &signature };
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
