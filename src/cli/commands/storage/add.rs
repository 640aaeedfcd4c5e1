//! What `borealis storage add` needs to know: from flags, from the environment, else from the person
//! at the terminal.
//!
//! Keys are never arguments, which every user of the machine can see; typed ones are not shown.

use std::{
    env, fs,
    io::{self, IsTerminal as _},
    path::PathBuf,
};

use clap::Args;
use console::Term;
use model::{NotifyPolicy, NotifySuccess, StorageType};
use serde_json::{Value, json};

use crate::cli::{self, print::Printer};

const ACCESS_KEY_ENV: &str = "BOREALIS_STORAGE_AK";
const SECRET_KEY_ENV: &str = "BOREALIS_STORAGE_SK";

/// The keys that are in the environment, each with the name of its field.
pub(super) fn keys_from_env() -> Vec<(String, String)> {
    let key = |field: &str, name| env::var(name).ok().map(|value| (field.to_owned(), value));
    [key("storage_ak", ACCESS_KEY_ENV), key("storage_sk", SECRET_KEY_ENV)].into_iter().flatten().collect()
}

#[derive(Args)]
pub(super) struct AddArgs {
    /// The kind of object store
    #[arg(long = "type", value_name = "TYPE", default_value_t = StorageType::File)]
    kind: StorageType,
    /// The bucket; for `file` a folder below the server's data directory
    #[arg(long, default_value = "", hide_default_value = true)]
    bucket: String,
    /// What every output's path begins with
    #[arg(long, default_value = "", hide_default_value = true)]
    prefix: String,
    /// The callback's URL, called when a task ends
    #[arg(long, value_name = "URL", default_value = "", hide_default_value = true)]
    notify: String,
    /// Attempts at most for a callback
    #[arg(long, value_name = "N")]
    notify_attempts: Option<u32>,
    /// Seconds from one attempt to the next
    #[arg(long, value_name = "SECONDS")]
    notify_interval: Option<u32>,
    /// What comes after those attempts: aurora (nothing) or extended (days of growing distances)
    #[arg(long, value_name = "POLICY")]
    notify_policy: Option<NotifyPolicy>,
    /// Which answer is success: 200 or 2xx
    #[arg(long, value_name = "STATUS")]
    notify_success: Option<NotifySuccess>,
    /// The vendor's region
    #[arg(long, default_value = "", hide_default_value = true)]
    region: String,
    /// The URL of the service where it is not the vendor's own
    #[arg(long, value_name = "URL", default_value = "", hide_default_value = true)]
    endpoint: String,
    /// Put the bucket into the path instead of the host name
    #[arg(long)]
    path_style: bool,
    /// The access key; Azure: the account's name
    #[arg(skip = env::var(ACCESS_KEY_ENV).unwrap_or_default())]
    access_key: String,
    /// The secret key.
    #[arg(skip = env::var(SECRET_KEY_ENV).unwrap_or_default())]
    secret_key: String,
    /// The file with the secret key, such as Google's key file; else BOREALIS_STORAGE_SK
    #[arg(long, value_name = "FILE")]
    secret_key_file: Option<PathBuf>,
    /// The vendor's word for the storage class of each object
    #[arg(long, value_name = "CLASS", default_value = "", hide_default_value = true)]
    storage_class: String,
    /// The vendor's word for the access list of each object, such as public-read
    #[arg(long, value_name = "ACL", default_value = "", hide_default_value = true)]
    acl: String,
    /// How the object store encrypts each object: AES256 or aws:kms
    #[arg(long, value_name = "HOW", default_value = "", hide_default_value = true)]
    encryption: String,
    /// The vendor's id of the key that it encrypts with
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    encryption_key: String,
    /// A label of your own
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,
    #[command(flatten)]
    pub(super) printer: Printer,
}

impl AddArgs {
    /// Asks the person at the terminal for what the type needs and was not given. Without a terminal the
    /// server says what is missing.
    pub(super) fn prompt_for_missing(mut self: Box<Self>) -> cli::Result<Box<Self>> {
        if let Some(file) = &self.secret_key_file {
            self.secret_key = fs::read_to_string(file)
                .map_err(|error| format!("{}: {error}", file.display()))?
                .trim()
                .to_owned();
        }
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Ok(self);
        }
        let terminal = Term::stderr();
        prompt(&terminal, bucket_prompt(self.kind), &mut self.bucket)?;
        if self.kind == StorageType::File {
            return Ok(self);
        }
        if let Some(what) = region_prompt(self.kind)
            && self.region.is_empty()
            && self.endpoint.is_empty()
        {
            let mut answer = String::new();
            prompt(&terminal, what, &mut answer)?;
            let field = if answer.contains("://") { &mut self.endpoint } else { &mut self.region };
            *field = answer;
        }
        let (access, secret) = key_prompts(self.kind);
        prompt(&terminal, access, &mut self.access_key)?;
        if self.secret_key.is_empty() {
            terminal.write_str(&format!("{secret} (not shown): "))?;
            terminal.read_secure_line()?.trim().clone_into(&mut self.secret_key);
        }
        Ok(self)
    }

    /// The body of `add_storage`.
    pub(super) fn request_body(&self) -> cli::Result<Value> {
        if self.bucket.is_empty() {
            return Err(format!("give --bucket: {}", bucket_prompt(self.kind)).into());
        }
        Ok(json!({
            "type": self.kind,
            "region": self.region,
            "bucket": self.bucket,
            "prefix": self.prefix,
            "notify": self.notify,
            "storage_ak": self.access_key,
            "storage_sk": self.secret_key,
            "endpoint": self.endpoint,
            "path_style": self.path_style,
            "storage_class": self.storage_class,
            "acl": self.acl,
            "encryption": self.encryption,
            "encryption_key": self.encryption_key,
            "name": self.name,
            "notify_attempts": self.notify_attempts,
            "notify_interval": self.notify_interval,
            "notify_policy": self.notify_policy,
            "notify_success": self.notify_success,
        }))
    }
}

/// Asks for a line at the terminal, unless the answer was given already.
fn prompt(terminal: &Term, what: &str, answer: &mut String) -> io::Result<()> {
    if answer.is_empty() {
        terminal.write_str(&format!("{what}: "))?;
        terminal.read_line()?.trim().clone_into(answer);
    }
    Ok(())
}

const fn bucket_prompt(kind: StorageType) -> &'static str {
    match kind {
        StorageType::File => "a folder's name, below the server's data directory",
        StorageType::Azblob => "the container",
        StorageType::Cos => "the bucket, with the account's number, such as videos-1250000000",
        StorageType::S3 | StorageType::Oss | StorageType::Obs | StorageType::Gcs => "the bucket",
    }
}

/// What is asked for where a bucket is; none for types that need no region.
const fn region_prompt(kind: StorageType) -> Option<&'static str> {
    match kind {
        StorageType::S3 => Some("the region, such as eu-central-1, or the URL of another service"),
        StorageType::Oss => Some("the region, such as cn-zhangjiakou"),
        StorageType::Cos => Some("the region, such as ap-guangzhou"),
        StorageType::Obs => Some("the region, such as cn-north-4"),
        StorageType::File | StorageType::Gcs | StorageType::Azblob => None,
    }
}

/// What the vendor calls the two keys.
const fn key_prompts(kind: StorageType) -> (&'static str, &'static str) {
    match kind {
        StorageType::Azblob => ("the account's name", "one of its keys"),
        StorageType::Oss => ("the AccessKey ID", "the AccessKey secret"),
        StorageType::Cos => ("the SecretId", "the SecretKey"),
        StorageType::Gcs => ("the HMAC key's access ID", "its secret"),
        StorageType::File | StorageType::S3 | StorageType::Obs => ("the access key", "the secret key"),
    }
}
