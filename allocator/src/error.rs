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
    /// What the segment says of an injected delay is not what the pool is to inject.
    Unmarked,
    /// A delay is to be injected, and the processor's tick counter does not run at one rate.
    NoTicks,
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
            PoolError::Unmarked => f.write_str(
                "the segment and the pool disagree on the delay that is injected: give `Identity::injected` the text of \
                 `PoolConfig::inject`",
            ),
            PoolError::NoTicks => f.write_str(
                "no delay can be injected here: this processor's tick counter does not run at one rate, so that no delay \
                 could be timed by it",
            ),
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
