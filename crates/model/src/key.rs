//! Access keys: who may call the API, and what they may do.

use crate::{TenantId, Timestamp, field::word_enum};

word_enum! {
    /// What a key may do.
    Role {
        /// everything, keys included
        Admin = "admin",
        /// everything but keys
        Member = "member",
        /// everything that changes nothing
        Read = "read",
    }
}

/// An access key as it is stored: of its secret key there is only a hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    /// The public half, sent as the user name of HTTP Basic.
    pub access_key: String,
    /// The tenant whose resources it can see.
    pub tenant: TenantId,
    /// What it may do.
    pub role: Role,
    /// The Argon2id hash of the secret key, in PHC string format.
    pub secret_hash: String,
    /// When it was created.
    pub created: Timestamp,
}
