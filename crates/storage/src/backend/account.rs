//! What a customer gave to reach a bucket by network, checked once for all kinds.

use model::{
    ErrorCode, ObjectSettings, Storage,
    limits::{MAX_ACCOUNT_KEY_BYTES, MAX_BUCKET_NAME_BYTES, MAX_REGION_BYTES},
};
use url::Url;

use crate::error::StorageError;

/// Where a bucket is, and the keys to it. Nothing in it comes from this machine's environment.
pub(super) struct Account<'a> {
    pub(super) bucket: &'a str,
    /// Empty when it is not set.
    pub(super) region: &'a str,
    pub(super) access_key: &'a str,
    pub(super) secret_key: &'a str,
    /// The URL of the service, where the customer gave one.
    endpoint: Option<Url>,
    path_style: bool,
    objects: &'a ObjectSettings,
}

impl<'a> Account<'a> {
    /// # Errors
    /// 1001; the text begins with the field that is wrong and quotes no key.
    pub(super) fn from_storage(storage: &'a Storage) -> Result<Self, StorageError> {
        let account = Self {
            bucket: &storage.bucket,
            region: &storage.region,
            access_key: storage.storage_ak.expose(),
            secret_key: storage.storage_sk.expose(),
            endpoint: parse_endpoint(&storage.endpoint)?,
            path_style: storage.path_style,
            objects: &storage.objects,
        };
        account.check()?;
        Ok(account)
    }

    fn check(&self) -> Result<(), StorageError> {
        if !is_bucket_name(self.bucket) {
            return Err(bad_field("bucket", format!("`{}` cannot be a bucket's name", self.bucket)));
        }
        if !has_only_name_characters(self.region) || self.region.len() > MAX_REGION_BYTES {
            return Err(bad_field("region", format!("`{}` cannot be a region's name", self.region)));
        }
        for (field, value) in object_fields(self.objects) {
            if !value.is_empty() && !is_printable_word(value) {
                return Err(bad_field(
                    field,
                    format!("`{value}` is not a word of printable ASCII characters"),
                ));
            }
        }
        if !is_printable_word(self.access_key) {
            let problem = "is not set, or is not a word of printable ASCII characters";
            return Err(bad_field("storage_ak", problem));
        }
        if self.secret_key.is_empty() || self.secret_key.len() > MAX_ACCOUNT_KEY_BYTES {
            let problem = format!("is not set, or is longer than {MAX_ACCOUNT_KEY_BYTES} bytes");
            return Err(bad_field("storage_sk", problem));
        }
        Ok(())
    }

    /// The region of a kind that needs one.
    pub(super) fn required_region(&self, example: &str) -> Result<&'a str, StorageError> {
        if self.region.is_empty() {
            return Err(bad_field("region", format!("is not set; give the bucket's, such as `{example}`")));
        }
        Ok(self.region)
    }

    /// The secret key of a kind whose secret keys are one word; a key file is none.
    pub(super) fn secret_word(&self) -> Result<&'a str, StorageError> {
        if is_printable_word(self.secret_key) {
            Ok(self.secret_key)
        } else {
            Err(bad_field("storage_sk", "is not a word of printable ASCII characters"))
        }
    }

    /// The customer's endpoint, or the vendor's own.
    pub(super) fn endpoint(
        &self,
        vendors_own: impl FnOnce() -> Result<String, StorageError>,
    ) -> Result<Url, StorageError> {
        match &self.endpoint {
            Some(endpoint) => Ok(endpoint.clone()),
            None => {
                let text = vendors_own()?;
                text.parse().map_err(|_| bad_field("region", format!("`{}` makes no endpoint", self.region)))
            }
        }
    }

    /// Whether the customer gave an endpoint.
    pub(super) fn has_endpoint(&self) -> bool {
        self.endpoint.is_some()
    }

    /// Whether the bucket stands in the path of a URL and not in the host's name. It cannot stand before an
    /// IP address, and the vendor's wildcard certificate does not cover a bucket with a dot in its name.
    pub(super) fn is_path_style(&self, endpoint: &Url) -> bool {
        self.path_style || self.bucket.contains('.') || !matches!(endpoint.host(), Some(url::Host::Domain(_)))
    }

    /// The storage class of each object, where one is set.
    pub(super) fn storage_class(&self) -> Option<&'a str> {
        non_empty(&self.objects.storage_class)
    }

    /// The canned access list of each object, where one is set.
    pub(super) fn acl(&self) -> Option<&'a str> {
        non_empty(&self.objects.acl)
    }

    /// Server-side encryption, where it is set, as one of these algorithms. `AES256` takes no key.
    pub(super) fn encryption(
        &self,
        algorithms: &[&str],
    ) -> Result<Option<ServerSideEncryption<'a>>, StorageError> {
        let key = non_empty(&self.objects.encryption_key);
        match non_empty(&self.objects.encryption) {
            None if key.is_some() => Err(bad_field("encryption_key", "is set without `encryption`")),
            None => Ok(None),
            Some("AES256") if key.is_some() => {
                Err(bad_field("encryption_key", "does not go with `AES256`; leave it out"))
            }
            Some(algorithm) if algorithms.contains(&algorithm) => {
                Ok(Some(ServerSideEncryption { algorithm, key }))
            }
            Some(other) => {
                let known = algorithms.iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join(", ");
                let problem = format!("`{other}` is not known by this type; give one of {known}");
                Err(bad_field("encryption", problem))
            }
        }
    }

    /// Refuses these fields, for kinds that leave them to the bucket.
    pub(super) fn require_unset(&self, fields: &[&str]) -> Result<(), StorageError> {
        require_unset(self.objects, fields)
    }

    /// Refuses `path_style`, for kinds that do not have it.
    pub(super) fn require_no_path_style(&self) -> Result<(), StorageError> {
        if self.path_style {
            return Err(bad_field("path_style", "is not known by this type; leave it out"));
        }
        Ok(())
    }
}

/// How an object store encrypts objects.
pub(super) struct ServerSideEncryption<'a> {
    /// The vendor's word, such as `aws:kms`.
    pub(super) algorithm: &'a str,
    /// The id of the key; none: the vendor's own.
    pub(super) key: Option<&'a str>,
}

fn non_empty(text: &str) -> Option<&str> {
    if text.is_empty() { None } else { Some(text) }
}

/// Letters, digits, `-`, `_` and `.`, with a letter or digit first; Azure also has names such as `$web`.
fn is_bucket_name(name: &str) -> bool {
    let word = name.strip_prefix('$').unwrap_or(name);
    name.starts_with(|one: char| one.is_ascii_alphanumeric() || one == '$')
        && has_only_name_characters(word)
        && name.len() <= MAX_BUCKET_NAME_BYTES
        && !name.contains("..")
}

fn has_only_name_characters(text: &str) -> bool {
    text.chars().all(|one| one.is_ascii_alphanumeric() || "-_.".contains(one))
}

fn is_printable_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_ACCOUNT_KEY_BYTES && text.chars().all(|one| one.is_ascii_graphic())
}

fn parse_endpoint(text: &str) -> Result<Option<Url>, StorageError> {
    if text.is_empty() {
        return Ok(None);
    }
    let url = net::parse_url(text).map_err(|problem| bad_field("endpoint", problem.to_string()))?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad_field("endpoint", "has a query or a fragment; give the service's URL alone"));
    }
    Ok(Some(url))
}

/// Refuses these fields of a storage's object settings.
pub(crate) fn require_unset(objects: &ObjectSettings, fields: &[&str]) -> Result<(), StorageError> {
    for (field, value) in object_fields(objects) {
        if fields.contains(&field) && !value.is_empty() {
            let problem = "cannot be given with this type; leave it out, and set it on the bucket";
            return Err(bad_field(field, problem));
        }
    }
    Ok(())
}

fn object_fields(objects: &ObjectSettings) -> [(&'static str, &str); 4] {
    let ObjectSettings { storage_class, acl, encryption, encryption_key } = objects;
    [
        ("storage_class", storage_class),
        ("acl", acl),
        ("encryption", encryption),
        ("encryption_key", encryption_key),
    ]
}

/// The names of all fields of a storage's object settings.
pub(crate) const OBJECT_FIELDS: &[&str] = &["storage_class", "acl", "encryption", "encryption_key"];

/// A field of the storage is wrong; its problem quotes no secret.
pub(super) fn bad_field(field: &str, problem: impl AsRef<str>) -> StorageError {
    StorageError::permanent(ErrorCode::BadParam, format!("{field}: {}", problem.as_ref()))
}

/// An endpoint as opendal takes it: without a slash at its end.
pub(super) fn endpoint_text(endpoint: &Url) -> &str {
    endpoint.as_str().trim_end_matches('/')
}
