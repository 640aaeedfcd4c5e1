//! `docs/figures/players.md`: what plays where.

use std::{fmt::Write as _, fs, path::Path};

use crate::players::{BROWSERS, PlayerRow};

/// The versions of the players are those of `scripts/test-servers.sh`.
const HEAD: &str = "\
# Figures: players

Every format with every codec, as the test `players` of `borealis-media` plays 3 s of it in Debian's Chromium and
Firefox ESR, by hls.js 1.7.4, shaka-player 5.2.12, mpegts.js 1.8.2 and the plain `<video>` element (`element`). *Yes*:
played, switched to the other rendition, sought, played to the end, with decoded frames, a video that is not flat at
each of these points, and audio: heard in Chromium; Firefox, which has no sound card in the test, says that there is
some. *Not offered*: the browser itself says (`canPlayType`, `MediaSource.isTypeSupported`) that it cannot decode the
codec. *copy*: of H.264 with B-frames and AAC, in one size.

shaka-player switches with the next segment there. Asked to throw away what it has buffered
(`selectVariantTrack(track, true)`), it sometimes stands still in Firefox and asks for no more segments; it does the
same with what FFmpeg's own DASH muxer writes.

Written by `UPDATE_DOCS=1 cargo test --package borealis-media --test it players`; without it the test fails when the
table is not what it sees.
";

/// Holds the page to what was seen, or writes it.
pub(crate) fn check_or_write(rows: &[PlayerRow], columns: &[Vec<&str>]) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/figures/players.md");
    let seen = format!("{HEAD}{}", table(rows, columns));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&page, seen).expect("written");
        return;
    }
    let found = fs::read_to_string(&page).expect("readable");
    assert_eq!(
        found, seen,
        "docs/figures/players.md is not what is seen: UPDATE_DOCS=1 cargo test --package borealis-media --test it players"
    );
}

fn table(rows: &[PlayerRow], columns: &[Vec<&str>]) -> String {
    let mut table = format!("\n| format | video | audio | player | {} |\n", BROWSERS.join(" | "));
    table.push_str(&"|---".repeat(4 + BROWSERS.len()));
    table.push_str("|\n");
    for (number, (output, player)) in rows.iter().enumerate() {
        let cells: Vec<&str> = columns.iter().map(|column| column[number]).collect();
        let _ = writeln!(table, "| {} | {player} | {} |", output.cells().join(" | "), cells.join(" | "));
    }
    table
}
