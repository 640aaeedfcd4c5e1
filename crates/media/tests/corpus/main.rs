//! Every file of the test corpus through the real pipeline, one test for each, as its manifest says:
//! transcoded or refused, and what of the source is in the output.
//!
//! The tests are listed when it starts, one for each file, so it is a binary of its own with a harness of its own.
//! The real files lie in `BOREALIS_TEST_MEDIA`, the made ones in `target/made-media` (`make test` fills
//! it). Where the manifest does not hold for us, `decided_otherwise.json` says so, and why. What is
//! absent is printed, and fails when `CI` is set. `UPDATE_DOCS` writes `docs/figures/corpus.md` when every file has run;
//! `BOREALIS_KEEP_OUTPUTS` names a folder for the outputs, to be looked at.

mod decoded;
mod manifest;
mod outcome;
mod table;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, Mutex},
};

use borealis_media::{Media, MediaOptions, PlanSettings, Programs};
use libtest_mimic::{Arguments, Failed, Trial};

use manifest::Entry;
use outcome::CorpusRow;

type Rows = Arc<Mutex<Vec<(usize, String, CorpusRow)>>>;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let entries = manifest::entries();
    let rows = Rows::default();
    let absent = entries.iter().filter(|entry| !outcome::is_there(entry)).count();
    let all = entries.len();
    let mut trials = vec![Trial::test("the_corpus_is_there", move || is_complete(all, absent))];
    for (number, entry) in entries.into_iter().enumerate().filter(|(_, entry)| outcome::is_there(entry)) {
        let rows = Arc::clone(&rows);
        let name = format!("{:03}_{}", number + 1, entry.title());
        trials.push(Trial::test(name, move || run(&entry, number, &rows)));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    if std::env::var_os("UPDATE_DOCS").is_some() && !conclusion.has_failed() {
        let mut rows = rows.lock().expect("not poisoned");
        rows.sort_by_key(|(number, ..)| *number);
        // a filter leaves files out, and a page without them would look like the whole corpus
        if all > 0 && rows.len() == all {
            table::write(&rows);
        } else {
            println!("docs/figures/corpus.md stays as it is: {} of {all} files have run", rows.len());
        }
    }
    conclusion.exit_code()
}

fn is_complete(all: usize, absent: usize) -> Result<(), Failed> {
    println!("skipped: {absent} of {all} files of the corpus are absent");
    match (all, absent, std::env::var_os("CI")) {
        (0, _, Some(_)) => Err("the corpus is absent".into()),
        (_, 1.., Some(_)) => {
            Err(format!("{absent} files are absent; scripts/test-media.sh makes them").into())
        }
        _ => Ok(()),
    }
}

fn run(entry: &Entry, number: usize, rows: &Rows) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let row = runtime.block_on(async {
        let media = Media::new(tools()?, settings()).await.map_err(|error| error.to_string())?;
        outcome::of(&media, entry, number).await
    })?;
    rows.lock().expect("not poisoned").push((number, entry.title(), row));
    Ok(())
}

fn tools() -> Result<Programs, String> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools");
    let folder = std::env::var_os("BOREALIS_TOOLS").map_or(default, PathBuf::from);
    let folder = std::path::absolute(folder).map_err(|error| error.to_string())?;
    Programs::find(Some(&folder)).map_err(|error| error.to_string())
}

fn settings() -> MediaOptions {
    MediaOptions {
        plan: PlanSettings { x264_preset: "ultrafast".to_owned(), threads: 1, ..PlanSettings::default() },
        ..MediaOptions::default()
    }
}
