//! What a task may wish for beyond plain outputs, on clips that FFmpeg makes: each is measured in what
//! comes out. The tools lie in `BOREALIS_TOOLS`; without them nothing is tested, which fails when `CI`
//! is set.

mod clip;
mod codecs;
mod copy;
mod growing;
mod logo;
mod loudness;
mod mixing;
mod paths;
mod thumbnails;
