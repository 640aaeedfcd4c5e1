//! A folder that child processes write to, and that is not believed: a program that an input has taken over
//! may leave links, pipes and sockets in it. What is opened here is a plain file beneath the folder that
//! has no second name elsewhere, or it is an error.
//!
//! It is the only way in: nothing below such a folder is opened by its path (`tests/it/house_rules.rs`).

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat, openat2, statat},
    io::Errno,
};

/// Files and folders below one folder: 12 h in segments of a second, of many renditions.
const MAX_ENTRIES: usize = model::limits::MAX_OUTPUT_ENTRIES;
/// Folders within folders.
const MAX_DEPTH: usize = model::limits::MAX_OUTPUT_DEPTH;
/// How often an opening is tried that the kernel could not decide on (openat2(2), EAGAIN).
const MAX_OPEN_TRIES: usize = 16;

/// Never out of the folder, never through a link.
const BENEATH: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

/// A folder that children write to, held open: another folder in its place would not be taken for it.
#[derive(Debug)]
pub struct WorkFolder {
    path: PathBuf,
    root: OwnedFd,
}

/// A file below a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkFile {
    /// Its path below the folder.
    pub path: String,
    /// Its size.
    pub bytes: u64,
}

/// Something else than a plain file with one name; no tool leaves that behind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` {problem}")]
pub struct NotPlain {
    path: String,
    problem: &'static str,
}

impl NotPlain {
    /// Whether this is why something could not be opened.
    pub fn is_cause_of(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|cause| cause.is::<Self>())
    }
}

fn not_plain(path: &Path, problem: &'static str) -> io::Error {
    let path = path.to_string_lossy().escape_debug().to_string();
    io::Error::other(NotPlain { path, problem })
}

impl WorkFolder {
    /// The folder at this path, which children cannot change: only what is below it is theirs.
    ///
    /// # Errors
    /// When it is not there or no folder.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let root = openat(CWD, path, flags, Mode::empty())?;
        Ok(Self { path: path.to_owned(), root })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a file to be read. Paths here are those below the folder, or whole ones.
    ///
    /// # Errors
    /// When it is not there or not plain.
    pub fn open_file(&self, path: impl AsRef<Path>) -> io::Result<File> {
        self.open_plain(path.as_ref(), OFlags::RDONLY).map(File::from)
    }

    /// Opens a file to be changed in place.
    ///
    /// # Errors
    /// As [`WorkFolder::open_file`].
    pub(crate) fn open_to_change(&self, path: impl AsRef<Path>) -> io::Result<File> {
        self.open_plain(path.as_ref(), OFlags::RDWR).map(File::from)
    }

    /// The size of a file.
    ///
    /// # Errors
    /// As [`WorkFolder::open_file`].
    pub fn bytes_of(&self, path: impl AsRef<Path>) -> io::Result<u64> {
        let path = self.below(path.as_ref())?;
        let file = open_beneath(self.root.as_fd(), path, OFlags::PATH, Mode::empty())?;
        Ok(size(&check_plain(path, &file)?))
    }

    /// Whether this is a file, and a plain one.
    pub fn has_file(&self, path: impl AsRef<Path>) -> bool {
        self.bytes_of(path).is_ok()
    }

    /// Reads a whole file.
    ///
    /// # Errors
    /// As [`WorkFolder::open_file`]; when it has more than `max_bytes`.
    pub fn read(&self, path: impl AsRef<Path>, max_bytes: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        // one more, so that a file is noticed that grew beyond its size
        self.open_file(path)?.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > max_bytes {
            return Err(io::Error::other(format!("it has more than {max_bytes} bytes")));
        }
        Ok(bytes)
    }

    /// Reads a whole file that is text.
    ///
    /// # Errors
    /// As [`WorkFolder::read`]; when it is not UTF-8.
    pub fn read_text(&self, path: impl AsRef<Path>, max_bytes: u64) -> io::Result<String> {
        String::from_utf8(self.read(path, max_bytes)?).map_err(io::Error::other)
    }

    /// Writes a whole file; one that is there is overwritten.
    ///
    /// # Errors
    /// When it cannot be written, or what is there is not plain.
    pub fn write(&self, path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        // it is emptied only when it is known to be plain
        let mut file = File::from(self.open_plain(path.as_ref(), OFlags::WRONLY | OFlags::CREATE)?);
        file.set_len(0)?;
        file.write_all(bytes.as_ref())
    }

    /// All files, in no order. What goes while they are listed is left out.
    ///
    /// # Errors
    /// When something is there that is neither a plain file nor a folder, or far more than any output has.
    pub fn files(&self) -> io::Result<Vec<WorkFile>> {
        let mut listing = FoundFiles::default();
        self.list(Path::new(""), 0, &mut listing)?;
        Ok(listing.files)
    }

    fn list(&self, folder: &Path, depth: usize, listing: &mut FoundFiles) -> io::Result<()> {
        let opened = self.open_folder(folder)?;
        for entry in Dir::read_from(&opened)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let Ok(text) = name.to_str() else {
                return Err(not_plain(&folder.join("…"), "has a name that is not UTF-8"));
            };
            let path = folder.join(text);
            listing.entries += 1;
            if listing.entries > MAX_ENTRIES || depth > MAX_DEPTH {
                return Err(not_plain(&path, "is more than an output has"));
            }
            let stat = match statat(&opened, name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => continue,
                stat => stat?,
            };
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                match self.list(&path, depth + 1, listing) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    listed => listed?,
                }
                continue;
            }
            check_stat(&path, &stat)?;
            let path = path.into_os_string().into_string().unwrap_or_default();
            listing.files.push(WorkFile { path, bytes: size(&stat) });
        }
        Ok(())
    }

    fn open_folder(&self, folder: &Path) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        if folder.as_os_str().is_empty() {
            return Ok(openat(&self.root, ".", flags, Mode::empty())?);
        }
        open_beneath(self.root.as_fd(), folder, flags, Mode::empty())
    }

    fn open_plain(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let path = self.below(path)?;
        // a named pipe is opened without waiting for its other end, and refused
        let flags = flags | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = open_beneath(self.root.as_fd(), path, flags, Mode::RUSR | Mode::WUSR)?;
        check_plain(path, &file)?;
        Ok(file)
    }

    /// The path below the folder.
    fn below<'a>(&self, path: &'a Path) -> io::Result<&'a Path> {
        let below = if path.is_absolute() { path.strip_prefix(&self.path).ok() } else { Some(path) };
        below.ok_or_else(|| not_plain(path, "is not below the work folder"))
    }
}

/// What was found so far.
#[derive(Default)]
struct FoundFiles {
    files: Vec<WorkFile>,
    entries: usize,
}

fn check_plain(path: &Path, file: &OwnedFd) -> io::Result<Stat> {
    let stat = fstat(file)?;
    check_stat(path, &stat)?;
    Ok(stat)
}

/// A file that was replaced since it was opened has no name any more, which is well.
fn check_stat(path: &Path, stat: &Stat) -> io::Result<()> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile if stat.st_nlink <= 1 => Ok(()),
        FileType::RegularFile => Err(not_plain(path, "has a second name (hard link)")),
        FileType::Symlink => Err(not_plain(path, "is a symbolic link")),
        _ => Err(not_plain(path, "is no file")),
    }
}

fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or_default()
}

/// Opens what lies beneath `root` without following a link, as the kernel resolves it (openat2(2), Linux
/// 5.6), or step by step where it cannot.
fn open_beneath(root: BorrowedFd<'_>, path: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
    if path.components().any(|part| !matches!(part, Component::Normal(_))) {
        return Err(not_plain(path, "is no path below the work folder"));
    }
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mode = if flags.contains(OFlags::CREATE) { mode } else { Mode::empty() };
    for _ in 0..MAX_OPEN_TRIES {
        let opened = match openat2(root, path, flags, mode, BENEATH) {
            Err(Errno::AGAIN | Errno::INTR) => continue,
            // a filter of system calls that does not know it says EPERM
            Err(Errno::NOSYS | Errno::PERM) => open_step_by_step(root, path, flags, mode),
            opened => opened,
        };
        return opened.map_err(|error| explain(path, error));
    }
    Err(Errno::AGAIN.into())
}

fn open_step_by_step(
    root: BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
    mode: Mode,
) -> rustix::io::Result<OwnedFd> {
    let mut steps = path.components().peekable();
    let mut folder: Option<OwnedFd> = None;
    while let Some(step) = steps.next() {
        let within = folder.as_ref().map_or(root, AsFd::as_fd);
        if steps.peek().is_none() {
            return openat(within, step.as_os_str(), flags, mode);
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        folder = Some(openat(within, step.as_os_str(), flags, Mode::empty())?);
    }
    Err(Errno::NOENT)
}

fn explain(path: &Path, error: Errno) -> io::Error {
    match error {
        Errno::LOOP => not_plain(path, "is a symbolic link, or lies behind one"),
        Errno::XDEV => not_plain(path, "leads out of the work folder"),
        // of a socket, and of a pipe without a reader
        Errno::NXIO => not_plain(path, "is no file"),
        // of a link in the middle where the kernel cannot resolve the whole path
        Errno::NOTDIR => not_plain(path, "lies behind what is no folder"),
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::{fs::symlink, net::UnixListener},
    };

    use rstest::rstest;

    use super::*;

    const SECRET: &str = "the master key";

    /// A folder as a program that was taken over leaves it, beside a secret.
    fn hostile() -> (tempfile::TempDir, WorkFolder) {
        let all = tempfile::tempdir().expect("a folder");
        let (secrets, out) = (all.path().join("secrets"), all.path().join("out"));
        for folder in [&secrets, &out.join("files")] {
            fs::create_dir_all(folder).expect("made");
        }
        fs::write(secrets.join("key"), SECRET).expect("written");
        fs::write(out.join("files/plain"), "plain").expect("written");
        symlink(secrets.join("key"), out.join("link")).expect("linked");
        symlink("../secrets/key", out.join("relative")).expect("linked");
        symlink(&secrets, out.join("behind")).expect("linked");
        symlink("files/plain", out.join("within")).expect("linked");
        symlink("nowhere", out.join("dangling")).expect("linked");
        symlink("/proc/self/environ", out.join("magic")).expect("linked");
        fs::hard_link(secrets.join("key"), out.join("second")).expect("linked");
        rustix::fs::mkfifoat(CWD, out.join("pipe"), Mode::RUSR | Mode::WUSR).expect("made");
        drop(UnixListener::bind(out.join("socket")).expect("bound"));
        let folder = WorkFolder::open(&out).expect("opened");
        (all, folder)
    }

    #[rstest]
    #[case("link")]
    #[case("relative")]
    #[case("behind/key")]
    #[case("within")]
    #[case("dangling")]
    #[case("magic")]
    #[case("second")]
    #[case("pipe")]
    #[case("socket")]
    #[case("files")]
    #[case("../secrets/key")]
    #[case("files/../../secrets/key")]
    #[case("/etc/passwd")]
    #[case("")]
    fn what_is_not_plain_is_neither_read_nor_written(#[case] path: &str) {
        let (all, folder) = hostile();
        for error in [
            folder.read(path, 1000).expect_err("refused"),
            folder.open_to_change(path).expect_err("refused"),
            folder.write(path, "overwritten").expect_err("refused"),
            folder.bytes_of(path).expect_err("refused"),
        ] {
            let is_refused = NotPlain::is_cause_of(&error);
            assert!(is_refused || matches!(path, "files" | ""), "{error}");
        }
        assert!(!folder.has_file(path));
        assert_eq!(fs::read_to_string(all.path().join("secrets/key")).expect("there"), SECRET);
        assert_eq!(fs::read_to_string(all.path().join("out/files/plain")).expect("there"), "plain");
        assert!(!all.path().join("out/nowhere").exists());
    }

    #[rstest]
    #[case("link")]
    #[case("behind/key")]
    #[case("within")]
    fn without_openat2_no_link_is_followed_either(#[case] path: &str) {
        let (_all, folder) = hostile();
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let root = folder.root.as_fd();
        open_step_by_step(root, Path::new(path), flags, Mode::empty()).expect_err("refused");
        open_step_by_step(root, Path::new("files/plain"), flags, Mode::empty()).expect("opened");
    }

    #[test]
    fn plain_files_are_read_written_and_listed() {
        let all = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(all.path().join("files/360p")).expect("made");
        let folder = WorkFolder::open(all.path()).expect("opened");
        folder.write("files/360p/one", "long").expect("written");
        folder.write(all.path().join("files/360p/one"), "new").expect("overwritten");
        assert_eq!(folder.read_text("files/360p/one", 3).expect("read"), "new");
        assert_eq!(
            folder.read("files/360p/one", 2).expect_err("too long").to_string(),
            "it has more than 2 bytes"
        );
        let one = WorkFile { path: "files/360p/one".to_owned(), bytes: 3 };
        assert_eq!(folder.files().expect("listed"), [one]);
        assert_eq!(folder.open_file("none").expect_err("absent").kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn nothing_is_listed_beside_what_is_not_plain() {
        for name in ["link", "behind", "dangling", "second", "pipe", "socket"] {
            let (all, _) = hostile();
            let out = all.path().join("alone");
            fs::create_dir_all(out.join("files")).expect("made");
            fs::rename(all.path().join("out").join(name), out.join("files").join(name)).expect("moved");
            let error = WorkFolder::open(&out).expect("opened").files().expect_err("refused");
            assert!(NotPlain::is_cause_of(&error), "{error}");
            assert!(error.to_string().starts_with(&format!("`files/{name}` ")), "{error}");
        }
    }

    #[test]
    fn folders_without_end_are_refused() {
        let all = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(all.path().join("d/".repeat(MAX_DEPTH + 3))).expect("made");
        let error = WorkFolder::open(all.path()).expect("opened").files().expect_err("refused");
        assert!(NotPlain::is_cause_of(&error), "{error}");
    }
}
