//! The table of the corpus in `docs/figures.md`, between its two marks; the rest of the file is left as
//! it is.

use std::{fmt::Write as _, fs, path::Path};

use crate::outcome::Row;

const BEGIN: &str = "<!-- corpus -->\n";
const END: &str = "<!-- end of corpus -->\n";

pub(crate) fn write(rows: &[(usize, String, Row)]) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/figures.md");
    let text = fs::read_to_string(&file).expect("readable");
    let (before, rest) = text.split_once(BEGIN).expect("the table's place");
    let (_, after) = rest.split_once(END).expect("the table's end");
    fs::write(&file, format!("{before}{BEGIN}{}{END}{after}", table(rows))).expect("written");
}

fn table(rows: &[(usize, String, Row)]) -> String {
    let mut table = format!("\n{} files, all as expected.\n\n", rows.len());
    table.push_str("| file | expected | outcome |\n|---|---|---|\n");
    for (_, name, Row { expected, outcome }) in rows {
        let cell = |text: &str| text.replace('|', "\\|").replace('`', "'");
        let _ = writeln!(table, "| `{}` | {expected} | {} |", cell(name), cell(outcome));
    }
    table + "\n"
}
