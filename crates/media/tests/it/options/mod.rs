//! What templates and tasks may ask for, on clips that FFmpeg makes; each option is measured in what comes out.

mod clip;
mod codecs;
mod copy;
mod growing;
mod logo;
mod loudness;
mod mixing;
mod paths;
mod thumbnails;
mod unfit_copies;
