//! AWS S3 and every service that speaks its protocol: MinIO, Ceph, R2, B2, Garage, SeaweedFS.
//!
//! Every upload carries a checksum that the object store verifies: CRC-32C at AWS, which keeps it with the
//! object, and elsewhere `Content-MD5`, which all of them know and the transport adds.

use opendal::{Operator, services};
use url::Url;

use super::account::{Account, ServerSideEncryption, bad_field, endpoint_text};
use crate::{error::StorageError, transport::PartSigner};

/// The region that requests are signed for where a service has no regions.
const DEFAULT_REGION: &str = "us-east-1";

/// The algorithms of server-side encryption
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/serv-side-encryption.html>).
const ENCRYPTION_ALGORITHMS: &[&str] = &["AES256", "aws:kms", "aws:kms:dsse"];

pub(super) fn operator(account: &Account<'_>) -> Result<(Operator, Url), StorageError> {
    let endpoint = account.endpoint(|| Ok(vendor_endpoint(account.required_region("eu-central-1")?)))?;
    let builder = builder(account, &endpoint, region(account, &endpoint))?;
    let builder = if account.has_endpoint() { builder } else { builder.checksum_algorithm("crc32c") };
    Ok((build(builder)?, endpoint))
}

/// Signs the parts of multipart uploads anew, where objects are encrypted.
pub(super) fn part_signer(account: &Account<'_>, endpoint: &Url) -> Result<Option<PartSigner>, StorageError> {
    let secret_key = account.secret_word()?;
    let encrypts = account.encryption(ENCRYPTION_ALGORITHMS)?.is_some();
    if !encrypts {
        return Ok(None);
    }
    Ok(Some(PartSigner::new(account.access_key, secret_key, region(account, endpoint))))
}

fn region<'a>(account: &Account<'a>, endpoint: &'a Url) -> &'a str {
    match account.region {
        "" => region_in(endpoint).unwrap_or(DEFAULT_REGION),
        region => region,
    }
}

/// The builder for every service that speaks S3.
pub(super) fn builder(
    account: &Account<'_>,
    endpoint: &Url,
    region: &str,
) -> Result<services::S3, StorageError> {
    let builder = services::S3::default()
        .bucket(account.bucket)
        .endpoint(endpoint_text(endpoint))
        .region(region)
        .access_key_id(account.access_key)
        .secret_access_key(account.secret_word()?)
        .disable_config_load()
        .disable_ec2_metadata();
    let builder = match account.storage_class() {
        None => builder,
        Some(class) => builder.default_storage_class(class),
    };
    let builder = match account.acl() {
        None => builder,
        Some(acl) => builder.default_acl(acl),
    };
    let builder = match account.encryption(ENCRYPTION_ALGORITHMS)? {
        None => builder,
        Some(ServerSideEncryption { algorithm, key: None }) => builder.server_side_encryption(algorithm),
        Some(ServerSideEncryption { algorithm, key: Some(key) }) => {
            builder.server_side_encryption(algorithm).server_side_encryption_aws_kms_key_id(key)
        }
    };
    if account.is_path_style(endpoint) { Ok(builder) } else { Ok(builder.enable_virtual_host_style()) }
}

pub(super) fn build(builder: services::S3) -> Result<Operator, StorageError> {
    Operator::new(builder).map_err(|error| bad_field("bucket", error.message()))
}

/// AWS's rule for endpoints, in all its partitions
/// (<https://docs.aws.amazon.com/general/latest/gr/s3.html>).
fn vendor_endpoint(region: &str) -> String {
    let domains = [
        ("cn-", "amazonaws.com.cn"),
        ("eusc-", "amazonaws.eu"),
        ("us-iso-", "c2s.ic.gov"),
        ("us-isob-", "sc2s.sgov.gov"),
        ("eu-isoe-", "cloud.adc-e.uk"),
        ("us-isof-", "csp.hci.ic.gov"),
    ];
    let partition = domains.into_iter().find(|(prefix, _)| region.starts_with(prefix));
    format!("https://s3.{region}.{}", partition.map_or("amazonaws.com", |(_, domain)| domain))
}

/// The region in an endpoint of AWS's that a customer gave.
fn region_in(endpoint: &Url) -> Option<&str> {
    let host = endpoint.host_str()?.strip_suffix(".amazonaws.com")?;
    host.strip_prefix("s3.").or_else(|| host.strip_prefix("s3-")).filter(|region| !region.contains('.'))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// The list of <https://docs.aws.amazon.com/general/latest/gr/s3.html>.
    const REGIONS: &[&str] = &[
        "af-south-1",
        "ap-east-1",
        "ap-east-2",
        "ap-northeast-1",
        "ap-northeast-2",
        "ap-northeast-3",
        "ap-south-1",
        "ap-south-2",
        "ap-southeast-1",
        "ap-southeast-2",
        "ap-southeast-3",
        "ap-southeast-4",
        "ap-southeast-5",
        "ap-southeast-6",
        "ap-southeast-7",
        "ca-central-1",
        "ca-west-1",
        "eu-central-1",
        "eu-central-2",
        "eu-north-1",
        "eu-south-1",
        "eu-south-2",
        "eu-west-1",
        "eu-west-2",
        "eu-west-3",
        "il-central-1",
        "me-central-1",
        "me-south-1",
        "mx-central-1",
        "sa-east-1",
        "us-east-1",
        "us-east-2",
        "us-west-1",
        "us-west-2",
        "us-gov-east-1",
        "us-gov-west-1",
    ];

    #[test]
    fn endpoints() {
        for region in REGIONS {
            assert_eq!(vendor_endpoint(region), format!("https://s3.{region}.amazonaws.com"));
        }
    }

    #[rstest]
    #[case("cn-north-1", "https://s3.cn-north-1.amazonaws.com.cn")]
    #[case("cn-northwest-1", "https://s3.cn-northwest-1.amazonaws.com.cn")]
    #[case("eusc-de-east-1", "https://s3.eusc-de-east-1.amazonaws.eu")]
    #[case("us-iso-east-1", "https://s3.us-iso-east-1.c2s.ic.gov")]
    #[case("us-isob-east-1", "https://s3.us-isob-east-1.sc2s.sgov.gov")]
    #[case("eu-isoe-west-1", "https://s3.eu-isoe-west-1.cloud.adc-e.uk")]
    #[case("us-isof-south-1", "https://s3.us-isof-south-1.csp.hci.ic.gov")]
    fn endpoints_of_partitions_that_are_apart(#[case] region: &str, #[case] url: &str) {
        assert_eq!(vendor_endpoint(region), url);
    }

    #[rstest]
    #[case("https://s3.eu-west-3.amazonaws.com", Some("eu-west-3"))]
    #[case("https://s3.amazonaws.com", None)]
    #[case("https://minio.example:9000", None)]
    fn a_region_in_an_endpoint(#[case] endpoint: Url, #[case] region: Option<&str>) {
        assert_eq!(region_in(&endpoint), region);
    }
}
