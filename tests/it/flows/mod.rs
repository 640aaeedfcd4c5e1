//! The main job from end to end: the real program, a real input over HTTP, a real receiver.

mod arriving;
mod changes;
mod chaos;
mod delivery;
mod examples;
mod failures;
mod formats;
mod full_disk;
mod media_files;
mod misbehaving;
mod outage;
mod pictures;
mod policies;
mod receiver;
mod secrets;
mod session;
mod store_faults;
mod stores;
mod streaming;
mod uploads;
