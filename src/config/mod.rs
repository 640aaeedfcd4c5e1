//! The settings: flags over environment over file over defaults.
//!
//! `borealis.default.toml` is the one list of what can be set: it gives every default, the text
//! that documents it, and with its names those of the environment. A wrong or unknown setting stops
//! the start, with its name, its value, where it came from, and what would do.

mod api;
mod callback;
mod check;
mod descriptions;
mod error;
mod flags;
mod keys;
mod limits;
mod log;
mod media;
mod net;
mod network;
mod server;
mod show;
mod sources;
mod storage;
mod unit;
mod value;
mod worker;

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

pub(crate) use self::unit::parse_duration;
pub use self::{
    api::{ApiSettings, ErrorStatus},
    callback::CallbackSettings,
    descriptions::{SettingDescription, all_settings},
    error::SettingsError,
    flags::Flags,
    keys::KeySettings,
    limits::LimitSettings,
    log::{LogFormat, LogSettings},
    media::{MediaSettings, Preset},
    net::NetSettings,
    network::Network,
    server::ServerSettings,
    show::settings_table,
    storage::StorageSettings,
    worker::WorkerSettings,
};

/// Everything that can be set, checked; one field a section.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Settings {
    /// Where the server listens and where it keeps things.
    pub server: ServerSettings,
    /// How requests are answered.
    pub api: ApiSettings,
    /// How much each key may do.
    pub limits: LimitSettings,
    /// What outgoing connections may do.
    pub net: NetSettings,
    /// How tasks are taken and held.
    pub worker: WorkerSettings,
    /// Which tools are used, and what an input may be.
    pub media: MediaSettings,
    /// How long object stores are waited for.
    pub storage: StorageSettings,
    /// How callbacks are sent.
    pub callback: CallbackSettings,
    /// What is logged, and in which shape.
    pub log: LogSettings,
    /// The first administrator's key, and the key for secrets at rest.
    pub keys: KeySettings,
    /// Where every setting that is not a default came from, by its name.
    #[serde(skip)]
    origins: BTreeMap<String, String>,
}

impl Settings {
    /// Reads the settings of this process.
    ///
    /// # Errors
    /// At the first setting that is wrong or unknown, or when the file cannot be read.
    pub fn load(flags: &Flags) -> Result<Self, SettingsError> {
        let file = Path::new("borealis.toml");
        Self::read(flags, env::vars_os(), if file.exists() { Some(file) } else { None })
    }

    /// The file with the key for secrets at rest.
    pub fn master_key_file(&self) -> PathBuf {
        match &self.keys.master_key_file {
            Some(file) => file.clone(),
            None => self.server.data_dir.join("master.key"),
        }
    }
}

#[cfg(test)]
mod tests;
