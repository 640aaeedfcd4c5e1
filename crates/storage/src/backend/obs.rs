//! Huawei Cloud's Object Storage Service.

use opendal::{Operator, services};
use url::Url;

use super::account::{Account, OBJECT_FIELDS, bad_field};
use crate::{error::StorageError, transport::HostOverride};

pub(super) fn operator(account: &Account<'_>) -> Result<(Operator, Url), StorageError> {
    account.require_no_path_style()?;
    account.require_unset(OBJECT_FIELDS)?;
    let endpoint = account.endpoint(|| Ok(vendor_endpoint(account.required_region("cn-north-4")?)))?;
    let builder = services::Obs::default()
        .bucket(account.bucket)
        .endpoint(KNOWN_ENDPOINT)
        .access_key_id(account.access_key)
        .secret_access_key(account.secret_word()?);
    Ok((Operator::new(builder).map_err(|error| bad_field("bucket", error.message()))?, endpoint))
}

/// An endpoint that opendal knows. It would take every other one, those in Europe too, for a domain of the
/// bucket's own, sign for that, and lose its port; so opendal is given this one, and [`host_override`]
/// leads to the right one.
const KNOWN_ENDPOINT: &str = "https://obs.cn-north-4.myhuaweicloud.com";

/// From the host that opendal sends to, to the bucket's. The signature does not cover the host.
pub(super) fn host_override(bucket: &str, endpoint: &Url) -> Result<HostOverride, StorageError> {
    let mut to = endpoint.clone();
    to.set_host(Some(&format!("{bucket}.{}", endpoint.host_str().unwrap_or_default())))
        .map_err(|error| bad_field("endpoint", format!("the bucket cannot stand in front of it: {error}")))?;
    Ok(HostOverride { from: format!("{bucket}.obs.cn-north-4.myhuaweicloud.com"), to })
}

/// The vendor's rule; its European cloud has a domain of its own
/// (<https://developer.huaweicloud.com/endpoint?OBS>).
fn vendor_endpoint(region: &str) -> String {
    let domain = if region.starts_with("eu-west-1") { "myhuaweicloud.eu" } else { "myhuaweicloud.com" };
    format!("https://obs.{region}.{domain}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The list of <https://developer.huaweicloud.com/intl/en-us/endpoint?OBS>.
    const REGIONS: &[&str] = &[
        "cn-north-1",
        "cn-north-2",
        "cn-north-4",
        "cn-north-9",
        "cn-east-2",
        "cn-east-3",
        "cn-east-4",
        "cn-east-5",
        "cn-south-1",
        "cn-south-2",
        "cn-south-4",
        "cn-southwest-2",
        "ap-southeast-1",
        "ap-southeast-2",
        "ap-southeast-3",
        "ap-southeast-4",
        "af-south-1",
        "af-north-1",
        "me-east-1",
        "tr-west-1",
        "la-north-2",
        "la-south-2",
        "na-mexico-1",
        "sa-brazil-1",
        "my-kualalumpur-1",
        "ru-northwest-2",
    ];

    #[test]
    fn endpoints() {
        for region in REGIONS {
            assert_eq!(vendor_endpoint(region), format!("https://obs.{region}.myhuaweicloud.com"));
        }
        assert_eq!(vendor_endpoint("eu-west-101"), "https://obs.eu-west-101.myhuaweicloud.eu");
    }
}
