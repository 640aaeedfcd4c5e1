//! Google Cloud Storage, with a service account's key file or with an HMAC key.
//!
//! A key file is the whole JSON text, in `storage_sk`; only those of service accounts are taken: the other
//! forms name files and addresses of this machine to read credentials from. An HMAC key is an access key
//! with its secret key, as everywhere else; it goes with the interface of GCS that is compatible with S3.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use opendal::{Operator, services};
use serde_json::Value;
use url::Url;

use super::{
    account::{Account, bad_field, endpoint_text},
    s3,
};
use crate::{
    error::StorageError,
    transport::{HostOverride, TokenCache},
};

const VENDOR_ENDPOINT: &str = "https://storage.googleapis.com";

/// The token endpoint of service accounts. A key file names it too, but that is not used: whoever writes
/// another address into the file would receive a signed claim.
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
const TOKEN_HOST: &str = "oauth2.googleapis.com";

/// Whether a secret key is a whole key file.
pub(super) fn is_key_file(secret: &str) -> bool {
    secret.trim_start().starts_with('{')
}

/// Where an endpoint is not Google's, its own token endpoint: a service that only speaks Google's protocol
/// gives its own tokens.
pub(super) fn token_host_override(endpoint: &Url) -> Option<HostOverride> {
    let host = endpoint.host_str().unwrap_or_default();
    if host == "googleapis.com" || host.ends_with(".googleapis.com") {
        return None;
    }
    Some(HostOverride { from: TOKEN_HOST.to_owned(), to: endpoint.clone() })
}

/// An empty token cache, for one bucket.
pub(super) fn token_cache() -> TokenCache {
    TokenCache::new(TOKEN_HOST)
}

pub(super) fn operator(account: &Account<'_>) -> Result<(Operator, Url), StorageError> {
    account.require_unset(&["encryption", "encryption_key"])?;
    let endpoint = account.endpoint(|| Ok(VENDOR_ENDPOINT.to_owned()))?;
    if !is_key_file(account.secret_key) {
        return Ok((s3::build(s3::builder(account, &endpoint, "auto")?)?, endpoint));
    }
    account.require_no_path_style()?;
    let builder = services::Gcs::default()
        .bucket(account.bucket)
        .endpoint(endpoint_text(&endpoint))
        .credential(&BASE64_STANDARD.encode(service_account(account.secret_key)?))
        .disable_config_load()
        .disable_vm_metadata();
    let builder = match account.storage_class() {
        None => builder,
        Some(class) => builder.default_storage_class(class),
    };
    let builder = match account.acl() {
        None => builder,
        Some(acl) => builder.predefined_acl(acl),
    };
    Ok((Operator::new(builder).map_err(|error| bad_field("bucket", error.message()))?, endpoint))
}

/// The fields of a service account's key file that are needed, as JSON, and no others.
fn service_account(text: &str) -> Result<String, StorageError> {
    let file: Value = serde_json::from_str(text)
        .map_err(|_| bad_field("storage_sk", "begins like a key file and is not JSON"))?;
    let field = |name: &str| file[name].as_str().filter(|value| !value.is_empty());
    let (Some("service_account"), Some(email), Some(key)) =
        (field("type"), field("client_email"), field("private_key"))
    else {
        return Err(bad_field("storage_sk", "is not the key file of a service account"));
    };
    Ok(serde_json::json!({
        "type": "service_account", "client_email": email, "private_key": key, "token_uri": TOKEN_URI,
    })
    .to_string())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("https://storage.googleapis.com", true)]
    #[case("https://storage.me-central2.rep.googleapis.com/", true)]
    #[case("https://googleapis.com.evil.example/", false)]
    #[case("http://127.0.0.1:4443", false)]
    fn an_endpoint_that_is_not_googles_gives_its_own_tokens(
        #[case] endpoint: Url,
        #[case] from_google: bool,
    ) {
        assert_eq!(token_host_override(&endpoint).is_none(), from_google);
    }

    #[test]
    fn only_a_service_accounts_file_is_taken_and_only_what_is_needed_of_it() {
        let file =
            r#"{"type":"service_account","client_email":"a@b","private_key":"k","token_uri":"http://evil/"}"#;
        let fields = service_account(file).expect("accepted");
        assert!(fields.contains(TOKEN_URI) && !fields.contains("evil"), "{fields}");
        for file in [
            r#"{"type":"external_account","credential_source":{"file":"/etc/shadow"}}"#,
            r#"{"type":"authorized_user","refresh_token":"x"}"#,
            r#"{"type":"service_account"}"#,
            "{",
        ] {
            let error = service_account(file).expect_err(file);
            assert!(error.detail.starts_with("storage_sk: "), "{error}");
            assert!(!error.detail.contains("shadow"), "{error}");
        }
    }
}
