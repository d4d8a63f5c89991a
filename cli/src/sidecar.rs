//! Asking a sidecar that serves already.
//!
//! Invariant: it is asked in plain HTTP, with a limit on time and on length: whatever answers, a command ends.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args as Group;

use crate::failure::Failure;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// More than any sidecar says: one that says more is none.
const LARGEST: u64 = 256 << 20;

#[derive(Debug, Group)]
pub(crate) struct SidecarArgs {
    /// Look at a sidecar, by its address [default: this user's processes]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The sidecar's token: the first line of this file
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl SidecarArgs {
    /// The sidecar, if one was named.
    ///
    /// # Errors
    /// If its address is none, or its token cannot be read.
    pub(crate) fn sidecar(&self) -> Result<Option<Sidecar>, Failure> {
        self.url.as_deref().map(|url| Sidecar::new(url, self.token_file.as_deref())).transpose()
    }
}

/// A sidecar's address.
#[derive(Debug)]
pub(crate) struct Sidecar {
    /// Without a slash at its end.
    base: String,
    token: Option<String>,
    agent: ureq::Agent,
}

impl Sidecar {
    /// `url` is the address, with or without `http://` and what the page or `/metrics` add to it.
    fn new(url: &str, token_file: Option<&Path>) -> Result<Sidecar, Failure> {
        if url.starts_with("https:") {
            return Err(Failure::impossible(format!(
                "{url}: commands speak no TLS; look at the sidecar on its own machine, or through a tunnel (ssh -L)"
            )));
        }
        let base = url.strip_suffix("/metrics").unwrap_or(url).trim_end_matches('/');
        let base = if base.contains("://") { base.to_owned() } else { format!("http://{base}") };
        let token = token_file.map(read).transpose()?;
        let agent = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).build().new_agent();
        Ok(Sidecar { base, token, agent })
    }

    pub(crate) fn name(&self) -> &str {
        &self.base
    }

    /// What it answers at a path.
    ///
    /// # Errors
    /// A sentence on why there is no answer, and what to do.
    pub(crate) fn get(&self, path: &str, accept: &str) -> Result<String, String> {
        let mut request = self.agent.get(format!("{}{path}", self.base)).header("accept", accept);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let answer = request
            .call()
            .and_then(|mut answer| answer.body_mut().with_config().limit(LARGEST).read_to_string());
        answer.map_err(|error| match error {
            ureq::Error::StatusCode(401 | 403) => format!(
                "{} refuses this request: name its token with --token-file, or this host with its own --allow-host",
                self.base
            ),
            error => format!("{} does not answer ({error}): is a sidecar there (`stormglass serve`)?", self.base),
        })
    }
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

    #[test]
    fn an_address_is_enough() {
        for given in
            ["127.0.0.1:7070", "http://127.0.0.1:7070", "http://127.0.0.1:7070/", "127.0.0.1:7070/metrics"]
        {
            let Ok(sidecar) = Sidecar::new(given, None) else { panic!("{given} is an address") };
            assert_eq!(sidecar.name(), "http://127.0.0.1:7070");
        }
        assert!(Sidecar::new("https://glass.example", None).is_err(), "it would be asked in plain text");
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
