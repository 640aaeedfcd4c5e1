//! What a browser reported, held to what an output should show.

use serde_json::Value;

use crate::players::{DURATION_SECS, PlayerRow, outputs::PlayedOutput};

/// Standard deviation of luma; `testsrc2` has some 60.
const MIN_LUMA_DEVIATION: f64 = 15.0;
/// RMS of the samples; the tone has some 0.09.
const MIN_RMS: f64 = 0.01;

/// The cell of each row of the table, or what is wrong.
pub(crate) fn column(
    browser: &str,
    rows: &[PlayerRow],
    results: Vec<Value>,
) -> Vec<Result<&'static str, String>> {
    let cell = |(number, (output, player)): (usize, &PlayerRow)| {
        let row = format!("{browser}, {player}: {}", output.cells().join(", "));
        let Some(result) = results.iter().find(|result| result["id"] == number) else {
            return Err(format!("{row}: nothing was reported"));
        };
        if result["offered"] == false {
            return Ok("not offered");
        }
        if !is_right(result, *output) {
            return Err(format!("{row}: {result}"));
        }
        Ok("yes")
    };
    rows.iter().enumerate().map(cell).collect()
}

/// Audio that plays without its video has no width and no frames.
fn is_right(result: &Value, output: PlayedOutput) -> bool {
    let number = |name: &str| result[name].as_f64().unwrap_or(0.0);
    let variations = result["variations"].as_array().map_or(&[][..], Vec::as_slice);
    let shows = number("width") > 0.0
        && number("height") > 0.0
        && number("frames") > 10.0
        && variations.len() > 2
        && variations
            .iter()
            .all(|variation| variation.as_f64().is_some_and(|luma| luma > MIN_LUMA_DEVIATION));
    result["failed"].is_null()
        && (shows || !output.has_video())
        && (number("loudest") > MIN_RMS || !output.has_audio())
        && (number("duration") - DURATION_SECS).abs() < 0.2
        && (number("at") - DURATION_SECS).abs() < 0.2
}
