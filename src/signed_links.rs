//! Signed links to objects of `file` storages.
//!
//! What is signed is a storage, a time, and what keys begin with, so that one link opens a playlist
//! together with its segments. It stands in the path, not in a query: what a playlist refers to is
//! found beside it, under the same signature.

use std::time::Duration;

use hmac::{Hmac, Mac as _};
use model::{StorageId, Timestamp};
use sha2::Sha256;

/// Signs links, and knows its own signatures.
pub(crate) struct Links {
    key: [u8; 32],
}

impl Links {
    /// With the key of this installation.
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// The part of a path that opens every key of a storage that begins with `scope`, until `end`.
    pub(crate) fn sign(&self, storage: &StorageId, scope: &str, end: Timestamp) -> String {
        let (end, length) = (end.as_secs(), scope.len());
        format!("@{end}-{length}-{}", hex::encode(self.mac(storage, scope, end).finalize().into_bytes()))
    }

    /// Whether this part of a path opens this key now.
    pub(crate) fn opens(&self, part: &str, storage: &StorageId, key: &str, now: Timestamp) -> bool {
        self.scope(part, storage, key, now).is_some()
    }

    fn scope<'k>(&self, part: &str, storage: &StorageId, key: &'k str, now: Timestamp) -> Option<&'k str> {
        let mut parts = part.strip_prefix('@')?.splitn(3, '-');
        let (end, length, signature) = (parts.next()?, parts.next()?, parts.next()?);
        let end: i64 = end.parse().ok()?;
        let scope = key.get(..length.parse().ok()?)?;
        self.mac(storage, scope, end).verify_slice(&hex::decode(signature).ok()?).ok()?;
        (now.as_secs() < end).then_some(scope)
    }

    fn mac(&self, storage: &StorageId, scope: &str, end: i64) -> Hmac<Sha256> {
        let mut mac = Hmac::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        // an id has a fixed form and a number no newline: no two links have the same text
        mac.update(format!("{storage}\n{end}\n{scope}").as_bytes());
        mac
    }
}

/// The longest a link may be good for.
pub(crate) const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

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
        let (links, storage) = (Links::new([7; 32]), id("0123456789abcdef"));
        let part = links.sign(&storage, "a/é.", LATER);
        let opens = |key: &str| links.opens(&part, &storage, key, NOON);
        assert!(opens("a/é.m3u8") && opens("a/é.hls/720p/1.ts"));
        for key in ["a/e.m3u8", "a/", "", "b/é.m3u8", "a/è.m3u8"] {
            assert!(!opens(key), "{key}");
        }
        assert!(!links.opens(&part, &storage, "a/é.m3u8", LATER), "its time is over");
        assert!(!links.opens(&part, &id("0123456789abcdee"), "a/é.m3u8", NOON), "another storage");
        assert!(!Links::new([8; 32]).opens(&part, &storage, "a/é.m3u8", NOON), "another key");
    }

    #[test]
    fn what_is_not_a_signature_opens_nothing() {
        let (links, storage) = (Links::new([7; 32]), id("0123456789abcdef"));
        let good = links.sign(&storage, "a.mp4", LATER);
        let longer = good.replacen("@1", "@2", 1);
        for part in
            ["", "@", "@--", "@1750000060-5-", "@x-5-00", &longer, &good[1..], &good[..good.len() - 1]]
        {
            assert!(!links.opens(part, &storage, "a.mp4", NOON), "{part}");
        }
    }
}
