//! Tencent Cloud's Object Storage. A bucket's name ends in the account's number
//! (`videos-1250000000`).

use opendal::{Operator, services};
use url::Url;

use super::account::{Account, text, wrong};
use crate::StorageError;

pub(super) fn operator(account: &Account<'_>) -> Result<(Operator, Url), StorageError> {
    account.refuse_path_style()?;
    let endpoint = account.endpoint(|| Ok(endpoint(account.wanted_region("ap-guangzhou")?)))?;
    let builder = services::Cos::default()
        .bucket(account.bucket)
        .endpoint(text(&endpoint))
        .secret_id(account.access_key)
        .secret_key(account.secret_word()?)
        .disable_config_load();
    Ok((Operator::new(builder).map_err(|error| wrong("bucket", error.message()))?, endpoint))
}

/// The vendor's rule (<https://cloud.tencent.com/document/product/436/6224>).
fn endpoint(region: &str) -> String {
    format!("https://cos.{region}.myqcloud.com")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("ap-guangzhou", "https://cos.ap-guangzhou.myqcloud.com")]
    #[case("ap-beijing-1", "https://cos.ap-beijing-1.myqcloud.com")]
    #[case("ap-shanghai-fsi", "https://cos.ap-shanghai-fsi.myqcloud.com")]
    #[case("na-siliconvalley", "https://cos.na-siliconvalley.myqcloud.com")]
    #[case("eu-frankfurt", "https://cos.eu-frankfurt.myqcloud.com")]
    #[case("accelerate", "https://cos.accelerate.myqcloud.com")]
    fn endpoints(#[case] region: &str, #[case] url: &str) {
        assert_eq!(endpoint(region), url);
    }
}
