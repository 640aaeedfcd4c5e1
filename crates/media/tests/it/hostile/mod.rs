//! Harmed files of every kind through all four steps: each ends soon, with an output that can be read and
//! is as long as what can be decoded of its input, or with a word that blames the input.
//!
//! `BOREALIS_FUZZ_SEED` chooses the harm (1 without it), `BOREALIS_FUZZ_INPUT` one input such as
//! `h264.ts/7`, whose folder is kept.

mod clips;
mod damage;
mod playback;

use std::{path::Path, time::Duration};

use self::damage::{Dice, Harm};
use crate::bench::Bench;
use borealis_media::MediaError;
use futures::{StreamExt, stream};
use model::ErrorCode;
use serde_json::{Value, json};

/// Harmed copies of each clip.
const COPIES: usize = 25;
/// Those that are worked on at once.
const AT_ONCE: usize = 2;
/// How long one may take.
const LONGEST: Duration = Duration::from_secs(20);

/// One harmed copy.
struct Input<'a> {
    name: String,
    clip: &'a Path,
    number: usize,
    dice: Dice,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn harmed_files_end_well_or_with_a_word() {
    let Some(bench) = Bench::find().await else { return };
    let seed = std::env::var("BOREALIS_FUZZ_SEED").map_or(1, |seed| seed.parse().expect("a number"));
    let only = std::env::var("BOREALIS_FUZZ_INPUT").ok();
    let clips = clips::all(&bench);
    let inputs = clips.iter().enumerate().flat_map(|(index, (name, clip))| {
        (0..COPIES).map(move |number| Input {
            name: format!("{name}/{number}"),
            clip,
            number,
            dice: Dice::new(&[seed, index as u64, number as u64]),
        })
    });
    let wanted = inputs.filter(|input| only.as_ref().is_none_or(|only| *only == input.name));
    let outcomes: Vec<_> = stream::iter(wanted)
        .map(|input| outcome(&bench, input, only.is_some()))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let wrong: Vec<String> = outcomes.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "seed {seed}:\n{}", wrong.join("\n"));
}

/// What is wrong with what becomes of it; none when all is well.
async fn outcome(bench: &Bench, mut input: Input<'_>, keep: bool) -> Option<String> {
    let work = tempfile::Builder::new().disable_cleanup(keep).tempdir().expect("a folder");
    let harmed = work.path().join("input");
    let harm = Harm::ALL[input.number % Harm::ALL.len()];
    let mut bytes = std::fs::read(input.clip).expect("a clip");
    harm.to(&mut bytes, &mut input.dice);
    std::fs::write(&harmed, bytes).expect("written");
    let template = template(input.number);
    let what = format!("{} ({harm:?}, {template})", input.name);
    let made = bench.make_in(work.path(), &harmed, template, json!({}));
    let made = tokio::time::timeout(LONGEST, made).await;
    let (becomes, wrong) = match made {
        Err(_) => ("nothing".to_owned(), Some(format!("takes more than {} s", LONGEST.as_secs()))),
        Ok(Err(error)) => (error.to_string(), blames_another(&error)),
        Ok(Ok(made)) => {
            (format!("{:.2} s", made.measured.duration), playback::wrong(bench, &made, &harmed).await)
        }
    };
    println!("{what}: {becomes}");
    if keep {
        println!("{}", work.path().display());
    }
    wrong.map(|wrong| format!("{what}: {wrong}"))
}

/// Formats are taken in turn.
fn template(number: usize) -> Value {
    match number % 5 {
        0 => json!({"format": "mp4"}),
        1 => json!({"format": "hls", "seg_time": 1}),
        2 => json!({"format": "hls", "seg_time": 1, "seg_type": "fmp4"}),
        3 => json!({"format": "dash", "seg_time": 1}),
        _ => json!({"format": "flv"}),
    }
}

/// Nothing but the input is to blame, and that is said.
fn blames_another(error: &MediaError) -> Option<String> {
    let right = matches!(
        error.code,
        ErrorCode::InvalidInput
            | ErrorCode::InputForbidden
            | ErrorCode::InputOverLimit
            | ErrorCode::NothingToTranscode
    );
    (!right || error.detail.is_empty()).then(|| format!("{} {error}\n{}", error.code.number(), error.log))
}
