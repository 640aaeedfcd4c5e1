//! The data folder: what is in it is nobody's but the server's own, whatever the umask says.
//!
//! The folder cannot be listed or written to by others. Whether they may pass through it, to outputs of `file`
//! storages, is the operator's to say (0711): files in these have the modes that the umask gives them.

use std::{
    fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

/// The mode of folders that are the server's own.
const PRIVATE_DIR: u32 = 0o700;
/// The mode of files that are the server's own.
const PRIVATE_FILE: u32 = 0o600;
/// What others may not do with the data folder: list it, and write to it.
const LIST_AND_WRITE: u32 = 0o066;
/// Everything that others may do.
const ALL_OTHERS: u32 = 0o077;

/// The database that is made here unless another one is set.
pub(crate) const DATABASE: &str = "borealis.db";
/// The master key that is made here unless another one is set.
pub(crate) const MASTER_KEY: &str = "master.key";
/// What the server keeps here, beside the outputs of `file` storages.
const OWN: [&str; 6] = [DATABASE, "borealis.db-wal", "borealis.db-shm", MASTER_KEY, "uploads", "work"];

/// Makes the folder where it is absent, and takes away what others may do in one that is there and is ours.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn make_private(folder: &Path) -> io::Result<()> {
    create_dir(folder)?;
    let metadata = fs::metadata(folder)?;
    if !is_ours(&metadata) || !holds_our_files(folder)? {
        if metadata.mode() & LIST_AND_WRITE != 0 {
            tracing::warn!(
                folder = %folder.display(),
                mode = format!("{:o}", metadata.mode() & 0o777),
                "others can read the data folder, which is left as it is; give the server one of its own"
            );
        }
        return Ok(());
    }
    if metadata.mode() & LIST_AND_WRITE != 0 {
        tighten(folder, &metadata, ALL_OTHERS);
    }
    for name in OWN {
        let path = folder.join(name);
        match fs::symlink_metadata(&path) {
            Ok(metadata) if is_ours(&metadata) && !metadata.is_symlink() => {
                tighten(&path, &metadata, ALL_OTHERS)
            }
            _ => {}
        }
    }
    Ok(())
}

/// Makes a folder for the server alone, and those above it.
pub(crate) fn create_dir(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(PRIVATE_DIR).create(folder)
}

/// Makes a new file for the server alone.
pub(crate) fn create_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(PRIVATE_FILE).open(path)
}

/// An empty database for the server alone, unless there is one: SQLite would make it as the umask says, and gives what
/// belongs to it the same mode.
pub(crate) fn create_database(folder: &Path) -> io::Result<()> {
    match create_file(&folder.join(DATABASE)) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        created => created.map(drop),
    }
}

fn is_ours(metadata: &Metadata) -> bool {
    metadata.uid() == rustix::process::geteuid().as_raw()
}

/// A folder with other things in it, such as a home, is not to be changed.
fn holds_our_files(folder: &Path) -> io::Result<bool> {
    let is_known = [DATABASE, MASTER_KEY].iter().any(|name| folder.join(name).exists());
    Ok(is_known || fs::read_dir(folder)?.next().is_none())
}

fn tighten(path: &Path, metadata: &Metadata, forbidden: u32) {
    let mode = metadata.mode() & 0o7777;
    if mode & forbidden == 0 {
        return;
    }
    match fs::set_permissions(path, Permissions::from_mode(mode & !forbidden)) {
        Ok(()) => tracing::info!(path = %path.display(), "others could read it, and cannot any more"),
        Err(error) => tracing::warn!(path = %path.display(), %error, "others can read it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("there").mode() & 0o777
    }

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("set");
    }

    #[test]
    fn one_that_is_made_is_private() {
        let above = tempfile::tempdir().expect("a folder");
        let data = above.path().join("a/b");
        make_private(&data).expect("made");
        create_database(&data).expect("made");
        create_database(&data).expect("there");
        assert_eq!((mode(&data), mode(&data.join(DATABASE))), (0o700, 0o600));
    }

    #[test]
    fn an_earlier_one_becomes_private_but_for_its_outputs() {
        let data = tempfile::tempdir().expect("a folder");
        let data = data.path();
        fs::create_dir_all(data.join("storage/media")).expect("made");
        fs::create_dir_all(data.join("uploads")).expect("made");
        for file in [DATABASE, "borealis.db-wal", MASTER_KEY, "storage/media/a.mp4", "other"] {
            fs::write(data.join(file), "x").expect("written");
            set(&data.join(file), 0o644);
        }
        for folder in ["", "storage", "uploads"] {
            set(&data.join(folder), 0o755);
        }
        make_private(data).expect("tightened");
        let modes =
            ["", DATABASE, "borealis.db-wal", MASTER_KEY, "uploads"].map(|name| mode(&data.join(name)));
        assert_eq!(modes, [0o700, 0o600, 0o600, 0o600, 0o700]);
        assert_eq!(mode(&data.join("storage")), 0o755);
        assert_eq!(mode(&data.join("storage/media/a.mp4")), 0o644);
        set(data, 0o711);
        make_private(data).expect("left");
        assert_eq!(mode(data), 0o711, "others may pass where the operator says so");
    }

    #[test]
    fn a_folder_of_other_things_is_left_alone() {
        let home = tempfile::tempdir().expect("a folder");
        fs::write(home.path().join("letter"), "x").expect("written");
        set(home.path(), 0o755);
        make_private(home.path()).expect("left");
        assert_eq!((mode(home.path()), mode(&home.path().join("letter"))), (0o755, 0o644));
    }
}
