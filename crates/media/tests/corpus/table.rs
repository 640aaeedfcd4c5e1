//! `docs/figures/corpus.md`: what becomes of every file of the corpus.

use std::{fmt::Write as _, fs, path::Path};

use crate::outcome::CorpusRow;

const HEAD: &str = "\
# Figures: the test corpus

Every file of the test corpus through the real pipeline, to MP4 at 360p, and the odd ones to a second format as well.
Written by `UPDATE_DOCS=1 cargo test --package borealis-media --test corpus`.
";

pub(crate) fn write(rows: &[(usize, String, CorpusRow)]) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/figures/corpus.md");
    fs::write(page, format!("{HEAD}{}", table(rows))).expect("written");
}

fn table(rows: &[(usize, String, CorpusRow)]) -> String {
    let mut table = format!("\n{} files, all as expected.\n\n", rows.len());
    table.push_str("| file | expected | outcome |\n|---|---|---|\n");
    for (_, name, CorpusRow { expected, outcome }) in rows {
        let cell = |text: &str| text.replace('|', "\\|").replace('`', "'");
        let _ = writeln!(table, "| `{}` | {expected} | {} |", cell(name), cell(outcome));
    }
    table
}
