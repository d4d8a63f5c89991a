//! Who may reach the sidecar at all: its address, its token, its certificate.
//!
//! Invariants: without being told so, the sidecar listens on this machine alone; a secret is read from a file, compared in a time
//! that does not tell how much of it was right, and written nowhere.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use subtle::ConstantTimeEq as _;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ConfigBuilder, ServerConfig};

use crate::error::ServeError;

/// Characters of a token at least: shorter ones can be guessed.
const SHORTEST: usize = 16;

/// How the sidecar may be reached.
#[derive(Clone, Debug, Default)]
pub struct Exposure {
    /// Whether it may listen where other machines can reach it.
    pub exposed: bool,
    /// What a request must know.
    pub token: Option<Token>,
    /// Certificate chain and private key, as PEM files.
    pub tls: Option<(PathBuf, PathBuf)>,
}

/// A secret that requests must carry.
#[derive(Clone)]
pub struct Token(Arc<[u8]>);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Token {
    /// Reads the first line of a file.
    ///
    /// # Errors
    /// If it cannot be read, or holds no token.
    pub fn read(path: &Path) -> Result<Token, ServeError> {
        let refuse = |why: String| ServeError::Secret { path: path.to_owned(), why };
        let text =
            std::fs::read_to_string(path).map_err(|error| refuse(format!("cannot be read ({error})")))?;
        let token = text.lines().next().unwrap_or_default().trim();
        if token.len() < SHORTEST || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(refuse(format!(
                "holds no token: it takes {SHORTEST} or more printable characters without spaces in its first line, such \
                 as `openssl rand -hex 32` prints"
            )));
        }
        Ok(Token(token.as_bytes().into()))
    }

    /// Whether the value of an `authorization` header carries it: as a bearer, or as the password of any user, which is what a
    /// browser can be asked for.
    pub(crate) fn is_in(&self, authorization: &str) -> bool {
        let Some((scheme, value)) = authorization.trim().split_once(' ') else { return false };
        let value = value.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return self.is(value.as_bytes());
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return false;
        }
        let Ok(decoded) = BASE64.decode(value) else { return false };
        let colon = decoded.iter().position(|&byte| byte == b':');
        colon.is_some_and(|colon| self.is(&decoded[colon + 1..]))
    }

    fn is(&self, said: &[u8]) -> bool {
        // Of another length it is another one; lengths are no secret.
        bool::from(self.0.ct_eq(said))
    }
}

/// What speaks TLS with that certificate and key.
pub(crate) fn acceptor((certificate, key): &(PathBuf, PathBuf)) -> Result<TlsAcceptor, ServeError> {
    let refuse = |path: &Path, why: &dyn fmt::Display| ServeError::Secret {
        path: path.to_owned(),
        why: format!("cannot be used for TLS: {why}"),
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| refuse(certificate, &error))?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| refuse(key, &error))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map(ConfigBuilder::<ServerConfig, _>::with_no_client_auth)
        .and_then(|builder| builder.with_single_cert(chain, secret))
        .map_err(|error: rustls::Error| refuse(certificate, &error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> Result<Token, ServeError> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        Token::read(file.path())
    }

    #[test]
    fn a_token_is_the_first_line_and_long_enough() {
        let good = token("0123456789abcdef\nnot this\n").expect("a token");
        assert!(good.is_in("Bearer 0123456789abcdef") && !good.is_in("Bearer not this"));
        for bad in ["", "short", "\n0123456789abcdef", "0123456789 abcdef", "0123456789abcde\u{e9}"] {
            let said = token(bad).expect_err("no token").to_string();
            assert!(said.contains("holds no token") && said.contains("openssl rand"), "{said}");
            assert!(bad.len() < 3 || !said.contains(bad), "a secret is not said");
        }
        assert!(
            Token::read(Path::new("/nowhere")).expect_err("no file").to_string().contains("cannot be read")
        );
    }

    #[test]
    fn it_is_carried_as_a_bearer_or_as_a_password() {
        let token = token("0123456789abcdef").expect("a token");
        let basic = |text: &str| format!("Basic {}", BASE64.encode(text));
        for good in [
            "Bearer 0123456789abcdef".to_owned(),
            "bearer  0123456789abcdef ".to_owned(),
            basic("anybody:0123456789abcdef"),
            basic(":0123456789abcdef"),
        ] {
            assert!(token.is_in(&good), "{good}");
        }
        for bad in [
            String::new(),
            "Bearer".to_owned(),
            "Bearer 0123456789abcdeg".to_owned(),
            "Bearer 0123456789abcdef0".to_owned(),
            "Bearer 0123456789abcde".to_owned(),
            "Digest 0123456789abcdef".to_owned(),
            "Basic 0123456789abcdef".to_owned(),
            "Basic !".to_owned(),
            basic("0123456789abcdef"),
        ] {
            assert!(!token.is_in(&bad), "{bad}");
        }
    }

    #[test]
    fn a_token_is_not_shown() {
        let token = token("0123456789abcdef").expect("a token");
        let exposure = Exposure { token: Some(token), ..Exposure::default() };
        assert!(!format!("{exposure:?}").contains("0123"));
    }

    #[test]
    fn what_is_no_certificate_is_refused_by_name() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let paths = (file.path().to_owned(), file.path().to_owned());
        let Err(said) = acceptor(&paths) else { panic!("an empty file is no key") };
        assert!(said.to_string().contains("cannot be used for TLS"), "{said}");
    }
}
