//! The main job from end to end: the real program, a real input over HTTP, a real receiver.

mod chaos;
mod delivery;
mod examples;
mod failures;
mod formats;
mod media_files;
mod pictures;
mod receiver;
mod session;
mod stores;
