//! Alibaba Cloud's Object Storage Service.

use opendal::{Operator, services};
use url::Url;

use super::account::{Account, text, wrong};
use crate::StorageError;

pub(super) fn operator(account: &Account<'_>) -> Result<(Operator, Url), StorageError> {
    let endpoint = account.endpoint(|| Ok(endpoint(account.wanted_region("cn-zhangjiakou")?)))?;
    let style = if account.is_path_style(&endpoint) { "path" } else { "virtual" };
    let builder = services::Oss::default()
        .bucket(account.bucket)
        .endpoint(text(&endpoint))
        .addressing_style(style)
        .presign_addressing_style(style)
        .access_key_id(account.access_key)
        .access_key_secret(account.secret_word()?);
    Ok((Operator::new(builder).map_err(|error| wrong("bucket", error.message()))?, endpoint))
}

/// The vendor's rule; a region may be written as in its console (`cn-zhangjiakou`) or as in its
/// endpoints (`oss-cn-zhangjiakou`)
/// (<https://help.aliyun.com/zh/oss/user-guide/regions-and-endpoints>).
fn endpoint(region: &str) -> String {
    format!("https://oss-{}.aliyuncs.com", region.strip_prefix("oss-").unwrap_or(region))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("cn-zhangjiakou", "https://oss-cn-zhangjiakou.aliyuncs.com")]
    #[case("oss-cn-zhangjiakou", "https://oss-cn-zhangjiakou.aliyuncs.com")]
    #[case("cn-hangzhou", "https://oss-cn-hangzhou.aliyuncs.com")]
    #[case("cn-hangzhou-internal", "https://oss-cn-hangzhou-internal.aliyuncs.com")]
    #[case("ap-southeast-1", "https://oss-ap-southeast-1.aliyuncs.com")]
    #[case("eu-central-1", "https://oss-eu-central-1.aliyuncs.com")]
    #[case("accelerate", "https://oss-accelerate.aliyuncs.com")]
    fn endpoints(#[case] region: &str, #[case] url: &str) {
        assert_eq!(endpoint(region), url);
    }
}
