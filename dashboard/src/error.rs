//! What can keep the sidecar from serving, as sentences for the operator: what happened, to what, what to do.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

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
    /// Other machines could reach the address, and nobody said that they may.
    Exposed {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// A file with a secret, or what goes with one, cannot be used.
    Secret {
        /// Which.
        path: PathBuf,
        /// What is wrong with it; never what is in it.
        why: String,
    },
    /// Only root may look at the processes of all users.
    NotRoot,
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServeError::Listen { address, source } => listen_sentence(*address, source, f),
            ServeError::Exposed { address } => write!(
                f,
                "other machines could reach {address}: say --expose if they are meant to (and --token-file, --tls-cert and \
                 --tls-key, so that not everybody can read), or listen on 127.0.0.1:{}",
                address.port()
            ),
            ServeError::Secret { path, why } => write!(f, "{} {why}", path.display()),
            ServeError::NotRoot => write!(
                f,
                "only root can see the processes of all users: run it as root, or without --all-users to see your own"
            ),
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
            ServeError::Listen { source, .. } => Some(source),
            ServeError::Exposed { .. } | ServeError::Secret { .. } | ServeError::NotRoot => None,
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
