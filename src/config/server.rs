//! `[server]`: where it listens and where it keeps things.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use model::Secret;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use serde::{Deserialize, Serialize};

use super::value;

/// What stands for itself in the path of a URL (RFC 3986, 2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where the server listens and where it keeps things.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ServerSettings {
    /// The API's address.
    #[serde(deserialize_with = "value::listen")]
    pub listen: SocketAddr,
    /// The folder of everything that is kept.
    pub data_dir: PathBuf,
    /// The database, which may name a password; none: see [`ServerSettings::database_url`].
    #[serde(with = "value::secret")]
    pub database_url: Option<Secret>,
    /// The folder of uploads; none: see [`ServerSettings::upload_dir`].
    #[serde(with = "value::optional")]
    pub upload_dir: Option<PathBuf>,
    /// How long running tasks may go on after SIGTERM.
    #[serde(with = "value::duration_or_zero")]
    pub shutdown_grace: Duration,
}

impl ServerSettings {
    /// The database that is used: the configured one, else SQLite in the data folder.
    pub fn database_url(&self) -> String {
        match &self.database_url {
            Some(url) => url.expose().to_owned(),
            None => {
                let file = std::path::absolute(&self.data_dir).unwrap_or_else(|_| self.data_dir.clone());
                let path = file.join("borealis.db");
                format!("sqlite://{}?mode=rwc", percent_encode(path.as_os_str().as_encoded_bytes(), ESCAPED))
            }
        }
    }

    /// Whether the database is PostgreSQL, which other machines may share.
    pub fn is_postgres(&self) -> bool {
        self.database_url.as_ref().is_some_and(|url| {
            ["postgres:", "postgresql:"].iter().any(|scheme| url.expose().starts_with(scheme))
        })
    }

    /// The folder of uploads: the configured one, else one in the data folder.
    pub fn upload_dir(&self) -> PathBuf {
        self.upload_dir.clone().unwrap_or_else(|| self.data_dir.join("uploads"))
    }

    /// The folder of the buckets of `file` storages.
    pub fn storage_dir(&self) -> PathBuf {
        self.data_dir.join("storage")
    }
}
