//! Azure Blob Storage. The access key is the account's name, the secret key one of its keys, the
//! bucket a container.

use std::time::{Duration, SystemTime};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, Mac as _};
use opendal::{Operator, services};
use sha2::Sha256;
use url::Url;

use super::account::{Account, OBJECT_FIELDS, text, wrong};
use crate::StorageError;

/// The version of the protocol that signatures are made for.
const VERSION: &str = "2022-11-02";

pub(super) fn operator(account: &Account<'_>) -> Result<(Operator, Url, Signer), StorageError> {
    account.refuse_path_style()?;
    account.refuse(OBJECT_FIELDS)?;
    let endpoint = account.endpoint(|| Ok(endpoint(account.access_key, account.region)))?;
    let key = account.secret_word()?;
    let signer = Signer {
        account: account.access_key.to_owned(),
        key: BASE64_STANDARD
            .decode(key)
            .map_err(|_| wrong("storage_sk", "is not the base64 of an account's key"))?,
        container: format!("{}/{}", text(&endpoint), account.bucket),
        name: account.bucket.to_owned(),
    };
    let builder = services::Azblob::default()
        .container(account.bucket)
        .endpoint(text(&endpoint))
        .account_name(account.access_key)
        .account_key(key);
    let operator = Operator::new(builder).map_err(|error| wrong("bucket", error.message()))?;
    Ok((operator, endpoint, signer))
}

/// The vendor's rule: a region matters only for the clouds that are apart
/// (<https://learn.microsoft.com/azure/storage/common/storage-account-overview>).
fn endpoint(account: &str, region: &str) -> String {
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
/// (<https://learn.microsoft.com/rest/api/storageservices/create-service-sas>). opendal's own
/// ignores the time.
#[derive(Clone)]
pub(super) struct Signer {
    account: String,
    key: Vec<u8>,
    /// The container's URL.
    container: String,
    /// The container's name.
    name: String,
}

impl Signer {
    /// The URL of an object, given its key and its key percent-encoded.
    pub(super) fn url(&self, key: &str, encoded: &str, valid: Duration, now: SystemTime) -> String {
        let expiry = timestamp(now + valid);
        let resource = format!("/blob/{}/{}/{key}", self.account, self.name);
        // the empty lines: start, identifier, address, then snapshot, encryption scope and the
        // five headers of the answer
        let text = format!("r\n\n{expiry}\n{resource}\n\n\nhttps,http\n{VERSION}\nb\n\n\n\n\n\n\n");
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(text.as_bytes());
        let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("sv", VERSION)
            .append_pair("spr", "https,http")
            .append_pair("se", &expiry)
            .append_pair("sr", "b")
            .append_pair("sp", "r")
            .append_pair("sig", &signature)
            .finish();
        format!("{}/{encoded}?{query}", self.container)
    }
}

/// A time in the form of the protocol, in whole seconds.
fn timestamp(time: SystemTime) -> String {
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
        assert_eq!(endpoint("acc", region), url);
    }

    #[test]
    fn times() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_750_000_000);
        assert_eq!(timestamp(time), "2025-06-15T15:06:40Z");
    }
}
