//! Pages of lists. Two generations of clients are in use: one pages with `count` and `start_num`, the other
//! with `limit` and `skip`.

use model::{FieldError, limits::MAX_PAGE_SIZE};
use store::Page;

/// Entries of a page unless the call says how many.
const DEFAULT_PAGE_SIZE: u32 = 20;

/// The page that a list call asks for, in either style.
pub(super) struct Paging {
    pub(super) count: Option<u32>,
    pub(super) start_num: Option<u32>,
    pub(super) limit: Option<u32>,
    pub(super) skip: Option<u32>,
}

impl Paging {
    /// The page; `count` and `start_num` win over `limit` and `skip`.
    ///
    /// # Errors
    /// When `count` or `limit` is over [`MAX_PAGE_SIZE`].
    pub(super) fn page(&self) -> Result<Page, FieldError> {
        let count = check_page_size("count", self.count)?;
        let limit = check_page_size("limit", self.limit)?;
        Ok(Page {
            offset: self.start_num.or(self.skip).unwrap_or(0).into(),
            limit: count.or(limit).unwrap_or(DEFAULT_PAGE_SIZE).into(),
        })
    }
}

/// Where the next page begins; none after the last. A page may have fewer entries than were asked for, for its
/// bytes are bounded too.
pub(super) fn next_start_num(page: Page, listed: usize, total: u64) -> Option<u64> {
    let next = page.offset + listed as u64;
    (listed > 0 && next < total).then_some(next)
}

/// The size that a call gives for a page, when it is within range.
///
/// # Errors
/// When it is over [`MAX_PAGE_SIZE`].
pub(super) fn check_page_size(field: &str, size: Option<u32>) -> Result<Option<u32>, FieldError> {
    match size {
        Some(size) if size as usize > MAX_PAGE_SIZE => {
            Err(FieldError::new(field, format!("{size} is out of range; give 1 to {MAX_PAGE_SIZE}")))
        }
        _ => Ok(size),
    }
}
