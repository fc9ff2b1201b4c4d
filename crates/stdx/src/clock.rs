//! The one seam for time, so that a whole cluster can be simulated.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;

/// Where every component gets its time. Cheap to clone.
pub type SharedClock = Arc<dyn Clock>;

/// Wall-clock time, monotonic time and sleeping.
pub trait Clock: Send + Sync + std::fmt::Debug + 'static {
    /// Wall-clock time, for what is written into objects.
    fn now(&self) -> Timestamp;
    /// Time since an arbitrary origin that never goes back; for time-outs and back-off.
    fn monotonic(&self) -> Duration;
    /// Completes after `duration`.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl SystemClock {
    /// The machine's clock, shared.
    pub fn shared() -> SharedClock {
        Arc::new(SystemClock)
    }
}

#[allow(clippy::disallowed_methods, reason = "this is the seam")]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> Duration {
        use std::sync::OnceLock;
        use std::time::Instant;
        static ORIGIN: OnceLock<Instant> = OnceLock::new();
        ORIGIN.get_or_init(Instant::now).elapsed()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}
