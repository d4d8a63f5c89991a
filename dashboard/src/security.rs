//! Who may ask, and what a browser may do with the answer.
//!
//! Without a token whoever can reach the address may read. What must not happen is that a web page from elsewhere reads it through
//! its visitor's browser. A page can make a name of its own point at 127.0.0.1 (DNS rebinding), but it cannot make the
//! browser send another name in the Host header: so that header is checked, and so is Origin, where a browser sends one.
//! docs/SECURITY.md has the whole of it.
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

use crate::exposure::Token;

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

/// What a request must fulfil.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) hosts: Hosts,
    pub(crate) token: Option<Token>,
}

/// The one address that needs no token: that the sidecar is there is no secret from who can connect to it.
const OPEN: &str = "/healthz";
/// How to ask: a browser is to ask its user, for a password that is the token.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Basic realm=\"stormglass\", charset=\"UTF-8\"");

/// Refuses requests for other hosts, from other origins or without the token, and puts the headers on every answer.
pub(crate) async fn guard(State(rules): State<Arc<Rules>>, request: Request, next: Next) -> Response {
    let mut response = match refusal(&rules.hosts, &request) {
        Some(refusal) => refusal.into_response(),
        None if !is_allowed(&rules, &request) => {
            let why = "This sidecar asks for its token: send `Authorization: Bearer TOKEN`, or give it as the password.\n";
            (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, CHALLENGE)], why).into_response()
        }
        None => next.run(request).await,
    };
    response.headers_mut().extend(HEADERS);
    response
}

fn is_allowed(rules: &Rules, request: &Request) -> bool {
    let Some(token) = &rules.token else { return true };
    let said = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    request.uri().path() == OPEN || said.is_some_and(|said| token.is_in(said))
}

/// Whether the page that sent a request, as its browser says, is one of ours.
fn is_own_origin(hosts: &Hosts, origin: &HeaderValue) -> bool {
    let host = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    host.is_some_and(|(scheme, host)| matches!(scheme, "http" | "https") && hosts.knows(host))
}

fn refusal(hosts: &Hosts, request: &Request) -> Option<(StatusCode, String)> {
    let foreign = |origin| !is_own_origin(hosts, origin);
    if request.headers().get_all(header::ORIGIN).iter().any(foreign) {
        let why = "A page of another origin may not read this sidecar.\n";
        return Some((StatusCode::FORBIDDEN, why.to_owned()));
    }
    if request.headers().get_all(header::HOST).iter().count() > 1 {
        return Some((StatusCode::BAD_REQUEST, "The request has two Host headers.\n".to_owned()));
    }
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
