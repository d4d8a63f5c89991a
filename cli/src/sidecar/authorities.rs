//! Whose word is taken for who a sidecar is.
//!
//! Invariant: authorities that the user names stand alone; those of the machine count only where none are named. They are read
//! from the machine, not built in: a sidecar's certificate mostly comes from an authority of one's own, and that is installed there.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::failure::Failure;

/// TLS that trusts the authorities in a PEM file, or those of this machine.
///
/// # Errors
/// If there are none.
pub(super) fn trusted(file: Option<&Path>) -> Result<TlsConfig, Failure> {
    let certificates = match file {
        Some(file) => of_file(file)?,
        None => of_machine()?,
    };
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::from(certificates))
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .build())
}

fn of_file(file: &Path) -> Result<Vec<Certificate<'static>>, Failure> {
    let path = file.display();
    let pem = std::fs::read(file).map_err(|e| Failure::impossible(format!("{path} cannot be read: {e}")))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(Failure::impossible(format!("{path} is no PEM file: {error}"))),
        }
    }
    if certificates.is_empty() {
        return Err(Failure::impossible(format!(
            "{path} has no certificate: --ca takes a PEM file, with lines of BEGIN CERTIFICATE"
        )));
    }
    Ok(certificates)
}

fn of_machine() -> Result<Vec<Certificate<'static>>, Failure> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let why: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        let why = if why.is_empty() { String::new() } else { format!(" ({})", why.join("; ")) };
        return Err(Failure::impossible(format!(
            "this machine has no authorities by which a certificate could be checked{why}: install ca-certificates, or name the \
             sidecar's with --ca"
        )));
    }
    Ok(found.certs.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        match trusted(Some(file.path())) {
            Ok(_) => "good".to_owned(),
            Err(failure) => failure.sentence().to_owned(),
        }
    }

    #[test]
    fn a_file_has_a_certificate_at_least() {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        assert_eq!(said(&certificate), "good");
        assert_eq!(
            said(&format!("{key}{certificate}{certificate}")),
            "good",
            "what else is there does no harm"
        );
        assert!(said(&key).contains("no certificate") && said("").contains("no certificate"));
        assert!(said("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n").contains("no PEM file"));
        assert!(trusted(Some(Path::new("/nowhere/ca.pem"))).is_err());
    }
}
