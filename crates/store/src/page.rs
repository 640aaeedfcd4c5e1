//! Pages of lists.

/// Which part of a list to give; lists are newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// How many entries to skip.
    pub offset: u64,
    /// The most entries to give.
    pub limit: u64,
}
