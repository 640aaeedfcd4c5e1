//! Server-side encryption in multipart uploads: the request that creates the upload asks for it, and no
//! other may.

use http::{header::HOST, request::Parts};
use reqsign_aws_v4::{Credential, RequestSigner, StaticCredentialProvider};
use reqsign_core::{Context, Signer};
use reqwest::header::AUTHORIZATION;
use url::form_urlencoded;

/// The header with the time at which a request was signed.
const DATE_HEADER: &str = "x-amz-date";

/// What the headers that ask for encryption begin with.
const ENCRYPTION_HEADERS: &str = "x-amz-server-side-encryption";

/// Takes the encryption headers out of the requests that belong to a multipart upload, and signs them
/// again. The request that creates the upload asks for encryption for all parts; Amazon refuses these
/// headers in the others
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/specifying-s3-encryption.html>), and opendal
/// puts them into each.
#[derive(Clone, Debug)]
pub(crate) struct PartSigner(Signer<Credential>);

impl PartSigner {
    /// Signs with this key, for this region.
    pub(crate) fn new(access_key: &str, secret_key: &str, region: &str) -> Self {
        let key = StaticCredentialProvider::new(access_key, secret_key);
        Self(Signer::new(Context::new(), key, RequestSigner::new("s3", region)))
    }

    /// Leaves every other request as it is.
    pub(super) async fn strip_encryption(&self, head: &mut Parts) -> opendal::Result<()> {
        let query = head.uri.query().unwrap_or_default();
        if !form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "uploadId") {
            return Ok(());
        }
        let names = head.headers.keys().filter(|name| name.as_str().starts_with(ENCRYPTION_HEADERS));
        let names: Vec<_> = names.cloned().collect();
        if names.is_empty() {
            return Ok(());
        }
        for name in names {
            head.headers.remove(name);
        }
        head.headers.remove(AUTHORIZATION);
        head.headers.remove(DATE_HEADER);
        self.0.sign(head, None).await.map_err(|error| {
            opendal::Error::new(opendal::ErrorKind::Unexpected, "cannot be signed").set_source(error)
        })?;
        // reqsign adds it; the client sets its own, as it does with opendal's requests
        head.headers.remove(HOST);
        Ok(())
    }
}
