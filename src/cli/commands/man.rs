//! `borealis man`: the manual, a page for each subcommand.

use std::{fs, path::PathBuf};

use clap::{Args, CommandFactory as _};

use crate::cli::print::line;

/// The arguments of `borealis man`.
#[derive(Args)]
pub(crate) struct ManArgs {
    /// The folder to write to, such as /usr/local/share/man/man1
    folder: PathBuf,
}

/// Writes them.
pub(super) fn run(args: &ManArgs) -> crate::cli::Result {
    fs::create_dir_all(&args.folder)?;
    clap_mangen::generate_to(crate::cli::CommandLine::command(), &args.folder)?;
    let pages = fs::read_dir(&args.folder)?.count();
    line(&format!("{pages} pages in {}", args.folder.display()))
}
