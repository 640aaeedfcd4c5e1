//! ISO base media files (ISO/IEC 14496-12): boxes, the index (`moov`) and its sample tables, movie
//! fragments.

pub(crate) mod audio_entry;
pub(crate) mod boxes;
pub(crate) mod fragment;
pub(crate) mod index;
mod interleave;
mod sample_table;
pub(crate) mod sidx;
pub(crate) mod video_entry;
