//! Transfers: calls that keep their connection for as long as the client takes, uploads and the objects of
//! `file` storages. They leave a part of the connections to all other calls, and no tenant and no link has
//! all that they may have.

use std::{net::IpAddr, time::Duration};

use model::{ErrorCode, TenantId};

use super::{
    error::ApiError,
    shares::{Share, Shares, Taken},
};

/// When to ask again while there are as many as there may be.
const FULL_RETRY_AFTER: Duration = Duration::from_secs(5);

/// The transfers of this process.
pub(super) struct Transfers {
    shares: Shares<TransferHolder>,
}

/// Whose a transfer is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum TransferHolder {
    /// A call with a key of this tenant.
    Tenant(TenantId),
    /// Whoever calls from this address without a key.
    Address(IpAddr),
    /// Whoever has this signed link, by its signature.
    Link(String),
}

impl Transfers {
    /// Four fifths of the connections at most, and a quarter of them for one holder.
    pub(super) fn new(connections: usize) -> Self {
        Self { shares: Shares::new((connections * 4 / 5).max(1), connections.div_ceil(4)) }
    }

    /// Begins one; it is over when the share is dropped.
    ///
    /// # Errors
    /// 1007 when the holder has as many as one may, 1503 when all are taken.
    pub(super) fn begin(&self, holder: &TransferHolder) -> Result<Share<TransferHolder>, ApiError> {
        self.shares.acquire(holder).map_err(|taken| match (taken, holder) {
            (Taken::ByHolder, TransferHolder::Tenant(_)) => ApiError::rate_limited(
                "your keys send and fetch as many files at once as one tenant may; wait for one to end",
                FULL_RETRY_AFTER,
            ),
            (Taken::ByHolder, TransferHolder::Link(_)) => ApiError::rate_limited(
                "this link is open as often at once as one may; wait for one to end",
                FULL_RETRY_AFTER,
            ),
            (Taken::ByHolder, TransferHolder::Address(_)) => ApiError::rate_limited(
                "your address makes as many such calls at once as one may; wait for one to end",
                FULL_RETRY_AFTER,
            ),
            (Taken::ByAll, _) => ApiError::new(
                ErrorCode::Unavailable,
                "as many files are sent and fetched as there may be at once; try again",
            )
            .with_retry_after(FULL_RETRY_AFTER),
        })
    }
}
