//! Where the output of a new task goes: it takes nothing away that the task reads, and has no name that outputs give
//! to objects of their own.

use media::OutputLayout;
use model::{FieldError, Format, Input, InputLocation, OutputPath, Storage};

use super::error::ApiError;
use crate::app::App;

/// What the names of the folders of outputs end with.
const FOLDER_EXTENSIONS: [&str; 3] = [".hls", ".dash", ".files"];

/// The place of an output.
pub(super) struct OutputPlace<'a> {
    pub(super) app: &'a App,
    pub(super) storage: &'a Storage,
    pub(super) output: &'a OutputPath,
    pub(super) format: Format,
}

impl OutputPlace<'_> {
    /// Checks that no other output takes this one for an object of its own.
    ///
    /// # Errors
    /// When it lies in a folder that outputs have, with a name that they give.
    pub(super) fn check_name(&self) -> Result<(), FieldError> {
        let key = self.output.key();
        for (slash, _) in key.match_indices('/') {
            let (folder, path) = (&key[..slash], &key[slash + 1..]);
            let is_of_an_output = FOLDER_EXTENSIONS.iter().any(|extension| folder.ends_with(extension));
            if is_of_an_output && OutputLayout::try_folder_of(path).is_some() {
                let problem =
                    format!("`{path}` is a name that outputs give to their own objects in `{folder}`");
                return Err(FieldError::new("output", problem));
            }
        }
        Ok(())
    }

    /// Checks that the output does not take the place of what the task reads, the object `input` in the bucket
    /// of `read_with`. Where the two have other names for one object, that is found out before it is replaced.
    ///
    /// # Errors
    /// When it does.
    pub(super) async fn check_keeps(
        &self,
        field: &str,
        input: &Input,
        read_with: &Storage,
    ) -> Result<(), ApiError> {
        let InputLocation::Object { key, .. } = input.location() else { return Ok(()) };
        let is_own_bucket = read_with.id == self.storage.id;
        let is_beside = key
            .strip_prefix(&format!("{}/", self.output.folder(self.format)))
            .is_some_and(|path| OutputLayout::try_folder_of(path).is_some());
        let is_replaced = is_own_bucket && (key == self.output.key() || is_beside);
        if is_replaced || self.is_same_file(key, read_with).await {
            let uri = self.storage.uri(self.output.key());
            let problem = format!("`{uri}` would take the place of the {field} `{input}`; give another");
            return Err(ApiError::field("output", problem));
        }
        Ok(())
    }

    /// Whether two names on this machine are one file. Where that cannot be said, it is not.
    async fn is_same_file(&self, key: &str, read_with: &Storage) -> bool {
        match (self.app.storages.open(read_with), self.app.storages.open(self.storage)) {
            (Ok(from), Ok(to)) => from.is_same_file(key, &to, self.output.key()).await.unwrap_or(false),
            _ => false,
        }
    }
}
