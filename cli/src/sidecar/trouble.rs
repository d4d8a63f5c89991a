//! What to say when a sidecar does not answer as it should. Pure.
//!
//! Invariant: every sentence says whose move it is: the address, the certificate, the authorities, the token or the sidecar's options.

use std::io::{self, ErrorKind};

use rustls::CertificateError;
use ureq::http::{StatusCode, Uri};

/// An answer that is a refusal; `said` is its body.
pub(super) fn refused(base: &str, status: StatusCode, knew_token: bool, said: &str) -> String {
    match status {
        StatusCode::UNAUTHORIZED if knew_token => {
            format!(
                "{base} does not take this token: name the file that it was started with, by --token-file"
            )
        }
        StatusCode::UNAUTHORIZED => format!("{base} asks for its token: name the file with --token-file"),
        StatusCode::MISDIRECTED_REQUEST => format!(
            "{base} does not go by the name {}: call it by its address, or start it with --allow-host and that name",
            host(base)
        ),
        status => {
            let said = said.lines().next().unwrap_or_default().trim();
            let said = if said.is_empty() || said.starts_with('<') { "" } else { said };
            let colon = if said.is_empty() { "" } else { ": " };
            format!("{base} answers with {status}{colon}{said}; is it a sidecar of this version?")
        }
    }
}

/// An answer that leads elsewhere, to `to` if it says so.
pub(super) fn redirected(base: &str, to: Option<&str>) -> String {
    // As long as an address is; what is longer is no help.
    let to =
        to.filter(|to| !to.is_empty() && to.len() <= 200).map(|to| format!(" to {to}")).unwrap_or_default();
    format!(
        "{base} answers with a redirect{to}, which is not followed: name the address of the sidecar itself"
    )
}

/// No answer at all.
pub(super) fn unanswered(base: &str, error: &ureq::Error) -> String {
    if let Some(error) = tls(error) {
        return untrusted(base, error);
    }
    let is_plain = base.starts_with("http://");
    match error {
        // Who speaks TLS ends a connection that does not, or sends what is no HTTP.
        ureq::Error::Protocol(_) if is_plain => other_scheme(base, "no HTTP"),
        ureq::Error::Io(error) if is_plain && is_hang_up(error) => other_scheme(base, "nothing"),
        // Without the library's word for it.
        ureq::Error::Io(error) => nobody(base, error),
        error => nobody(base, error),
    }
}

fn nobody(base: &str, error: impl std::fmt::Display) -> String {
    format!("{base} does not answer ({error}): is a sidecar there (`stormglass serve`)?")
}

fn other_scheme(base: &str, with: &str) -> String {
    let secure = base.replacen("http://", "https://", 1);
    format!("{base} is there and answers with {with}: if it serves TLS (--tls-cert), say {secure}")
}

fn is_hang_up(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

/// What went wrong with TLS, if that did; the HTTP client hands it on by itself or inside an error of input and output.
fn tls(error: &ureq::Error) -> Option<&rustls::Error> {
    match error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => error.get_ref()?.downcast_ref(),
        _ => None,
    }
}

fn untrusted(base: &str, error: &rustls::Error) -> String {
    use CertificateError as Bad;
    match error {
        rustls::Error::InvalidCertificate(Bad::UnknownIssuer | Bad::BadSignature) => format!(
            "the certificate of {base} is from an authority that is not trusted here: name that authority's certificate with --ca"
        ),
        rustls::Error::InvalidCertificate(
            bad @ (Bad::NotValidForName | Bad::NotValidForNameContext { .. }),
        ) => {
            let names = match bad {
                Bad::NotValidForNameContext { presented, .. } if !presented.is_empty() => {
                    format!(
                        " (but for {})",
                        presented.iter().map(|name| plain(name)).collect::<Vec<_>>().join(", ")
                    )
                }
                _ => String::new(),
            };
            format!(
                "the certificate of {base} is not for {}{names}: call the sidecar by a name that is in it",
                host(base)
            )
        }
        rustls::Error::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. }) => format!(
            "the certificate of {base} has expired, or this machine's clock is wrong: renew it, and restart the sidecar"
        ),
        rustls::Error::InvalidCertificate(Bad::NotValidYet | Bad::NotValidYetContext { .. }) => {
            format!("the certificate of {base} is not valid yet: is this machine's clock right?")
        }
        rustls::Error::InvalidCertificate(Bad::Other(other))
            if other.to_string().contains("CaUsedAsEndEntity") =>
        {
            format!(
                "the certificate of {base} is an authority's, which serves nothing itself: make it with \
             basicConstraints=CA:FALSE, or sign one by it"
            )
        }
        rustls::Error::InvalidCertificate(bad) => {
            format!("the certificate of {base} is not accepted ({bad})")
        }
        rustls::Error::InvalidMessage(_) => format!(
            "{base} does not speak TLS: if it serves without --tls-cert, say {}",
            base.replacen("https://", "http://", 1)
        ),
        error => format!("{base} and this program cannot agree on TLS ({error})"),
    }
}

/// A name out of a certificate, as it is written in an address: `DnsName("localhost")` is localhost.
fn plain(name: &str) -> &str {
    name.split_once("(\"").and_then(|(_, rest)| rest.strip_suffix("\")")).unwrap_or(name)
}

/// The name that a sidecar was called by.
fn host(base: &str) -> String {
    base.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_else(|| base.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: &str = "https://glass.example:7070";

    fn of(bad: CertificateError) -> String {
        // As it comes out of a handshake.
        let io = io::Error::new(ErrorKind::InvalidData, rustls::Error::InvalidCertificate(bad));
        unanswered(AT, &ureq::Error::Io(io))
    }

    #[test]
    fn a_bad_certificate_says_what_is_bad_and_what_to_do() {
        for (bad, part) in [
            (CertificateError::UnknownIssuer, "--ca"),
            (CertificateError::BadSignature, "--ca"),
            (CertificateError::NotValidForName, "is not for glass.example"),
            (CertificateError::Expired, "renew"),
            (CertificateError::NotValidYet, "clock"),
            (CertificateError::BadEncoding, "is not accepted"),
        ] {
            let said = of(bad);
            assert!(said.contains(part) && said.contains(AT), "{part}: {said}");
        }
        assert_eq!((plain("DnsName(\"a.b\")"), plain("other")), ("a.b", "other"));
    }

    #[test]
    fn the_wrong_scheme_is_told_either_way() {
        let error = rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType);
        assert!(unanswered(AT, &error.into()).ends_with("say http://glass.example:7070"));
        let error = ureq::Error::Io(ErrorKind::ConnectionReset.into());
        assert!(unanswered("http://here:1", &error).ends_with("say https://here:1"));
        let error = ureq::Error::Io(ErrorKind::ConnectionRefused.into());
        assert!(unanswered("http://here:1", &error).contains("stormglass serve"), "nobody is there");
    }

    #[test]
    fn a_redirect_says_where_to() {
        let said = |to| redirected("http://here:1", to);
        assert!(said(Some("https://there")).contains("a redirect to https://there, which"));
        for nowhere in [None, Some(""), Some(&*"x".repeat(201))] {
            assert!(said(nowhere).contains("a redirect, which"));
        }
    }

    #[test]
    fn a_refusal_says_whose_move_it_is() {
        let said = |status, knew| refused("http://here:1", status, knew, "A page of another origin.\nmore");
        assert!(said(StatusCode::UNAUTHORIZED, false).contains("asks for its token"));
        assert!(said(StatusCode::UNAUTHORIZED, true).contains("does not take this token"));
        assert!(said(StatusCode::MISDIRECTED_REQUEST, false).contains("the name here: "));
        assert!(said(StatusCode::FORBIDDEN, false).contains("403 Forbidden: A page of another origin.;"));
    }
}
