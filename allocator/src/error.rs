//! What can go wrong, in sentences for the operator.

use core::fmt;

use rustix::io::Errno;

use crate::free_list::StrategyId;

/// Why a pool or a heap could not be made.
#[derive(Debug)]
pub enum PoolError {
    /// The address space for the blocks could not be reserved.
    Reserve {
        /// Bytes that were asked for last.
        bytes: usize,
        /// What the kernel said.
        errno: Errno,
    },
    /// The home shard does not exist.
    NoSuchShard(usize),
    /// The thread got no counters.
    Claim(stormglass_telemetry::ClaimError),
}

impl fmt::Display for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PoolError::Reserve { bytes, errno } => write!(
                f,
                "cannot reserve {} MiB of address space ({errno}): raise the limit (ulimit -v) or free memory",
                bytes >> 20
            ),
            PoolError::NoSuchShard(shard) => {
                write!(
                    f,
                    "there is no shard {shard}: shards are numbered 0 to {}",
                    stormglass_telemetry::schema::SHARDS - 1
                )
            }
            PoolError::Claim(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for PoolError {}

impl From<stormglass_telemetry::ClaimError> for PoolError {
    fn from(error: stormglass_telemetry::ClaimError) -> PoolError {
        PoolError::Claim(error)
    }
}

/// A name that no design has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownStrategy(pub String);

impl fmt::Display for UnknownStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no design `{}`; the designs are", self.0)?;
        for (i, id) in StrategyId::ALL.iter().enumerate() {
            write!(f, "{} {id}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownStrategy {}
