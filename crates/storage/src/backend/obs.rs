//! Huawei Cloud's Object Storage Service.

use opendal::{Operator, services};
use url::Url;

use super::account::{Account, text, wrong};
use crate::StorageError;

pub(super) fn operator(account: &Account<'_>) -> Result<(Operator, Url), StorageError> {
    account.refuse_path_style()?;
    let endpoint = account.endpoint(|| Ok(endpoint(account.wanted_region("cn-north-4")?)))?;
    let builder = services::Obs::default()
        .bucket(account.bucket)
        .endpoint(text(&endpoint))
        .access_key_id(account.access_key)
        .secret_access_key(account.secret_word()?);
    Ok((Operator::new(builder).map_err(|error| wrong("bucket", error.message()))?, endpoint))
}

/// The vendor's rule; its European cloud has a domain of its own
/// (<https://developer.huaweicloud.com/endpoint?OBS>).
fn endpoint(region: &str) -> String {
    let domain = if region.starts_with("eu-west-1") { "myhuaweicloud.eu" } else { "myhuaweicloud.com" };
    format!("https://obs.{region}.{domain}")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("cn-north-4", "https://obs.cn-north-4.myhuaweicloud.com")]
    #[case("cn-east-3", "https://obs.cn-east-3.myhuaweicloud.com")]
    #[case("ap-southeast-1", "https://obs.ap-southeast-1.myhuaweicloud.com")]
    #[case("la-south-2", "https://obs.la-south-2.myhuaweicloud.com")]
    #[case("eu-west-101", "https://obs.eu-west-101.myhuaweicloud.eu")]
    fn endpoints(#[case] region: &str, #[case] url: &str) {
        assert_eq!(endpoint(region), url);
    }
}
