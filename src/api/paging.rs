//! Pieces of lists. Two generations of clients are in use: one counts with `count` and
//! `start_num`, the other with `limit` and `skip`.

use model::FieldError;
use store::Page;

/// How many are given unless the call says.
const USUAL: u32 = 20;

/// How many are given at most.
pub(super) const MOST: u32 = 1000;

/// What a list call says about its piece, in either style.
pub(super) struct Paging {
    pub(super) count: Option<u32>,
    pub(super) start_num: Option<u32>,
    pub(super) limit: Option<u32>,
    pub(super) skip: Option<u32>,
}

impl Paging {
    /// The piece; `count` and `start_num` go before `limit` and `skip`.
    ///
    /// # Errors
    /// When more is asked for than is given.
    pub(super) fn page(&self) -> Result<Page, FieldError> {
        for (field, value) in [("count", self.count), ("limit", self.limit)] {
            if let Some(value) = value.filter(|value| *value > MOST) {
                return Err(FieldError::new(field, format!("{value} is too many; give 1 to {MOST}")));
            }
        }
        Ok(Page {
            offset: self.start_num.or(self.skip).unwrap_or(0).into(),
            limit: self.count.or(self.limit).unwrap_or(USUAL).into(),
        })
    }
}
