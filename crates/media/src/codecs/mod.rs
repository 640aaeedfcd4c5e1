//! One file for each codec that comes out: what its limits are, and how its encoder is told.

pub(crate) mod aac;
pub(crate) mod h264;
