//! Damaged files of every kind through all four steps: each ends soon, either with an output that can be decoded and
//! has the duration of what can be decoded of its input, or with an error that blames the input.
//!
//! `BOREALIS_FUZZ_SEED` chooses the damage (1 without it), `BOREALIS_FUZZ_INPUT` one input such as
//! `h264.ts/7`, whose folder is kept.

mod clips;
mod damage;
mod playback;
mod taken_over;
mod too_much;

use std::{path::Path, time::Duration};

use self::damage::{Damage, SplitMix64};
use crate::bench::Bench;
use borealis_media::MediaError;
use futures::{StreamExt, stream};
use model::ErrorCode;
use serde_json::{Value, json};

/// Damaged copies of each clip.
const COPIES: usize = 25;
const CONCURRENT_COPIES: usize = 2;
/// All four steps of one copy.
const MAX_DURATION: Duration = Duration::from_secs(20);

/// A copy that is to be damaged.
struct DamagedCopy<'a> {
    name: String,
    clip: &'a Path,
    number: usize,
    rng: SplitMix64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn harmed_files_end_well_or_with_a_word() {
    let Some(bench) = Bench::find().await else { return };
    let seed = std::env::var("BOREALIS_FUZZ_SEED").map_or(1, |seed| seed.parse().expect("a number"));
    let only = std::env::var("BOREALIS_FUZZ_INPUT").ok();
    let clips = clips::all(&bench);
    let copies = clips.iter().enumerate().flat_map(|(index, (name, clip))| {
        (0..COPIES).map(move |number| DamagedCopy {
            name: format!("{name}/{number}"),
            clip,
            number,
            rng: SplitMix64::new(&[seed, index as u64, number as u64]),
        })
    });
    let copies = copies.filter(|copy| only.as_ref().is_none_or(|only| *only == copy.name));
    let faults: Vec<_> = stream::iter(copies)
        .map(|copy| find_fault(&bench, copy, only.is_some()))
        .buffer_unordered(CONCURRENT_COPIES)
        .collect()
        .await;
    let faults: Vec<String> = faults.into_iter().flatten().collect();
    assert!(faults.is_empty(), "seed {seed}:\n{}", faults.join("\n"));
}

/// What is wrong with the outcome of a copy; none when all is well.
async fn find_fault(bench: &Bench, mut copy: DamagedCopy<'_>, keep: bool) -> Option<String> {
    let work = tempfile::Builder::new().disable_cleanup(keep).tempdir().expect("a folder");
    let input = work.path().join("input");
    let damage = Damage::ALL[copy.number % Damage::ALL.len()];
    let mut bytes = std::fs::read(copy.clip).expect("a clip");
    damage.apply(&mut bytes, &mut copy.rng);
    std::fs::write(&input, bytes).expect("written");
    let template = template_in_turn(copy.number);
    let description = format!("{} ({damage:?}, {template})", copy.name);
    let transcoded = bench.transcode_in(work.path(), &input, template, json!({}));
    let (outcome, fault) = match tokio::time::timeout(MAX_DURATION, transcoded).await {
        Err(_) => ("nothing".to_owned(), Some(format!("takes more than {} s", MAX_DURATION.as_secs()))),
        Ok(Err(error)) => (error.to_string(), fault_of_error(&error)),
        Ok(Ok(output)) => {
            let fault = playback::find_fault(bench, &output, &input).await;
            (format!("{:.2} s", output.measured.duration), fault)
        }
    };
    println!("{description}: {outcome}");
    if keep {
        println!("{}", work.path().display());
    }
    fault.map(|fault| format!("{description}: {fault}"))
}

/// Each format in turn.
fn template_in_turn(number: usize) -> Value {
    match number % 5 {
        0 => json!({"format": "mp4"}),
        1 => json!({"format": "hls", "seg_time": 1}),
        2 => json!({"format": "hls", "seg_time": 1, "seg_type": "fmp4"}),
        3 => json!({"format": "dash", "seg_time": 1}),
        _ => json!({"format": "flv"}),
    }
}

/// An error blames the input, and says why; what is wrong with one that does not.
fn fault_of_error(error: &MediaError) -> Option<String> {
    let blames_input = matches!(
        error.code,
        ErrorCode::InvalidInput
            | ErrorCode::InputForbidden
            | ErrorCode::InputOverLimit
            | ErrorCode::NothingToTranscode
    );
    if blames_input && !error.detail.is_empty() {
        return None;
    }
    Some(format!("{} {error}\n{}", error.code.number(), error.log))
}
