//! The parts of an object that the store is to encrypt.

use http::{header::HOST, request::Parts};
use reqsign_aws_v4::{Credential, RequestSigner, StaticCredentialProvider};
use reqsign_core::{Context, Signer};
use reqwest::header::AUTHORIZATION;
use url::form_urlencoded;

/// When S3's requests were signed.
const DATE: &str = "x-amz-date";

/// The wish that an object be encrypted, with all that belongs to it.
const ENCRYPTION: &str = "x-amz-server-side-encryption";

/// Takes the wish for encryption out of the requests that belong to an upload in parts, and signs them
/// again. The request that begins an upload says it for all of them; Amazon refuses it in the others
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/specifying-s3-encryption.html>), and opendal
/// puts it into each.
#[derive(Clone, Debug)]
pub(crate) struct PartSigner(Signer<Credential>);

impl PartSigner {
    /// Signs with this key, for this region.
    pub(crate) fn new(access_key: &str, secret_key: &str, region: &str) -> Self {
        let key = StaticCredentialProvider::new(access_key, secret_key);
        Self(Signer::new(Context::new(), key, RequestSigner::new("s3", region)))
    }

    /// Leaves every other request as it is.
    pub(super) async fn put_right(&self, head: &mut Parts) -> opendal::Result<()> {
        let query = head.uri.query().unwrap_or_default();
        if !form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "uploadId") {
            return Ok(());
        }
        let wishes: Vec<_> =
            head.headers.keys().filter(|name| name.as_str().starts_with(ENCRYPTION)).cloned().collect();
        if wishes.is_empty() {
            return Ok(());
        }
        for name in wishes {
            head.headers.remove(name);
        }
        head.headers.remove(AUTHORIZATION);
        head.headers.remove(DATE);
        self.0.sign(head, None).await.map_err(|error| {
            opendal::Error::new(opendal::ErrorKind::Unexpected, "cannot be signed").set_source(error)
        })?;
        // the client's own, as with opendal's requests
        head.headers.remove(HOST);
        Ok(())
    }
}
