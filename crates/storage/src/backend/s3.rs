//! AWS S3 and every service that speaks its protocol: MinIO, Ceph, R2, B2, Garage, SeaweedFS.
//!
//! Parts carry a checksum that the store verifies: CRC-32C at AWS, where it is kept with the
//! object, and MD5 elsewhere, which all of them know.

use opendal::{Operator, services};
use url::Url;

use super::account::{Account, text, wrong};
use crate::StorageError;

/// The region of services that have none.
const NO_REGION: &str = "us-east-1";

pub(super) fn operator(account: &Account<'_>) -> Result<(Operator, Url), StorageError> {
    let endpoint = account.endpoint(|| endpoint(account.wanted_region("eu-central-1")?))?;
    let region = match account.region {
        "" => region_of(&endpoint).unwrap_or(NO_REGION),
        region => region,
    };
    let checksum = if account.has_endpoint() { "md5" } else { "crc32c" };
    Ok((build(account, &endpoint, region, checksum)?, endpoint))
}

/// An operator for whatever speaks S3.
pub(super) fn build(
    account: &Account<'_>,
    endpoint: &Url,
    region: &str,
    checksum: &str,
) -> Result<Operator, StorageError> {
    let mut builder = services::S3::default()
        .bucket(account.bucket)
        .endpoint(text(endpoint))
        .region(region)
        .access_key_id(account.access_key)
        .secret_access_key(account.secret_word()?)
        .checksum_algorithm(checksum)
        .disable_config_load()
        .disable_ec2_metadata();
    if !account.is_path_style(endpoint) {
        builder = builder.enable_virtual_host_style();
    }
    Operator::new(builder).map_err(|error| wrong("bucket", error.message()))
}

/// AWS's own rule, of all partitions
/// (<https://docs.aws.amazon.com/general/latest/gr/s3.html>).
fn endpoint(region: &str) -> Result<String, StorageError> {
    let domain = match region {
        china if china.starts_with("cn-") => "amazonaws.com.cn",
        _ => "amazonaws.com",
    };
    Ok(format!("https://s3.{region}.{domain}"))
}

/// The region in an endpoint of AWS's that a customer gave.
fn region_of(endpoint: &Url) -> Option<&str> {
    let host = endpoint.host_str()?.strip_suffix(".amazonaws.com")?;
    host.strip_prefix("s3.").or_else(|| host.strip_prefix("s3-")).filter(|region| !region.contains('.'))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("us-east-1", "https://s3.us-east-1.amazonaws.com")]
    #[case("eu-central-1", "https://s3.eu-central-1.amazonaws.com")]
    #[case("ap-southeast-5", "https://s3.ap-southeast-5.amazonaws.com")]
    #[case("us-gov-west-1", "https://s3.us-gov-west-1.amazonaws.com")]
    #[case("cn-northwest-1", "https://s3.cn-northwest-1.amazonaws.com.cn")]
    fn endpoints(#[case] region: &str, #[case] url: &str) {
        assert_eq!(endpoint(region).as_deref(), Ok(url));
    }

    #[rstest]
    #[case("https://s3.eu-west-3.amazonaws.com", Some("eu-west-3"))]
    #[case("https://s3.amazonaws.com", None)]
    #[case("https://minio.example:9000", None)]
    fn a_region_in_an_endpoint(#[case] endpoint: Url, #[case] region: Option<&str>) {
        assert_eq!(region_of(&endpoint), region);
    }
}
