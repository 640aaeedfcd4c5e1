//! Signed links to objects of `file` storages.
//!
//! A signature covers a storage, what is opened there and an expiry time: one object, or an object with its
//! folder, so that a playlist and its segments have one link; nothing else whose key begins alike. It stands
//! in the path, not in the query: a player resolves what a playlist refers to relative to the playlist, and
//! so finds it under the same signature.

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

/// What a link opens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkScope<'a> {
    /// The key of an object.
    pub(crate) object: &'a str,
    /// The folder whose objects are opened too, without a slash at its end.
    pub(crate) folder: Option<&'a str>,
}

/// A scope as it is signed: what both keys begin with, which is found again in the key that is opened, and
/// how each goes on.
#[derive(Clone, Copy)]
struct Signed<'a> {
    common: &'a str,
    object_rest: &'a str,
    /// With a slash at its end; empty without a folder.
    folder_rest: &'a str,
}

impl LinkSigner {
    /// With the key of this installation.
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// The segment of a path that opens the scope in a storage until `expires`: `@<seconds since 1970>-<bytes
    /// of the common beginning>-<rest of the object's key>-<rest of the folder's>-<signature>`, the last
    /// three in hex.
    pub(crate) fn sign(&self, storage: &StorageId, scope: LinkScope<'_>, expires: Timestamp) -> String {
        let (expires, folder) = (expires.as_secs(), scope.folder.map(|folder| format!("{folder}/")));
        let signed = match &folder {
            Some(folder) => Signed::of(scope.object, folder),
            None => Signed { common: scope.object, object_rest: "", folder_rest: "" },
        };
        let signature = hex::encode(self.mac(storage, signed, expires).finalize().into_bytes());
        let [object_rest, folder_rest] = [signed.object_rest, signed.folder_rest].map(hex::encode);
        format!("@{expires}-{}-{object_rest}-{folder_rest}-{signature}", signed.common.len())
    }

    /// Whether a segment of a path opens a key now.
    pub(crate) fn verify(&self, segment: &str, storage: &StorageId, key: &str, now: Timestamp) -> bool {
        let Some(link) = Link::parse(segment) else { return false };
        let Some((common, rest)) = key.split_at_checked(link.common_bytes) else { return false };
        let signed = Signed { common, object_rest: &link.object_rest, folder_rest: &link.folder_rest };
        let mac = self.mac(storage, signed, link.expires);
        mac.verify_slice(&link.signature).is_ok() && now.as_secs() < link.expires && signed.opens(rest)
    }

    fn mac(&self, storage: &StorageId, signed: Signed<'_>, expires: i64) -> Hmac<Sha256> {
        let mut mac = Hmac::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        let Signed { common, object_rest, folder_rest } = signed;
        // the lengths make it unambiguous, whatever is in a key
        let lengths = format!("{storage} {expires} {} {} ", object_rest.len(), folder_rest.len());
        for part in [lengths.as_str(), object_rest, folder_rest, common] {
            mac.update(part.as_bytes());
        }
        mac
    }
}

impl<'a> Signed<'a> {
    /// `a/cat.m3u8` with `a/cat.hls/`: both begin with `a/cat.`.
    fn of(object: &'a str, folder: &'a str) -> Self {
        let differ = object.char_indices().zip(folder.chars()).find(|((_, one), other)| one != other);
        let common_bytes = differ.map_or(object.len().min(folder.len()), |((at, _), _)| at);
        let (common, object_rest) = object.split_at(common_bytes);
        Self { common, object_rest, folder_rest: &folder[common_bytes..] }
    }

    /// Whether what follows the common beginning is the object or lies in the folder.
    fn opens(&self, rest: &str) -> bool {
        rest == self.object_rest
            || !self.folder_rest.is_empty()
                && rest.strip_prefix(self.folder_rest).is_some_and(|below| !below.is_empty())
    }
}

/// The parts of a link, not verified yet.
struct Link {
    expires: i64,
    common_bytes: usize,
    object_rest: String,
    folder_rest: String,
    signature: Vec<u8>,
}

impl Link {
    fn parse(segment: &str) -> Option<Self> {
        let mut parts = segment.strip_prefix('@')?.splitn(5, '-');
        let expires = parts.next()?.parse().ok()?;
        let common_bytes = parts.next()?.parse().ok()?;
        let mut text = || String::from_utf8(hex::decode(parts.next()?).ok()?).ok();
        let (object_rest, folder_rest) = (text()?, text()?);
        let signature = hex::decode(parts.next()?).ok()?;
        Some(Self { expires, common_bytes, object_rest, folder_rest, signature })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const NOON: Timestamp = Timestamp::from_millis(1_750_000_000_000);
    const LATER: Timestamp = Timestamp::from_millis(1_750_000_060_000);

    fn id(text: &str) -> StorageId {
        text.parse().expect("an id")
    }

    #[rstest]
    #[case::single_file("a", None, &["a"], &["ab", "a.mp4", "a/b", "a.files/1", "", "b"])]
    #[case::with_thumbnails(
        "a/é.mp4",
        Some("a/é.mp4.files"),
        &["a/é.mp4", "a/é.mp4.files/thumbnails/1.jpg"],
        &["a/é.mp4x", "a/é.mp4.files", "a/é.mp4.files/", "a/é.mp4.files2/1.jpg", "a/é"]
    )]
    #[case::segmented(
        "a/cat.m3u8",
        Some("a/cat.hls"),
        &["a/cat.m3u8", "a/cat.hls/720p/1.ts", "a/cat.hls/manifest.mpd"],
        &["a/cat.mp4", "a/cat.hls2/1.ts", "a/cat.hls", "a/cat.hls/", "a/cat.", "a/cat.m3u8/x", "a/cab.m3u8"]
    )]
    #[case::a_key_that_goes_on_as_the_folder("cat.h.m3u8", Some("cat.h.hls"), &["cat.h.hls/1.ts"], &["cat.hls/1.ts"])]
    fn a_link_opens_an_object_and_its_folder_and_nothing_that_begins_alike(
        #[case] object: &str,
        #[case] folder: Option<&str>,
        #[case] opened: &[&str],
        #[case] closed: &[&str],
    ) {
        let (signer, storage) = (LinkSigner::new([7; 32]), id("0123456789abcdef"));
        let segment = signer.sign(&storage, LinkScope { object, folder }, LATER);
        for key in opened {
            assert!(signer.verify(&segment, &storage, key, NOON), "{key}");
            assert!(!signer.verify(&segment, &storage, key, LATER), "it has expired");
            assert!(!signer.verify(&segment, &id("0123456789abcdee"), key, NOON), "another storage");
            assert!(!LinkSigner::new([8; 32]).verify(&segment, &storage, key, NOON), "another key");
        }
        for key in closed {
            assert!(!signer.verify(&segment, &storage, key, NOON), "{key}");
        }
    }

    #[test]
    fn what_is_not_a_signature_opens_nothing() {
        let (signer, storage) = (LinkSigner::new([7; 32]), id("0123456789abcdef"));
        let good = signer.sign(&storage, LinkScope { object: "a.mp4", folder: None }, LATER);
        let longer = good.replacen("@1", "@2", 1);
        // what was signed as an object is no folder, and less of the key is another key
        let wider = good.replacen("-5---", "-1--2e-", 1);
        assert_ne!(wider, good);
        for segment in [
            "",
            "@",
            "@----",
            "@1750000060-5---",
            "@x-5---00",
            &wider,
            &longer,
            &good[1..],
            &good[..good.len() - 1],
        ] {
            assert!(!signer.verify(segment, &storage, "a.mp4", NOON), "{segment}");
        }
    }
}
