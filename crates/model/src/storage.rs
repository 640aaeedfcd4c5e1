//! A storage: the customer's bucket, and the receiver of the callbacks of tasks that write to it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Secret, StorageId, TenantId, Timestamp, field::word_enum};

word_enum! {
    /// The kind of object store.
    StorageType {
        /// a folder of the server itself
        File = "file",
        /// AWS S3 and every compatible service
        S3 = "s3",
        /// Alibaba Cloud
        Oss = "oss",
        /// Tencent Cloud
        Cos = "cos",
        /// Huawei Cloud
        Obs = "obs",
        /// Google Cloud
        Gcs = "gcs",
        /// Azure
        Azblob = "azblob",
    }
}

word_enum! {
    /// What happens when the first attempts of a callback failed.
    NotifyPolicy {
        /// a fixed number of attempts at a fixed delay, as AuroraCloud documents it
        Aurora = "aurora",
        /// more attempts at growing delays, for about three days
        Extended = "extended",
    }
}

word_enum! {
    /// Which answer of a receiver is success.
    NotifySuccess {
        /// 200 alone, as AuroraCloud documents it
        Only200 = "200",
        /// any 2xx
        Any2xx = "2xx",
    }
}

/// How callbacks of a storage are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotifySettings {
    /// The number of attempts; with `extended`, before the growing delays.
    pub attempts: u32,
    /// The delay from the end of one of these attempts to the start of the next.
    pub interval: Duration,
    /// Whether more follow.
    pub policy: NotifyPolicy,
    /// Which answer is success.
    pub success: NotifySuccess,
}

impl Default for NotifySettings {
    fn default() -> Self {
        Self {
            attempts: 3,
            interval: Duration::from_secs(5),
            policy: NotifyPolicy::Aurora,
            success: NotifySuccess::Only200,
        }
    }
}

/// How the object store keeps each object that is put; empty: as the bucket is set up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectSettings {
    /// The vendor's word for a storage class, such as `STANDARD_IA`.
    pub storage_class: String,
    /// The vendor's word for a canned access list, such as `public-read`.
    pub acl: String,
    /// Server-side encryption: `AES256` or `aws:kms`, at OSS also `KMS` and `SM4`.
    pub encryption: String,
    /// The vendor's id of the key that encrypts; empty: the vendor's default key.
    pub encryption_key: String,
}

/// A storage as it is kept. `prefix` has neither leading nor trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// Its id.
    pub id: StorageId,
    /// Whom it belongs to.
    pub tenant: TenantId,
    /// The kind of object store.
    pub kind: StorageType,
    /// A label of the customer's.
    pub name: String,
    /// The vendor's region, such as `cn-zhangjiakou`.
    pub region: String,
    /// The bucket or container; for `file` a folder below the server's storage root.
    pub bucket: String,
    /// What every output key begins with; may be empty.
    pub prefix: String,
    /// The URL of the service; empty: the vendor's own for the region.
    pub endpoint: String,
    /// Whether the bucket stands in the path of URLs and not in the host's name.
    pub path_style: bool,
    /// How the object store keeps each object.
    pub objects: ObjectSettings,
    /// The access key of the bucket.
    pub storage_ak: Secret,
    /// The secret key of the bucket.
    pub storage_sk: Secret,
    /// The callback URL of every task that uses the storage; empty: no callback is owed.
    pub notify: String,
    /// `whsec_` and base64; signs the callbacks.
    pub notify_secret: Secret,
    /// The secret before it, and until when it signs as well.
    pub old_notify_secret: Option<(Secret, Timestamp)>,
    /// How callbacks are delivered.
    pub notify_settings: NotifySettings,
    /// Free text of the customer's.
    pub extra: String,
    /// Free text of the customer's.
    pub name_rule: String,
    /// When it was added.
    pub created: Timestamp,
}

impl Storage {
    /// A storage with nothing set but its bucket.
    pub fn new(id: StorageId, tenant: TenantId, kind: StorageType, bucket: &str, created: Timestamp) -> Self {
        Self {
            id,
            tenant,
            kind,
            name: String::new(),
            region: String::new(),
            bucket: bucket.to_owned(),
            prefix: String::new(),
            endpoint: String::new(),
            path_style: false,
            objects: ObjectSettings::default(),
            storage_ak: Secret::default(),
            storage_sk: Secret::default(),
            notify: String::new(),
            notify_secret: Secret::default(),
            old_notify_secret: None,
            notify_settings: NotifySettings::default(),
            extra: String::new(),
            name_rule: String::new(),
            created,
        }
    }

    /// The secrets that sign a callback now: the notify secret, and the one before it while that still
    /// signs.
    pub fn signing_secrets(&self, now: Timestamp) -> Vec<&Secret> {
        let mut secrets = vec![&self.notify_secret];
        if let Some((secret, until)) = &self.old_notify_secret
            && *until > now
        {
            secrets.push(secret);
        }
        secrets
    }

    /// The URI of an object, given its key in the bucket: `s3://bucket/videos/a.mp4`.
    pub fn uri(&self, key: &str) -> String {
        format!("{}://{}/{key}", self.kind, self.bucket)
    }
}

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod tests {
    use super::*;

    #[test]
    fn an_old_secret_signs_until_its_end() {
        let (until, secret) = (Timestamp::from_millis(5_000), Secret::new("old"));
        let storage = Storage { old_notify_secret: Some((secret.clone(), until)), ..storage("") };
        assert_eq!(storage.signing_secrets(Timestamp::from_millis(4_999)), [&storage.notify_secret, &secret]);
        assert_eq!(storage.signing_secrets(until), [&storage.notify_secret]);
    }

    pub(crate) fn storage(prefix: &str) -> Storage {
        Storage {
            prefix: prefix.to_owned(),
            ..Storage::new(
                "0123456789abcdef".parse().expect("an id"),
                TenantId::main(),
                StorageType::File,
                "bkt",
                Timestamp::from_millis(0),
            )
        }
    }
}
