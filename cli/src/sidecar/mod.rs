//! Asking a sidecar that serves already, on this machine or another.
//!
//! Invariants: a request is limited in time and an answer in length, so that whatever answers, a command ends; over `https` nothing
//! is sent, the token least of all, before the certificate has been checked; over `http` a token stays on this machine. No redirect is
//! followed: what was asked for is what answers.

mod authorities;
mod trouble;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args as Group;
use ureq::http::Uri;
use ureq::http::header::LOCATION;
use ureq::tls::TlsConfig;
use ureq::{Body, Proxy};

use crate::failure::Failure;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// More than any sidecar says: one that says more is none.
const LARGEST: u64 = 256 << 20;
/// Of the body of a refusal, as much as is a sentence.
const SENTENCE: u64 = 4096;

#[derive(Debug, Group)]
pub(crate) struct SidecarArgs {
    /// Look at a sidecar, by its address, such as 127.0.0.1:7070 or https://build-7:7070 [default: this user's processes]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    credentials: Credentials,
}

/// What a sidecar may ask for, and what it has to show.
#[derive(Debug, Default, Group)]
pub(crate) struct Credentials {
    /// The sidecar's token: the first line of this file
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Over https, trust the authorities in this file (PEM) alone, or a certificate that signed itself [default: those of this machine]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl SidecarArgs {
    /// The sidecar, if one was named.
    ///
    /// # Errors
    /// If its address is none, or its token or authorities cannot be read.
    pub(crate) fn sidecar(&self) -> Result<Option<Sidecar>, Failure> {
        self.url.as_deref().map(|url| Sidecar::new(url, &self.credentials)).transpose()
    }
}

/// A sidecar's address, and how to be let in.
#[derive(Debug)]
pub(crate) struct Sidecar {
    /// Without a slash at its end.
    base: String,
    token: Option<String>,
    agent: ureq::Agent,
}

impl Sidecar {
    /// `url` is the address, with or without a scheme and what the page or `/metrics` add to it. Without a scheme it is `http`, or
    /// `https` if authorities were named.
    fn new(url: &str, credentials: &Credentials) -> Result<Sidecar, Failure> {
        // An address is part of most sentences, so one with a secret in it is not even said here.
        if url.contains('@') {
            return Err(Failure::impossible(
                "the address has an @: a token does not belong there, where it is shown; put it in a file, and name that with \
                 --token-file",
            ));
        }
        let base = url.strip_suffix("/metrics").unwrap_or(url).trim_end_matches('/');
        let scheme = if credentials.ca.is_some() { "https" } else { "http" };
        let base = if url.contains("://") { base.to_owned() } else { format!("{scheme}://{base}") };
        let uri: Uri = base
            .parse()
            .ok()
            .filter(|uri: &Uri| {
                uri.host().is_some_and(|host| !host.is_empty())
                    && matches!(uri.scheme_str(), Some("http" | "https"))
            })
            .ok_or_else(|| {
                Failure::impossible(format!(
                    "{url} is no address of a sidecar: take HOST:PORT, http://HOST:PORT or https://HOST:PORT"
                ))
            })?;
        let (is_secure, is_here) = (uri.scheme_str() == Some("https"), is_here(&uri));
        // Within the machine they are let be: they may be a habit, and a tunnel begins there.
        if !is_secure && !is_here {
            refuse_in_clear(&base, credentials)?;
        }
        let token = credentials.token_file.as_deref().map(read).transpose()?;
        let tls =
            if is_secure { authorities::trusted(credentials.ca.as_deref())? } else { TlsConfig::default() };
        let proxy = if is_here { None } else { Proxy::try_from_env() };
        Ok(Sidecar { base, token, agent: agent(tls, proxy) })
    }

    /// One of this program's own, at the address that it said.
    pub(crate) fn at(url: &str) -> Sidecar {
        let base = url.trim_end_matches('/').to_owned();
        Sidecar { base, token: None, agent: agent(TlsConfig::default(), None) }
    }

    pub(crate) fn name(&self) -> &str {
        &self.base
    }

    /// The text that it answers with at a path.
    ///
    /// # Errors
    /// A sentence on why there is no answer, and what to do.
    pub(crate) fn get(&self, path: &str, accept: &str) -> Result<String, String> {
        let mut body = self.ask(path, accept)?;
        body.with_config().limit(LARGEST).read_to_string().map_err(|error| self.unanswered(&error))
    }

    /// The same, of bytes.
    ///
    /// # Errors
    /// As [`get`](Sidecar::get).
    pub(crate) fn fetch(&self, path: &str) -> Result<Vec<u8>, String> {
        let mut body = self.ask(path, "application/octet-stream")?;
        body.with_config().limit(LARGEST).read_to_vec().map_err(|error| self.unanswered(&error))
    }

    fn ask(&self, path: &str, accept: &str) -> Result<Body, String> {
        let mut request = self.agent.get(format!("{}{path}", self.base)).header("accept", accept);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut answer = request.call().map_err(|error| self.unanswered(&error))?;
        if answer.status().is_success() {
            return Ok(answer.into_body());
        }
        let status = answer.status();
        if status.is_redirection() {
            let to = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok());
            return Err(trouble::redirected(&self.base, to));
        }
        let said = answer.body_mut().with_config().limit(SENTENCE).read_to_string().unwrap_or_default();
        Err(trouble::refused(&self.base, status, self.token.is_some(), &said))
    }

    fn unanswered(&self, error: &ureq::Error) -> String {
        trouble::unanswered(&self.base, error)
    }
}

fn agent(tls: TlsConfig, proxy: Option<Proxy>) -> ureq::Agent {
    let config = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).tls_config(tls).proxy(proxy);
    // A refusal says what is missing. A redirect might lead to plain `http`, or to another machine.
    config.http_status_as_error(false).max_redirects(0).build().new_agent()
}

/// Refuses what `http` to another machine would give away, or not heed.
fn refuse_in_clear(base: &str, credentials: &Credentials) -> Result<(), Failure> {
    let secure = base.replacen("http://", "https://", 1);
    if credentials.token_file.is_some() {
        return Err(Failure::impossible(format!(
            "a token (--token-file, STORMGLASS_TOKEN_FILE) would cross the network to {base} for everybody to read: say {secure}, or \
             name a tunnel's end at 127.0.0.1"
        )));
    }
    if credentials.ca.is_some() {
        return Err(Failure::impossible(format!(
            "no certificate is checked over http, so --ca (STORMGLASS_CA) has no use for {base}: say {secure}"
        )));
    }
    Ok(())
}

/// Whether an address is this machine's own: no proxy leads there, and what is sent crosses no network.
fn is_here(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn read(file: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|e| Failure::impossible(format!("{} cannot be read: {e}", file.display())))?;
    let token = text.lines().next().unwrap_or_default().trim();
    // What cannot stand in a header is no token.
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Failure::impossible(format!("{} has no token in its first line", file.display())));
    }
    Ok(token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(given: &str, credentials: &Credentials) -> Option<String> {
        Sidecar::new(given, credentials).ok().map(|sidecar| sidecar.name().to_owned())
    }

    #[test]
    fn an_address_is_enough() {
        let none = Credentials::default();
        for given in
            ["127.0.0.1:7070", "http://127.0.0.1:7070", "http://127.0.0.1:7070/", "127.0.0.1:7070/metrics"]
        {
            assert_eq!(name(given, &none).as_deref(), Some("http://127.0.0.1:7070"), "{given}");
        }
        for given in ["", "http://", "ftp://localhost", "a b", "unix:///run/x", "http://:7070"] {
            assert_eq!(name(given, &none), None, "{given}");
        }
    }

    #[test]
    fn who_names_authorities_means_https() {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), made.cert.pem()).expect("written");
        let with = Credentials { ca: Some(file.path().to_owned()), token_file: None };
        assert_eq!(name("localhost:7070", &with).as_deref(), Some("https://localhost:7070"));
        assert_eq!(name("http://localhost:7070", &with).as_deref(), Some("http://localhost:7070"));
        let refused = Sidecar::new("http://build-7:7070", &with).expect_err("nothing would be checked");
        assert!(refused.sentence().ends_with("say https://build-7:7070"), "{}", refused.sentence());
    }

    #[test]
    fn a_token_stands_in_no_address() {
        for given in
            ["https://x:SECRET@build-7:7070", "x:SECRET@build-7", "http://x:SEC/RET@build-7", "SECRET@"]
        {
            let refused = Sidecar::new(given, &Credentials::default()).expect_err(given);
            let said = refused.sentence();
            assert!(said.contains("--token-file") && !said.contains("SEC"), "{given}: {said}");
        }
    }

    #[test]
    fn a_token_crosses_no_network_in_clear_text() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "abc\n").expect("written");
        let with = Credentials { token_file: Some(file.path().to_owned()), ca: None };
        for other in ["build-7:7070", "http://build-7:7070", "http://10.0.0.1:7070"] {
            let refused = Sidecar::new(other, &with).expect_err(other);
            assert!(refused.sentence().contains("say https://"), "{other}: {}", refused.sentence());
        }
        for own in ["127.0.0.1:7070", "http://localhost:7070", "http://[::1]:7070"] {
            assert!(name(own, &with).is_some(), "{own}");
        }
        assert!(name("http://build-7:7070", &Credentials::default()).is_some(), "there is nothing to hide");
    }

    #[test]
    fn no_proxy_leads_to_this_machine() {
        let here = |text: &str| is_here(&text.parse().expect("an address"));
        for own in ["http://localhost:1", "http://LOCALHOST", "http://127.0.0.9:1", "http://[::1]:1"] {
            assert!(here(own), "{own}");
        }
        for other in ["http://localhost.example", "http://10.0.0.1", "http://[::2]"] {
            assert!(!here(other), "{other}");
        }
    }

    #[test]
    fn a_token_is_the_first_line_of_a_file() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let token = |text: &str| {
            std::fs::write(file.path(), text).expect("written");
            read(file.path()).ok()
        };
        assert_eq!(token("abc\nsecond line\n").as_deref(), Some("abc"));
        assert_eq!((token(""), token("a b\n"), token("\nabc")), (None, None, None));
        assert!(read(Path::new("/nowhere/token")).is_err());
    }
}
