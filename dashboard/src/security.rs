//! Who may ask, and what a browser may do with the answer.
//!
//! The sidecar has no password: whoever can reach the address may read. What must not happen is that a web page
//! from elsewhere reads it through its visitor's browser. A page can make a name of its own point at 127.0.0.1 (DNS
//! rebinding), but it cannot make the browser send another name in the Host header: so that header is checked.
//!
//! Invariant: every answer, refusals too, carries the headers of [`HEADERS`].

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderName};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Said with every answer.
const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

/// The names by which the sidecar may be called.
#[derive(Debug)]
pub(crate) struct Hosts {
    listen: IpAddr,
    allowed: Vec<String>,
}

impl Hosts {
    pub(crate) fn new(listen: SocketAddr, allowed: &[String]) -> Hosts {
        let allowed = allowed.iter().map(|host| host_name(host).to_ascii_lowercase()).collect();
        Hosts { listen: listen.ip(), allowed }
    }

    /// Whether `host`, with or without a port, is one of them. The port says nothing: it may be forwarded.
    fn knows(&self, host: &str) -> bool {
        let name = host_name(host).to_ascii_lowercase();
        if name == "localhost" || self.allowed.contains(&name) {
            return true;
        }
        let literal = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        // Whoever listens on every address may be called by any of them. An address cannot be rebound: only names can.
        literal.is_ok_and(|ip| ip.is_loopback() || ip == self.listen || self.listen.is_unspecified())
    }
}

/// A host without its port; an IPv6 address keeps its brackets.
fn host_name(host: &str) -> &str {
    let end = if host.starts_with('[') {
        host.find(']').map_or(host.len(), |bracket| bracket + 1)
    } else if host.matches(':').count() == 1 {
        host.find(':').unwrap_or(host.len())
    } else {
        host.len()
    };
    &host[..end]
}

/// Refuses requests for other hosts, and puts the headers on every answer.
pub(crate) async fn guard(State(hosts): State<Arc<Hosts>>, request: Request, next: Next) -> Response {
    let mut response = match refusal(&hosts, &request) {
        Some(refusal) => refusal.into_response(),
        None => next.run(request).await,
    };
    response.headers_mut().extend(HEADERS);
    response
}

fn refusal(hosts: &Hosts, request: &Request) -> Option<(StatusCode, String)> {
    let Some(host) = request.headers().get(header::HOST) else {
        return Some((
            StatusCode::BAD_REQUEST,
            "The request has no Host header, so it cannot be told from one of a foreign page.\n".to_owned(),
        ));
    };
    // A request may also name its host in its first line, which then counts; both must be ours.
    let target = request.uri().authority().map(Authority::as_str);
    match host.to_str() {
        Ok(host) if hosts.knows(host) && target.is_none_or(|target| hosts.knows(target)) => None,
        host => Some((
            StatusCode::MISDIRECTED_REQUEST,
            format!(
                "This sidecar does not answer to the host {:?}: call it by its address or as localhost, or start \
                 it with --allow-host and that name.\n",
                host.map_or("(not text)", host_name)
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(listen: &str, allowed: &[&str]) -> Hosts {
        let allowed: Vec<String> = allowed.iter().map(|&h| h.to_owned()).collect();
        Hosts::new(listen.parse().expect("an address"), &allowed)
    }

    #[test]
    fn loopback_the_listening_address_and_the_allowed_are_known() {
        let hosts = hosts("192.168.7.9:7070", &["Glass.example:80"]);
        for host in [
            "localhost",
            "LOCALHOST:7070",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]:7070",
            "[::1]",
            "192.168.7.9:7070",
            "glass.example",
            "glass.example:8443",
        ] {
            assert!(hosts.knows(host), "{host}");
        }
        for host in [
            "",
            ":",
            "evil.example",
            "localhost.evil.example",
            "10.0.0.1",
            "127.0.0.1.evil.example",
            "[::2]",
            "[",
        ] {
            assert!(!hosts.knows(host), "{host}");
        }
    }

    #[test]
    fn who_listens_everywhere_is_called_by_any_address_but_not_by_any_name() {
        let hosts = hosts("0.0.0.0:7070", &[]);
        assert!(hosts.knows("10.0.0.1:7070"));
        assert!(!hosts.knows("evil.example:7070"));
    }
}
