//! Alibaba Cloud's Object Storage Service.

use opendal::{Operator, services};
use url::Url;

use super::account::{Account, ServerSideEncryption, bad_field, endpoint_text};
use crate::error::StorageError;

pub(super) fn operator(account: &Account<'_>) -> Result<(Operator, Url), StorageError> {
    account.require_unset(&["storage_class", "acl"])?;
    let endpoint = account.endpoint(|| Ok(vendor_endpoint(account.required_region("cn-zhangjiakou")?)))?;
    let style = if account.is_path_style(&endpoint) { "path" } else { "virtual" };
    let builder = services::Oss::default()
        .bucket(account.bucket)
        .endpoint(endpoint_text(&endpoint))
        .addressing_style(style)
        .presign_addressing_style(style)
        .access_key_id(account.access_key)
        .access_key_secret(account.secret_word()?);
    let builder = match account.encryption(&["AES256", "KMS", "SM4"])? {
        None => builder,
        Some(ServerSideEncryption { algorithm, key: None }) => builder.server_side_encryption(algorithm),
        Some(ServerSideEncryption { algorithm, key: Some(key) }) => {
            builder.server_side_encryption(algorithm).server_side_encryption_key_id(key)
        }
    };
    Ok((Operator::new(builder).map_err(|error| bad_field("bucket", error.message()))?, endpoint))
}

/// The vendor's rule; a region may be written as in its console (`cn-zhangjiakou`) or as in its
/// endpoints (`oss-cn-zhangjiakou`)
/// (<https://help.aliyun.com/zh/oss/user-guide/regions-and-endpoints>).
fn vendor_endpoint(region: &str) -> String {
    format!("https://oss-{}.aliyuncs.com", region.strip_prefix("oss-").unwrap_or(region))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// The list of <https://www.alibabacloud.com/help/en/oss/user-guide/regions-and-endpoints>.
    const REGIONS: &[&str] = &[
        "cn-hangzhou",
        "cn-shanghai",
        "cn-nanjing",
        "cn-fuzhou",
        "cn-wuhan-lr",
        "cn-qingdao",
        "cn-beijing",
        "cn-zhangjiakou",
        "cn-huhehaote",
        "cn-wulanchabu",
        "cn-shenzhen",
        "cn-heyuan",
        "cn-guangzhou",
        "cn-chengdu",
        "cn-zhongwei",
        "cn-hongkong",
        "ap-northeast-1",
        "ap-northeast-2",
        "ap-southeast-1",
        "ap-southeast-3",
        "ap-southeast-5",
        "ap-southeast-6",
        "ap-southeast-7",
        "eu-central-1",
        "eu-west-1",
        "us-west-1",
        "us-east-1",
        "na-south-1",
        "me-east-1",
        "me-central-1",
    ];

    #[test]
    fn endpoints() {
        for region in REGIONS {
            let url = format!("https://oss-{region}.aliyuncs.com");
            assert_eq!(
                (vendor_endpoint(region), vendor_endpoint(&format!("oss-{region}"))),
                (url.clone(), url)
            );
        }
    }

    #[rstest]
    #[case("cn-hangzhou-internal", "https://oss-cn-hangzhou-internal.aliyuncs.com")]
    #[case("rg-china-mainland", "https://oss-rg-china-mainland.aliyuncs.com")]
    #[case("accelerate", "https://oss-accelerate.aliyuncs.com")]
    #[case("accelerate-overseas", "https://oss-accelerate-overseas.aliyuncs.com")]
    fn endpoints_that_are_no_regions(#[case] region: &str, #[case] url: &str) {
        assert_eq!(vendor_endpoint(region), url);
    }
}
