//! The application: what the API, the worker and the deliverer are made of, built once.
//!
//! Time, ids and the network come from here, so that a test can hold them.

use std::{path::PathBuf, sync::Arc};

use media::{Media, MediaError, Programs, ProgramsError};
use model::{BatchId, Clock, StorageId, SystemClock, TaskId};
use net::{Client, NetError};
use storage::Storages;
use store::{Cipher, CipherError, Store, StoreError, StoreOptions};

use crate::{config::Settings, data_folder, signed_links::LinkSigner, uploads::Uploads};

/// Everything that calls and jobs need.
pub struct App {
    /// The settings, checked.
    pub settings: Settings,
    /// The database.
    pub store: Store,
    /// The objects.
    pub storages: Storages,
    /// The one way out.
    pub net: Client,
    /// The one source of "now": on PostgreSQL the database's clock, which all processes share.
    pub clock: Arc<dyn Clock>,
    pub(crate) link_signer: LinkSigner,
    pub(crate) uploads: Uploads,
}

/// Why the application cannot be built.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each says what it is in its text")]
pub enum BuildError {
    #[error("the data folder `{path}` (`server.data_dir`) cannot be made: {source}")]
    DataFolder { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Cipher(#[from] CipherError),
    #[error("the network cannot be used: {0}")]
    Net(#[from] NetError),
    #[error("the database (`server.database_url`) cannot be used: {0}")]
    Store(#[from] StoreError),
    #[error(transparent)]
    Tools(#[from] ProgramsError),
    #[error("the media tools cannot be used: {0}")]
    Media(#[from] MediaError),
}

impl App {
    /// Builds it: makes the data folder and the master key where they are absent, and brings the
    /// database up to date.
    ///
    /// # Errors
    /// When one of its parts cannot be had.
    pub async fn new(settings: Settings) -> Result<Arc<Self>, BuildError> {
        Self::with_clock(settings, Arc::new(SystemClock)).await
    }

    /// As [`App::new`], with another source of "now".
    ///
    /// # Errors
    /// When one of its parts cannot be had.
    pub async fn with_clock(settings: Settings, clock: Arc<dyn Clock>) -> Result<Arc<Self>, BuildError> {
        let data = &settings.server.data_dir;
        data_folder::make_private(data)
            .map_err(|source| BuildError::DataFolder { path: data.clone(), source })?;
        if settings.server.database_url.is_none() {
            data_folder::create_database(data)
                .map_err(|source| BuildError::DataFolder { path: data.clone(), source })?;
        }
        let net = Client::new(Arc::new(settings.net.guard()), settings.net.client_options())?;
        let cipher = Cipher::load_or_create(&settings.master_key_file())?;
        let link_signer = LinkSigner::new(cipher.link_key());
        let store = Store::open(StoreOptions {
            url: settings.server.database_url(),
            cipher,
            clock,
            compose: callback::payload::compose,
        })
        .await?;
        let storages = Storages::new(settings.server.storage_dir(), net.clone())
            .with_retry_budget(settings.storage.retry_budget());
        let uploads = Uploads::new(settings.server.upload_dir());
        let clock = store.clock();
        Ok(Arc::new(Self { settings, store, storages, net, clock, link_signer, uploads }))
    }

    /// A new id for a task that is created now.
    pub fn new_task_id(&self) -> TaskId {
        TaskId::generate(self.clock.now(), &mut rand::rng())
    }

    /// A new id for a batch that is created now.
    pub fn new_batch_id(&self) -> BatchId {
        BatchId::generate(self.clock.now(), &mut rand::rng())
    }

    /// A new id for a storage.
    pub fn new_storage_id(&self) -> StorageId {
        StorageId::generate(&mut rand::rng())
    }
}

/// The media tools, tried for real; only processes that run tasks need them.
///
/// # Errors
/// When a tool is missing or does not run.
pub async fn media(settings: &Settings) -> Result<Media, BuildError> {
    let tools = Programs::find(settings.media.tools.as_deref())?;
    let hidden = vec![
        settings.server.data_dir.clone(),
        settings.server.storage_dir(),
        settings.server.upload_dir(),
        settings.master_key_file(),
    ];
    let options = media::MediaOptions { hidden, ..settings.media.media_options() };
    Ok(Media::new(tools, options).await?)
}
