//! The table of players in `docs/figures.md`, between its two marks; the rest of the file is left as it
//! is.

use std::{fmt::Write as _, fs, path::Path};

use crate::players::{BROWSERS, Row};

const BEGIN: &str = "<!-- players -->\n";
const END: &str = "<!-- end of players -->\n";

/// Holds the document to what was seen, or writes it.
pub(crate) fn hold(rows: &[Row], columns: &[Vec<&str>]) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/figures.md");
    let text = fs::read_to_string(&file).expect("readable");
    let (before, rest) = text.split_once(BEGIN).expect("the table's place");
    let (found, after) = rest.split_once(END).expect("the table's end");
    let seen = table(rows, columns);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&file, format!("{before}{BEGIN}{seen}{END}{after}")).expect("written");
    } else {
        assert_eq!(
            found, seen,
            "docs/figures.md is not what is seen: UPDATE_DOCS=1 cargo test --package borealis-media --test it players"
        );
    }
}

fn table(rows: &[Row], columns: &[Vec<&str>]) -> String {
    let mut table = format!("\n| format | picture | sound | player | {} |\n", BROWSERS.join(" | "));
    table.push_str(&"|---".repeat(4 + BROWSERS.len()));
    table.push_str("|\n");
    for (number, (output, player)) in rows.iter().enumerate() {
        let cells: Vec<&str> = columns.iter().map(|column| column[number]).collect();
        let _ = writeln!(table, "| {} | {player} | {} |", output.cells().join(" | "), cells.join(" | "));
    }
    table + "\n"
}
