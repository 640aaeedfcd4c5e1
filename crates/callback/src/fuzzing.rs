//! Every parser of untrusted input in this crate, as a function that takes any bytes: the targets of
//! `fuzz/` call them, and so do the tests below. A parser may refuse what it is given; it must not panic.

use model::{CallbackId, Secret, Timestamp};
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};

use crate::sign::{SignatureHeaders, check_secret, sign, verify};

/// In the first line a notify secret, after it the headers of a callback that claims to be signed with it.
pub fn secret(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (first_line, rest) = text.split_once('\n').unwrap_or((&text, ""));
    let secret = Secret::new(first_line);
    let now = Timestamp::from_millis(1_700_000_000_000);
    let forged = SignatureHeaders { id: rest, timestamp: rest, signature: rest };
    assert!(verify(&secret, forged, data, now).is_err(), "nobody guesses a signature");
    if check_secret(&secret).is_ok() {
        let id: CallbackId = "cb_0123456789abcdef0123456789abcdef".parse().expect("an id");
        let signature = sign(&secret, &id, now, data).expect("the secret can sign");
        let (id, timestamp) = (id.to_string(), now.as_secs().to_string());
        let headers = SignatureHeaders { id: &id, timestamp: &timestamp, signature: &signature };
        assert!(verify(&secret, headers, data, now).is_ok(), "what was signed is verified");
    }
}

/// The `Retry-After` of a receiver's answer.
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
