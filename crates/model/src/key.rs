//! Access keys: who may call, and what they may do.

use crate::{TenantId, Timestamp, field::words};

words! {
    /// What a key may do.
    Role {
        /// everything, keys included
        Admin = "admin",
        /// everything but keys
        Member = "member",
        /// look, never change
        Read = "read",
    }
}

/// A key as it is known: its secret is kept only as a hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    /// The public half, sent as the user name of HTTP Basic.
    pub access_key: String,
    /// Whose things the key sees.
    pub tenant: TenantId,
    /// What it may do.
    pub role: Role,
    /// The Argon2id hash of the secret, in PHC form.
    pub secret_hash: String,
    /// When it was made.
    pub created: Timestamp,
}
