//! What a browser reported, judged.

use serde_json::Value;

use crate::players::{Row, SECONDS, outputs::Output};

/// Standard deviation of luma; the test picture has some 60.
const FLAT: f64 = 15.0;
/// Root of the mean square of samples; the test sound has some 0.09.
const SILENT: f64 = 0.01;

/// The cell of each row: what stands in the table, or what is wrong.
pub(crate) fn column(browser: &str, rows: &[Row], results: Vec<Value>) -> Vec<Result<&'static str, String>> {
    let cell = |(number, (output, player)): (usize, &Row)| {
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

/// Sound that runs without a picture has no width and no frames.
fn is_right(result: &Value, output: Output) -> bool {
    let number = |name: &str| result[name].as_f64().unwrap_or(0.0);
    let variations = result["variations"].as_array().map_or(&[][..], Vec::as_slice);
    let shows = number("width") > 0.0
        && number("height") > 0.0
        && number("frames") > 10.0
        && variations.len() > 2
        && variations.iter().all(|variation| variation.as_f64().is_some_and(|luma| luma > FLAT));
    result["failed"].is_null()
        && (shows || !output.has_picture())
        && (number("loudest") > SILENT || !output.has_sound())
        && (number("duration") - SECONDS).abs() < 0.2
        && (number("at") - SECONDS).abs() < 0.2
}
