//! What can keep the sidecar from serving, as sentences for the operator: what happened, to what, what to do.

use std::fmt;
use std::io;
use std::net::SocketAddr;

/// Why the sidecar does not serve.
#[derive(Debug)]
pub enum ServeError {
    /// The address could not be listened on.
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// The server stopped by itself.
    Serve(io::Error),
    /// The metrics could not be registered: two rows of the metric table clash.
    Metrics(String),
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServeError::Listen { address, source } => listen_sentence(*address, source, f),
            ServeError::Serve(source) => write!(f, "the server stopped: {source}"),
            ServeError::Metrics(reason) => {
                write!(f, "the metric table contradicts itself: {reason}; this is a defect, please report it")
            }
        }
    }
}

fn listen_sentence(address: SocketAddr, source: &io::Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let any_port = SocketAddr::new(address.ip(), 0);
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            write!(f, "{address} is taken by another program: choose another with --listen {any_port}")
        }
        io::ErrorKind::PermissionDenied => {
            let port = address.port();
            write!(
                f,
                "this user may not listen on port {port} of {}: choose a port from 1024 on, \
                 or any free one with --listen {any_port}",
                address.ip()
            )
        }
        io::ErrorKind::AddrNotAvailable => write!(
            f,
            "{} is not an address of this machine: choose one that `ip address` lists, \
             or --listen 127.0.0.1:{}",
            address.ip(),
            address.port()
        ),
        _ => write!(f, "cannot listen on {address}: {source}; choose another address with --listen"),
    }
}

impl std::error::Error for ServeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ServeError::Listen { source, .. } | ServeError::Serve(source) => Some(source),
            ServeError::Metrics(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentence(kind: io::ErrorKind) -> String {
        let address = "127.0.0.1:7070".parse().expect("an address");
        ServeError::Listen { address, source: kind.into() }.to_string()
    }

    #[test]
    fn each_refusal_says_what_to_do() {
        assert_eq!(
            sentence(io::ErrorKind::AddrInUse),
            "127.0.0.1:7070 is taken by another program: choose another with --listen 127.0.0.1:0"
        );
        assert!(sentence(io::ErrorKind::PermissionDenied).contains("choose a port from 1024 on"));
        assert!(sentence(io::ErrorKind::AddrNotAvailable).contains("not an address of this machine"));
        assert!(sentence(io::ErrorKind::OutOfMemory).starts_with("cannot listen on 127.0.0.1:7070"));
    }
}
