//! The media crate with real tools: clips that FFmpeg makes on the spot and files of the test corpus go through
//! probe, plan, run and verify, and FFmpeg measures what comes out.
//!
//! | module | what it holds |
//! |---|---|
//! | [`probe`] | facts of the corpus's files that were established by hand |
//! | [`pipeline`] | real clips in every format; damaged outputs, broken programs, limits and cancelling |
//! | [`options`] | what templates and tasks may ask for |
//! | [`regressions`] | cases that other transcoders are known to get wrong |
//! | [`hostile`] | damaged inputs of every kind |
//! | [`players`] | outputs in real browsers |
//!
//! The tools lie in `BOREALIS_TOOLS`; without them a test says that it is skipped, and fails when `CI` is set. Every file
//! of the corpus as a test of its own is the binary `corpus`, which has a harness that lists them when it starts.

mod bench;
mod hostile;
mod measure;
mod options;
mod pipeline;
mod players;
mod probe;
mod regressions;
