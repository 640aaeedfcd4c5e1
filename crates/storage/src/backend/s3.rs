//! AWS S3 and every service that speaks its protocol: MinIO, Ceph, R2, B2, Garage, SeaweedFS.
//!
//! What is sent carries a checksum that the store verifies: CRC-32C at AWS, where it is kept with
//! the object, and elsewhere MD5, which all of them know; see the transport.

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
    let builder = builder(account, &endpoint, region)?;
    let builder = if account.has_endpoint() { builder } else { builder.checksum_algorithm("crc32c") };
    Ok((finish(builder)?, endpoint))
}

/// For whatever speaks S3.
pub(super) fn builder(
    account: &Account<'_>,
    endpoint: &Url,
    region: &str,
) -> Result<services::S3, StorageError> {
    let builder = services::S3::default()
        .bucket(account.bucket)
        .endpoint(text(endpoint))
        .region(region)
        .access_key_id(account.access_key)
        .secret_access_key(account.secret_word()?)
        .disable_config_load()
        .disable_ec2_metadata();
    Ok(if account.is_path_style(endpoint) { builder } else { builder.enable_virtual_host_style() })
}

pub(super) fn finish(builder: services::S3) -> Result<Operator, StorageError> {
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
