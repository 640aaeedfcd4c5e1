//! Signed links to objects of `file` storages.
//!
//! A signature covers a storage, a prefix of keys and an expiry time, so that one link opens a playlist
//! together with its segments. It stands in the path, not in the query: a player resolves what a
//! playlist refers to relative to the playlist, and so finds it under the same signature.

use std::time::Duration;

use hmac::{Hmac, Mac as _};
use model::{StorageId, Timestamp};
use sha2::Sha256;

/// The longest that a link may be valid.
pub(crate) const MAX_VALIDITY: Duration = Duration::from_secs(7 * 24 * 3600);

/// Signs links and verifies them (HMAC-SHA256).
pub(crate) struct LinkSigner {
    key: [u8; 32],
}

impl LinkSigner {
    /// With the key of this installation.
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// The segment of a path that opens every key of a storage that begins with `prefix`, until
    /// `expires`: `@<seconds since 1970>-<bytes of the prefix>-<signature in hex>`.
    pub(crate) fn sign(&self, storage: &StorageId, prefix: &str, expires: Timestamp) -> String {
        let expires = expires.as_secs();
        let signature = hex::encode(self.mac(storage, prefix, expires).finalize().into_bytes());
        format!("@{expires}-{}-{signature}", prefix.len())
    }

    /// Whether a segment of a path opens a key now.
    pub(crate) fn verify(&self, segment: &str, storage: &StorageId, key: &str, now: Timestamp) -> bool {
        let Some(link) = Link::parse(segment) else { return false };
        let Some(prefix) = key.get(..link.prefix_bytes) else { return false };
        let mac = self.mac(storage, prefix, link.expires);
        mac.verify_slice(&link.signature).is_ok() && now.as_secs() < link.expires
    }

    fn mac(&self, storage: &StorageId, prefix: &str, expires: i64) -> Hmac<Sha256> {
        let mut mac = Hmac::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        // unambiguous: an id has a fixed form, and a number has no newline
        mac.update(format!("{storage}\n{expires}\n{prefix}").as_bytes());
        mac
    }
}

/// The parts of a link, not verified yet.
struct Link {
    expires: i64,
    prefix_bytes: usize,
    signature: Vec<u8>,
}

impl Link {
    fn parse(segment: &str) -> Option<Self> {
        let mut parts = segment.strip_prefix('@')?.splitn(3, '-');
        let expires = parts.next()?.parse().ok()?;
        let prefix_bytes = parts.next()?.parse().ok()?;
        let signature = hex::decode(parts.next()?).ok()?;
        Some(Self { expires, prefix_bytes, signature })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_millis(1_750_000_000_000);
    const LATER: Timestamp = Timestamp::from_millis(1_750_000_060_000);

    fn id(text: &str) -> StorageId {
        text.parse().expect("an id")
    }

    #[test]
    fn a_link_opens_what_it_was_signed_for_and_nothing_else() {
        let (signer, storage) = (LinkSigner::new([7; 32]), id("0123456789abcdef"));
        let segment = signer.sign(&storage, "a/é.", LATER);
        let opens = |key: &str| signer.verify(&segment, &storage, key, NOON);
        assert!(opens("a/é.m3u8") && opens("a/é.hls/720p/1.ts"));
        for key in ["a/e.m3u8", "a/", "", "b/é.m3u8", "a/è.m3u8"] {
            assert!(!opens(key), "{key}");
        }
        assert!(!signer.verify(&segment, &storage, "a/é.m3u8", LATER), "it has expired");
        assert!(!signer.verify(&segment, &id("0123456789abcdee"), "a/é.m3u8", NOON), "another storage");
        assert!(!LinkSigner::new([8; 32]).verify(&segment, &storage, "a/é.m3u8", NOON), "another key");
    }

    #[test]
    fn what_is_not_a_signature_opens_nothing() {
        let (signer, storage) = (LinkSigner::new([7; 32]), id("0123456789abcdef"));
        let good = signer.sign(&storage, "a.mp4", LATER);
        let longer = good.replacen("@1", "@2", 1);
        for segment in
            ["", "@", "@--", "@1750000060-5-", "@x-5-00", &longer, &good[1..], &good[..good.len() - 1]]
        {
            assert!(!signer.verify(segment, &storage, "a.mp4", NOON), "{segment}");
        }
    }
}
