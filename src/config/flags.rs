//! Settings as flags of the command line; `--set` reaches those that have no flag of their own.

use std::path::PathBuf;

use super::{SettingsError, sources::Layer};

/// The flags of every command that reads the settings.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Settings")]
pub struct Flags {
    /// Settings file; without it `borealis.toml` in the working directory, when it is there
    /// [env: BOREALIS_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address and port of the API [env: BOREALIS_LISTEN]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Folder of everything that is kept [env: BOREALIS_DATA_DIR]
    #[arg(long, value_name = "FOLDER")]
    pub data_dir: Option<String>,
    /// Database, SQLite or PostgreSQL [env: BOREALIS_DATABASE_URL]
    #[arg(long, value_name = "URL")]
    pub database_url: Option<String>,
    /// Answer the API, but run no tasks
    #[arg(long)]
    pub no_worker: bool,
    /// Private networks that may be reached, by commas [env: BOREALIS_ALLOW_NETWORKS]
    #[arg(long, value_name = "CIDRS")]
    pub allow_networks: Option<String>,
    /// Folder with ffmpeg, ffprobe and packager [env: BOREALIS_TOOLS]
    #[arg(long, value_name = "FOLDER")]
    pub tools: Option<String>,
    /// `text` or `json` [env: BOREALIS_LOG__FORMAT]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// A level or a filter [env: BOREALIS_LOG__LEVEL]
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Any other setting
    #[arg(long, value_name = "SECTION.NAME=VALUE")]
    pub set: Vec<String>,
}

/// The flag of a setting, where it has one.
pub(super) fn flag_of(key: &str) -> Option<&'static str> {
    FLAGS.iter().find(|(setting, ..)| *setting == key).map(|(_, flag, _)| *flag)
}

type Read = fn(&Flags) -> Option<&str>;

const FLAGS: &[(&str, &str, Read)] = &[
    ("server.listen", "--listen", |flags| flags.listen.as_deref()),
    ("server.data_dir", "--data-dir", |flags| flags.data_dir.as_deref()),
    ("server.database_url", "--database-url", |flags| flags.database_url.as_deref()),
    ("worker.enabled", "--no-worker", |flags| flags.no_worker.then_some("false")),
    ("net.allow_networks", "--allow-networks", |flags| flags.allow_networks.as_deref()),
    ("media.tools", "--tools", |flags| flags.tools.as_deref()),
    ("log.format", "--log-format", |flags| flags.log_format.as_deref()),
    ("log.level", "--log-level", |flags| flags.log_level.as_deref()),
];

impl Flags {
    /// What the flags set; `--set` wins, being last.
    pub(super) fn layer(&self) -> Result<Layer, SettingsError> {
        let mut layer = Layer::default();
        for (key, flag, read) in FLAGS {
            if let Some(value) = read(self) {
                layer.add(key, value, format!("from {flag}"));
            }
        }
        for text in &self.set {
            let (key, value) =
                text.split_once('=').ok_or_else(|| SettingsError::NoValue { given: text.clone() })?;
            layer.add(key.trim(), value, "from --set".to_owned());
        }
        Ok(layer)
    }
}
