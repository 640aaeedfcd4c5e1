//! Whatever reads bytes that strangers may have written, as functions that take any bytes: the targets
//! of `fuzz/` call them, and so do the tests below. They may refuse; they must not panic.

use model::{CallbackId, Secret, Timestamp};
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};

use crate::sign::{Headers, check_secret, signature, verify};

/// A customer's secret, and the headers of a callback that claims to be signed with it.
pub fn secret(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (secret, headers) = text.split_once('\n').unwrap_or((&text, ""));
    let secret = Secret::new(secret);
    let now = Timestamp::from_millis(1_700_000_000_000);
    let claims = Headers { id: headers, timestamp: headers, signature: headers };
    assert!(verify(&secret, claims, data, now).is_err(), "nobody guesses a signature");
    if check_secret(&secret).is_ok() {
        let id: CallbackId = "cb_0123456789abcdef0123456789abcdef".parse().expect("an id");
        let signed = signature(&secret, &id, now, data).expect("the secret can sign");
        let (id, timestamp) = (id.to_string(), now.as_secs().to_string());
        let headers = Headers { id: &id, timestamp: &timestamp, signature: &signed };
        assert!(verify(&secret, headers, data, now).is_ok(), "what was signed is verified");
    }
}

/// A receiver's `Retry-After`.
pub fn retry_after(data: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(data) else { return };
    let now = Timestamp::from_millis(1_700_000_000_000);
    let _ = net::retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value)]), now.into());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(
            text in "(whsec_[A-Za-z0-9+/]{0,90}={0,2}|[0-9]{0,30}|[A-Z][a-z]{2}, [0-9]{1,2} [A-Z][a-z]{2} [0-9]{1,6} [0-9:]{8} GMT|.{0,40})\n?.{0,9}",
        ) {
            super::secret(text.as_bytes());
            super::retry_after(text.as_bytes());
        }
    }
}
