//! Where the present comes from. Tests and replays bring their own.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;

use crate::attr::Timestamp;

/// Tells a container the time of a change.
///
/// Given to [`ContainerBuilder::clock`](crate::ContainerBuilder::clock). It is asked once for each change.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The present.
    fn now(&self) -> Timestamp;
}

/// The host's clock, the default. On `wasm32-unknown-unknown`, which has none, it stands still at 1970.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place where the host's clock is read"
    )]
    fn now(&self) -> Timestamp {
        if cfg!(all(target_family = "wasm", target_os = "unknown")) {
            return Timestamp::EPOCH;
        }
        SystemTime::now().into()
    }
}

/// A clock that stands still until it is told to go on.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use stratafs::{Image, ManualClock, Timestamp};
///
/// let clock = Arc::new(ManualClock::new(Timestamp::new(1_000, 0)));
/// let container = Image::scratch().build_container().clock(clock.clone()).build()?;
/// clock.advance(5_000_000_000);
/// container.write("/now", "")?;
/// assert_eq!(container.metadata("/now")?.modified(), Timestamp::new(1_005, 0));
/// # Ok::<(), stratafs::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `start`, from 1677 to 2262; beyond that, the nearest of the two ends.
    pub fn new(start: Timestamp) -> Self {
        Self(start.secs().saturating_mul(1_000_000_000).saturating_add(start.nanos().into()).into())
    }

    /// Goes on by `nanos` nanoseconds (back, if negative).
    pub fn advance(&self, nanos: i64) {
        self.0.fetch_add(nanos, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        let nanos = self.0.load(Ordering::Relaxed);
        let rest = u32::try_from(nanos.rem_euclid(1_000_000_000))
            .expect("because a remainder of 10^9 fits u32");
        Timestamp::new(nanos.div_euclid(1_000_000_000), rest)
    }
}
