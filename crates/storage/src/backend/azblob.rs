//! Azure Blob Storage. The access key is the account's name, the secret key one of its keys, the
//! bucket a container.

use std::time::{Duration, SystemTime};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, Mac as _};
use opendal::{Operator, services};
use sha2::Sha256;
use url::Url;

use super::account::{Account, OBJECT_FIELDS, bad_field, endpoint_text};
use crate::error::StorageError;

/// The `x-ms-version` that signed URLs are made for.
const API_VERSION: &str = "2022-11-02";

pub(super) fn operator(account: &Account<'_>) -> Result<(Operator, Url, SasSigner), StorageError> {
    account.require_no_path_style()?;
    account.require_unset(OBJECT_FIELDS)?;
    let endpoint = account.endpoint(|| Ok(vendor_endpoint(account.access_key, account.region)))?;
    let key = account.secret_word()?;
    let signer = SasSigner {
        account: account.access_key.to_owned(),
        key: BASE64_STANDARD
            .decode(key)
            .map_err(|_| bad_field("storage_sk", "is not the base64 of an account's key"))?,
        container_url: format!("{}/{}", endpoint_text(&endpoint), account.bucket),
        container: account.bucket.to_owned(),
    };
    let builder = services::Azblob::default()
        .container(account.bucket)
        .endpoint(endpoint_text(&endpoint))
        .account_name(account.access_key)
        .account_key(key);
    let operator = Operator::new(builder).map_err(|error| bad_field("bucket", error.message()))?;
    Ok((operator, endpoint, signer))
}

/// The vendor's rule for endpoints: a region matters only for the clouds that are apart
/// (<https://learn.microsoft.com/azure/storage/common/storage-account-overview>).
fn vendor_endpoint(account: &str, region: &str) -> String {
    let domain = if region.starts_with("china") {
        "core.chinacloudapi.cn"
    } else if region.starts_with("usgov") || region.starts_with("usdod") {
        "core.usgovcloudapi.net"
    } else {
        "core.windows.net"
    };
    format!("https://{account}.blob.{domain}")
}

/// Signs URLs of single objects, for reading alone and for a limited time: a service SAS
/// (<https://learn.microsoft.com/rest/api/storageservices/create-service-sas>). opendal's own signer
/// ignores the time limit.
#[derive(Clone)]
pub(super) struct SasSigner {
    account: String,
    key: Vec<u8>,
    container_url: String,
    container: String,
}

impl SasSigner {
    /// The URL of an object, given its key and its key percent-encoded.
    pub(super) fn url(&self, key: &str, encoded_key: &str, valid_for: Duration, now: SystemTime) -> String {
        let expiry = iso_8601(now + valid_for);
        let resource = format!("/blob/{}/{}/{key}", self.account, self.container);
        // empty lines are fields that are not used: the start, the identifier, the IP range, and at the end
        // the snapshot, the encryption scope and five headers of the answer
        let text = format!("r\n\n{expiry}\n{resource}\n\n\nhttps,http\n{API_VERSION}\nb\n\n\n\n\n\n\n");
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(text.as_bytes());
        let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("sv", API_VERSION)
            .append_pair("spr", "https,http")
            .append_pair("se", &expiry)
            .append_pair("sr", "b")
            .append_pair("sp", "r")
            .append_pair("sig", &signature)
            .finish();
        format!("{}/{encoded_key}?{query}", self.container_url)
    }
}

/// A time as a SAS writes it, in whole seconds.
fn iso_8601(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let time = i64::try_from(seconds).ok().and_then(|seconds| chrono::DateTime::from_timestamp(seconds, 0));
    time.unwrap_or_default().format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("", "https://acc.blob.core.windows.net")]
    #[case("westeurope", "https://acc.blob.core.windows.net")]
    #[case("eastus2", "https://acc.blob.core.windows.net")]
    #[case("japaneast", "https://acc.blob.core.windows.net")]
    #[case("chinaeast", "https://acc.blob.core.chinacloudapi.cn")]
    #[case("chinaeast2", "https://acc.blob.core.chinacloudapi.cn")]
    #[case("chinaeast3", "https://acc.blob.core.chinacloudapi.cn")]
    #[case("chinanorth", "https://acc.blob.core.chinacloudapi.cn")]
    #[case("chinanorth2", "https://acc.blob.core.chinacloudapi.cn")]
    #[case("chinanorth3", "https://acc.blob.core.chinacloudapi.cn")]
    #[case("usgovvirginia", "https://acc.blob.core.usgovcloudapi.net")]
    #[case("usgovtexas", "https://acc.blob.core.usgovcloudapi.net")]
    #[case("usgovarizona", "https://acc.blob.core.usgovcloudapi.net")]
    #[case("usdodeast", "https://acc.blob.core.usgovcloudapi.net")]
    #[case("usdodcentral", "https://acc.blob.core.usgovcloudapi.net")]
    fn endpoints(#[case] region: &str, #[case] url: &str) {
        assert_eq!(vendor_endpoint("acc", region), url);
    }

    #[test]
    fn times() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_750_000_000);
        assert_eq!(iso_8601(time), "2025-06-15T15:06:40Z");
    }
}
