//! Buckets that are reached by network: what all kinds have in common.

use std::time::{Duration, SystemTime};

use futures::{StreamExt as _, TryStreamExt as _};
use model::{ErrorCode, Storage, StorageType};
use opendal::{HttpTransporter, OperationContext, Operator};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{account::Account, azblob, cos, gcs, obs, oss, s3};
use crate::{
    StorageError,
    transport::{Detour, Habits, Transport, Way, strictly_encoded},
};

/// The smallest part of an upload, in bytes; every vendor takes 5 MiB and more.
const PART: u64 = 8 << 20;

/// The most parts of an upload: S3's limit, the smallest of all.
const MOST_PARTS: u64 = 10_000;

/// Parts in flight at once; memory is a part for each, one that waits and one that fills.
pub(crate) const PARTS_AT_ONCE: usize = 4;

/// What stays as it is in the path of a URL (RFC 3986, 2.3), and the slash.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// A bucket that is reached by network.
#[derive(Clone)]
pub(crate) struct Remote {
    operator: Operator,
    signing: Signing,
    detour: Option<Detour>,
}

/// Who signs URLs.
#[derive(Clone)]
enum Signing {
    Operator,
    /// opendal, given a key that is percent-encoded: Google's JSON interface does not do it.
    OperatorEncoded,
    Azblob(azblob::Signer),
}

impl Remote {
    /// Nothing is connected to yet.
    pub(crate) fn open(storage: &Storage, way: &Way) -> Result<Self, StorageError> {
        let account = Account::of(storage)?;
        let ((operator, endpoint), signing) = match storage.kind {
            StorageType::S3 => (s3::operator(&account)?, Signing::Operator),
            StorageType::Oss => (oss::operator(&account)?, Signing::Operator),
            StorageType::Cos => (cos::operator(&account)?, Signing::Operator),
            StorageType::Obs => (obs::operator(&account)?, Signing::Operator),
            StorageType::Gcs if gcs::is_key_file(account.secret_key) => {
                (gcs::operator(&account)?, Signing::OperatorEncoded)
            }
            StorageType::Gcs => (gcs::operator(&account)?, Signing::Operator),
            StorageType::Azblob => {
                let (operator, endpoint, signer) = azblob::operator(&account)?;
                ((operator, endpoint), Signing::Azblob(signer))
            }
            StorageType::File => {
                return Err(StorageError::lasting(ErrorCode::BadParam, "type: `file` is no remote store"));
            }
        };
        way.client
            .guard()
            .check(&endpoint)
            .map_err(|problem| StorageError::lasting(ErrorCode::BadParam, format!("endpoint: {problem}")))?;
        let detour = match storage.kind {
            StorageType::Obs => Some(obs::detour(&storage.bucket, &endpoint)?),
            StorageType::Gcs => gcs::detour(&endpoint),
            _ => None,
        };
        let parts = match storage.kind {
            StorageType::S3 => s3::part_signer(&account, &endpoint)?,
            _ => None,
        };
        let tokens = matches!(signing, Signing::OperatorEncoded).then(gcs::tokens);
        let habits = Habits { detour: detour.clone(), parts, tokens };
        let transport = Transport::new(way.clone(), storage.uri(""), habits);
        let context = OperationContext::new().with_http_transport(HttpTransporter::new(transport));
        Ok(Self { operator: operator.with_context(context), signing, detour })
    }

    pub(crate) fn operator(&self) -> &Operator {
        &self.operator
    }

    /// The operator's path of a key. opendal cuts white space off the front of a path, and would
    /// mean another object then.
    pub(crate) fn path(&self, key: &str) -> Result<String, String> {
        if matches!(self.signing, Signing::Azblob(_)) && key.contains('\\') {
            return Err("Azure makes a slash of a backslash; leave it out".to_owned());
        }
        if key.starts_with(char::is_whitespace) {
            return Err("a key does not begin with white space in this type of storage".to_owned());
        }
        Ok(key.to_owned())
    }

    /// How large the parts of an object are, so that they are not too many.
    pub(crate) fn part_of(size: u64) -> u64 {
        PART.max(size.div_ceil(MOST_PARTS).next_multiple_of(1 << 20))
    }

    /// The keys that begin with `prefix`, at most so many.
    pub(crate) async fn list(&self, prefix: &str, most: usize) -> opendal::Result<Vec<String>> {
        let entries = self.operator.lister_with(prefix).recursive(true).await?;
        entries
            .try_filter(|entry| {
                // opendal cuts white space off a prefix too
                std::future::ready(entry.metadata().is_file() && entry.path().starts_with(prefix))
            })
            .map_ok(|entry| entry.path().to_owned())
            .take(most)
            .try_collect()
            .await
    }

    /// A URL with which anybody may read an object for a while.
    pub(crate) async fn sign(&self, key: &str, valid: Duration) -> opendal::Result<String> {
        let encoded = utf8_percent_encode(key, PATH).to_string();
        match &self.signing {
            Signing::OperatorEncoded => {
                Ok(self.operator.presign_read(&encoded, valid).await?.uri().to_string())
            }
            Signing::Operator => {
                let uri = self.operator.presign_read(key, valid).await?.uri().to_string();
                let signed_for_s3 = uri.contains("X-Amz-Algorithm=");
                match (uri.parse(), &self.detour) {
                    (Ok(url), _) if signed_for_s3 => Ok(strictly_encoded(url).into()),
                    (Ok(url), Some(detour)) => Ok(detour.of(url).into()),
                    _ => Ok(uri),
                }
            }
            Signing::Azblob(signer) => Ok(signer.url(key, &encoded, valid, now())),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a store compares the time with its own, not with a test's")]
fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_large_enough_for_any_size() {
        for (size, part) in [(0, 8 << 20), (2 << 30, 8 << 20), (80 << 30, 9 << 20), (5 << 40, 525 << 20)] {
            assert_eq!(Remote::part_of(size), part, "{size}");
            assert!(size.div_ceil(Remote::part_of(size)) <= MOST_PARTS);
        }
    }
}
