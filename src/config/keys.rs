//! `[keys]`: the first administrator's key, and the key for secrets at rest.

use std::path::PathBuf;

use model::Secret;
use serde::{Deserialize, Serialize};

use super::value;

/// The first administrator's key, and the key for secrets at rest.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct KeySettings {
    /// The access key of the first administrator.
    #[serde(with = "value::optional")]
    pub access_key: Option<String>,
    /// The secret key of the first administrator.
    #[serde(with = "value::secret")]
    pub secret_key: Option<Secret>,
    /// The file with the key for secrets at rest; `None`: `master.key` in the data folder.
    #[serde(with = "value::optional")]
    pub master_key_file: Option<PathBuf>,
}
