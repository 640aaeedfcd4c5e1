//! Buckets that are reached by network: what all kinds have in common.

use std::{cell::Cell, ops::ControlFlow, time::Duration};

use futures::TryStreamExt as _;
use model::{ErrorCode, Storage, StorageType};
use opendal::{HttpTransporter, OperationContext, Operator};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{account::Account, azblob, cos, gcs, obs, oss, s3};
use crate::{
    error::StorageError,
    transport::{
        HostOverride, LISTING_REQUESTS_LEFT, MAX_LISTING_REQUESTS, Quirks, Transport, TransportConfig,
        encode_as_s3_signs, now,
    },
};

/// The size of a part of a multipart upload, in bytes, unless the object would have too many; every vendor
/// takes 5 MiB and more.
const MIN_PART_BYTES: u64 = 8 << 20;

/// The most parts of an upload: S3's limit, the smallest of all vendors'.
const MAX_PARTS: u64 = 10_000;

/// Parts that are sent at once. Memory holds these, one that waits and one that is being filled.
pub(crate) const CONCURRENT_PARTS: usize = 4;

/// What is encoded in the path of a URL: all but unreserved characters (RFC 3986, 2.3) and the slash.
const ENCODED_IN_PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// A bucket that is reached by network.
#[derive(Clone)]
pub(crate) struct RemoteBucket {
    operator: Operator,
    presigner: Presigner,
    host_override: Option<HostOverride>,
}

/// What presigns URLs.
#[derive(Clone)]
enum Presigner {
    /// opendal.
    Operator,
    /// opendal, given a key that is percent-encoded already: for Google's JSON interface it does not encode
    /// it.
    OperatorWithEncodedKey,
    /// Our own.
    Azblob(azblob::SasSigner),
}

impl RemoteBucket {
    /// Nothing is connected to yet.
    pub(crate) fn open(storage: &Storage, config: &TransportConfig) -> Result<Self, StorageError> {
        let account = Account::from_storage(storage)?;
        let ((operator, endpoint), presigner) = match storage.kind {
            StorageType::S3 => (s3::operator(&account)?, Presigner::Operator),
            StorageType::Oss => (oss::operator(&account)?, Presigner::Operator),
            StorageType::Cos => (cos::operator(&account)?, Presigner::Operator),
            StorageType::Obs => (obs::operator(&account)?, Presigner::Operator),
            StorageType::Gcs if gcs::is_key_file(account.secret_key) => {
                (gcs::operator(&account)?, Presigner::OperatorWithEncodedKey)
            }
            StorageType::Gcs => (gcs::operator(&account)?, Presigner::Operator),
            StorageType::Azblob => {
                let (operator, endpoint, signer) = azblob::operator(&account)?;
                ((operator, endpoint), Presigner::Azblob(signer))
            }
            StorageType::File => {
                let problem = "type: `file` is a folder, and is not reached by network";
                return Err(StorageError::permanent(ErrorCode::BadParam, problem));
            }
        };
        config.client.guard().check_url(&endpoint).map_err(|problem| {
            StorageError::permanent(ErrorCode::BadParam, format!("endpoint: {problem}"))
        })?;
        let mut quirks = Quirks::default();
        match storage.kind {
            StorageType::Obs => {
                quirks.host_override = Some(obs::host_override(&storage.bucket, &endpoint)?);
            }
            StorageType::Gcs => {
                quirks.host_override = gcs::token_host_override(&endpoint);
                if gcs::is_key_file(account.secret_key) {
                    quirks.token_cache = Some(gcs::token_cache());
                }
            }
            StorageType::S3 => quirks.part_signer = s3::part_signer(&account, &endpoint)?,
            StorageType::Oss | StorageType::Cos | StorageType::Azblob | StorageType::File => {}
        }
        let host_override = quirks.host_override.clone();
        let transport = Transport::new(config.clone(), storage.uri(""), quirks);
        let context = OperationContext::new().with_http_transport(HttpTransporter::new(transport));
        Ok(Self { operator: operator.with_context(context), presigner, host_override })
    }

    pub(crate) fn operator(&self) -> &Operator {
        &self.operator
    }

    /// The operator's path of a key; else why this kind of object store cannot have the key.
    pub(crate) fn path(&self, key: &str) -> Result<String, String> {
        if matches!(self.presigner, Presigner::Azblob(_)) && key.contains('\\') {
            return Err("Azure makes a slash of a backslash; leave it out".to_owned());
        }
        // opendal cuts white space off the front of a path, and would use another object
        if key.starts_with(char::is_whitespace) {
            return Err("a key does not begin with white space in this type of storage".to_owned());
        }
        Ok(key.to_owned())
    }

    /// The size of the parts of an object of so many bytes.
    pub(crate) fn part_bytes(size: u64) -> u64 {
        MIN_PART_BYTES.max(size.div_ceil(MAX_PARTS).next_multiple_of(1 << 20))
    }

    /// Calls `visit` with the keys that begin with `prefix`, each with its size in bytes, until it breaks. The
    /// listing is a stranger's: it fails when it has more pages than are followed.
    pub(crate) async fn visit(
        &self,
        prefix: &str,
        visit: &mut (dyn FnMut(&str, u64) -> ControlFlow<()> + Send),
    ) -> opendal::Result<()> {
        let listing = async {
            let mut entries = self.operator.lister_with(prefix).recursive(true).await?;
            while let Some(entry) = entries.try_next().await? {
                // opendal cuts white space off the front of a prefix too, and lists more then
                let is_asked_for = entry.metadata().is_file() && entry.path().starts_with(prefix);
                if is_asked_for && visit(entry.path(), entry.metadata().content_length()).is_break() {
                    break;
                }
            }
            Ok(())
        };
        LISTING_REQUESTS_LEFT.scope(Cell::new(MAX_LISTING_REQUESTS), listing).await
    }

    /// A URL with which anybody may read an object for a while.
    pub(crate) async fn presign(&self, key: &str, valid_for: Duration) -> opendal::Result<String> {
        let encoded_key = utf8_percent_encode(key, ENCODED_IN_PATH).to_string();
        match &self.presigner {
            Presigner::OperatorWithEncodedKey => {
                Ok(self.operator.presign_read(&encoded_key, valid_for).await?.uri().to_string())
            }
            Presigner::Operator => {
                let uri = self.operator.presign_read(key, valid_for).await?.uri().to_string();
                let is_signed_for_s3 = uri.contains("X-Amz-Algorithm=");
                match (uri.parse(), &self.host_override) {
                    (Ok(url), _) if is_signed_for_s3 => Ok(encode_as_s3_signs(url).into()),
                    (Ok(url), Some(host_override)) => Ok(host_override.apply(url).into()),
                    _ => Ok(uri),
                }
            }
            Presigner::Azblob(signer) => Ok(signer.url(key, &encoded_key, valid_for, now())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_large_enough_for_any_size() {
        for (size, part) in [(0, 8 << 20), (2 << 30, 8 << 20), (80 << 30, 9 << 20), (5 << 40, 525 << 20)] {
            assert_eq!(RemoteBucket::part_bytes(size), part, "{size}");
            assert!(size.div_ceil(RemoteBucket::part_bytes(size)) <= MAX_PARTS);
        }
    }
}
