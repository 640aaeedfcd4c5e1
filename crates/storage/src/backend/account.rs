//! What a customer gave to reach a bucket by network, read once for all kinds and found usable.

use model::{ErrorCode, ObjectSettings, Storage};
use url::Url;

use crate::StorageError;

/// Longer keys belong to nobody; a service account of Google's is a text of its own.
const LONGEST_KEY: usize = 8 << 10;

/// Where a bucket is and who we are there. Nothing in it comes from this machine.
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
    /// 1001, beginning with the field that is wrong. Keys are never told.
    pub(super) fn of(storage: &'a Storage) -> Result<Self, StorageError> {
        let account = Self {
            bucket: &storage.bucket,
            region: &storage.region,
            access_key: storage.storage_ak.expose(),
            secret_key: storage.storage_sk.expose(),
            endpoint: endpoint(&storage.endpoint)?,
            path_style: storage.path_style,
            objects: &storage.objects,
        };
        account.check()?;
        Ok(account)
    }

    fn check(&self) -> Result<(), StorageError> {
        let plain = |text: &str| text.chars().all(|one| one.is_ascii_alphanumeric() || "-_.".contains(one));
        let begins_well = self.bucket.starts_with(|one: char| one.is_ascii_alphanumeric() || one == '$');
        let bucket = self.bucket.strip_prefix('$').unwrap_or(self.bucket);
        if !begins_well || !plain(bucket) || self.bucket.len() > 222 || self.bucket.contains("..") {
            return Err(wrong("bucket", format!("`{}` cannot be a bucket's name", self.bucket)));
        }
        if !plain(self.region) || self.region.len() > 64 {
            return Err(wrong("region", format!("`{}` cannot be a region's name", self.region)));
        }
        for (field, value) in fields_of(self.objects) {
            if !value.is_empty() && !usable(value) {
                return Err(wrong(field, format!("`{value}` holds what none can")));
            }
        }
        if !usable(self.access_key) {
            return Err(wrong("storage_ak", "is not an access key: it is not set, or holds what none can"));
        }
        if self.secret_key.is_empty() || self.secret_key.len() > LONGEST_KEY {
            return Err(wrong("storage_sk", "is not set, or too long to be a secret key"));
        }
        Ok(())
    }

    /// The region, or what is said when there is none and it is needed.
    pub(super) fn wanted_region(&self, example: &str) -> Result<&'a str, StorageError> {
        if self.region.is_empty() {
            return Err(wrong("region", format!("is not set; give the bucket's, such as `{example}`")));
        }
        Ok(self.region)
    }

    /// The secret key of a kind whose secret keys are one word.
    pub(super) fn secret_word(&self) -> Result<&'a str, StorageError> {
        if usable(self.secret_key) {
            Ok(self.secret_key)
        } else {
            Err(wrong("storage_sk", "is not a secret key: it holds what none can"))
        }
    }

    /// The customer's endpoint, or the vendor's own.
    pub(super) fn endpoint(
        &self,
        vendors: impl FnOnce() -> Result<String, StorageError>,
    ) -> Result<Url, StorageError> {
        match &self.endpoint {
            Some(endpoint) => Ok(endpoint.clone()),
            None => {
                let text = vendors()?;
                text.parse().map_err(|_| wrong("region", format!("`{}` makes no endpoint", self.region)))
            }
        }
    }

    /// Whether the customer gave an endpoint.
    pub(super) fn has_endpoint(&self) -> bool {
        self.endpoint.is_some()
    }

    /// Whether the bucket stands in the path of a URL. In front of an address it cannot stand, and
    /// with a dot in its name no certificate fits.
    pub(super) fn is_path_style(&self, endpoint: &Url) -> bool {
        self.path_style || self.bucket.contains('.') || !matches!(endpoint.host(), Some(url::Host::Domain(_)))
    }

    /// The word for the storage class of each object, where one is wished for.
    pub(super) fn storage_class(&self) -> Option<&'a str> {
        wish(&self.objects.storage_class)
    }

    /// The word for the access list of each object, where one is wished for.
    pub(super) fn acl(&self) -> Option<&'a str> {
        wish(&self.objects.acl)
    }

    /// How the store encrypts, out of these words, and with which of its keys, where that is wished
    /// for. `AES256` takes no key.
    pub(super) fn encryption(
        &self,
        words: &[&str],
    ) -> Result<Option<(&'a str, Option<&'a str>)>, StorageError> {
        let key = wish(&self.objects.encryption_key);
        match wish(&self.objects.encryption) {
            None if key.is_some() => Err(wrong("encryption_key", "is set without `encryption`")),
            None => Ok(None),
            Some("AES256") if key.is_some() => {
                Err(wrong("encryption_key", "does not go with `AES256`; leave it out"))
            }
            Some(word) if words.contains(&word) => Ok(Some((word, key))),
            Some(word) => {
                let known = words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
                Err(wrong("encryption", format!("`{word}` is not known by this type; give one of {known}")))
            }
        }
    }

    /// For kinds that leave these fields to the bucket.
    pub(super) fn refuse(&self, fields: &[&str]) -> Result<(), StorageError> {
        refuse(self.objects, fields)
    }

    /// For kinds that have the bucket in the host's name and nowhere else.
    pub(super) fn refuse_path_style(&self) -> Result<(), StorageError> {
        if self.path_style {
            return Err(wrong("path_style", "is not known by this type; leave it out"));
        }
        Ok(())
    }
}

fn wish(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn usable(key: &str) -> bool {
    !key.is_empty() && key.len() <= LONGEST_KEY && key.chars().all(|one| one.is_ascii_graphic())
}

fn endpoint(text: &str) -> Result<Option<Url>, StorageError> {
    if text.is_empty() {
        return Ok(None);
    }
    let url = net::parse_url(text).map_err(|problem| wrong("endpoint", problem.to_string()))?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("endpoint", "has a query or a fragment; give the service's URL alone"));
    }
    Ok(Some(url))
}

/// Says no to these fields of what a store is asked to do with objects.
pub(crate) fn refuse(objects: &ObjectSettings, fields: &[&str]) -> Result<(), StorageError> {
    match fields_of(objects).into_iter().find(|(field, value)| fields.contains(field) && !value.is_empty()) {
        Some((field, _)) => {
            Err(wrong(field, "cannot be given with this type; leave it out, and set it on the bucket"))
        }
        None => Ok(()),
    }
}

fn fields_of(objects: &ObjectSettings) -> [(&'static str, &str); 4] {
    let ObjectSettings { storage_class, acl, encryption, encryption_key } = objects;
    [
        ("storage_class", storage_class),
        ("acl", acl),
        ("encryption", encryption),
        ("encryption_key", encryption_key),
    ]
}

/// The fields that say how objects are kept.
pub(crate) const OBJECT_FIELDS: &[&str] = &["storage_class", "acl", "encryption", "encryption_key"];

/// A field that is wrong; its problem never tells a secret.
pub(super) fn wrong(field: &str, problem: impl AsRef<str>) -> StorageError {
    StorageError::lasting(ErrorCode::BadParam, format!("{field}: {}", problem.as_ref()))
}

/// An endpoint as opendal takes it.
pub(super) fn text(endpoint: &Url) -> &str {
    endpoint.as_str().trim_end_matches('/')
}
