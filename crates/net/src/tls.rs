//! TLS as every outgoing connection speaks it: 1.2 and 1.3 by rustls with ring.
//!
//! The system's root certificates are trusted, so that an operator's own authority can be added the usual
//! way (`update-ca-certificates`, or `SSL_CERT_FILE`); a system without any, such as a bare container, gets
//! Mozilla's, which are built in.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore, crypto::ring};

/// The TLS configuration of a client; ALPN offers HTTP/2 before HTTP/1.1.
pub(crate) fn client_config() -> Result<ClientConfig, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(trusted_roots())
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn trusted_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::warn!(%error, "some of the system's certificates cannot be read");
    }
    roots.add_parsable_certificates(system.certs);
    if roots.is_empty() {
        tracing::warn!("the system trusts no certificate authority; those of Mozilla are trusted instead");
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}
