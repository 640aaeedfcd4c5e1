//! `borealis man`: the manual, a page for each subcommand.

use std::{fs, path::PathBuf};

use clap::{Args, CommandFactory as _};

use crate::cli::{self, print::print_line};

/// The arguments of `borealis man`.
#[derive(Args)]
pub(crate) struct ManArgs {
    /// The folder to write to, such as /usr/local/share/man/man1
    folder: PathBuf,
}

/// Runs the subcommand.
pub(super) fn run(args: &ManArgs) -> cli::Result {
    fs::create_dir_all(&args.folder)?;
    clap_mangen::generate_to(cli::CommandLine::command(), &args.folder)?;
    let pages = fs::read_dir(&args.folder)?.count();
    print_line(&format!("{pages} pages in {}", args.folder.display()))
}
