//! Tencent Cloud's Object Storage. A bucket's name ends in the account's number
//! (`videos-1250000000`).

use opendal::{Operator, services};
use url::Url;

use super::account::{Account, OBJECT_FIELDS, bad_field, endpoint_text};
use crate::error::StorageError;

pub(super) fn operator(account: &Account<'_>) -> Result<(Operator, Url), StorageError> {
    account.require_no_path_style()?;
    account.require_unset(OBJECT_FIELDS)?;
    let endpoint = account.endpoint(|| Ok(vendor_endpoint(account.required_region("ap-guangzhou")?)))?;
    let builder = services::Cos::default()
        .bucket(account.bucket)
        .endpoint(endpoint_text(&endpoint))
        .secret_id(account.access_key)
        .secret_key(account.secret_word()?)
        .disable_config_load();
    Ok((Operator::new(builder).map_err(|error| bad_field("bucket", error.message()))?, endpoint))
}

/// The vendor's rule (<https://cloud.tencent.com/document/product/436/6224>).
fn vendor_endpoint(region: &str) -> String {
    format!("https://cos.{region}.myqcloud.com")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The list of <https://cloud.tencent.com/document/product/436/6224>, and the two names of its
    /// acceleration.
    const REGIONS: &[&str] = &[
        "ap-beijing-1",
        "ap-beijing",
        "ap-nanjing",
        "ap-shanghai",
        "ap-guangzhou",
        "ap-chengdu",
        "ap-chongqing",
        "ap-beijing-fsi",
        "ap-shanghai-fsi",
        "ap-shenzhen-fsi",
        "ap-hongkong",
        "ap-singapore",
        "ap-jakarta",
        "ap-seoul",
        "ap-bangkok",
        "ap-tokyo",
        "na-siliconvalley",
        "na-ashburn",
        "sa-saopaulo",
        "eu-frankfurt",
        "accelerate",
        "accelerate-overseas",
    ];

    #[test]
    fn endpoints() {
        for region in REGIONS {
            assert_eq!(vendor_endpoint(region), format!("https://cos.{region}.myqcloud.com"));
        }
    }
}
