//! Large answers that their clients have not taken yet: how much memory they may have together, and who is still being
//! answered when a server stops.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use apimachinery::Status;
use bytes::Bytes;
use http::Response;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use stdx::clock::SharedClock;
use tokio::sync::Notify;

use super::body::{self, Body};

/// Answers up to here are hyper's to hold: they fit into what a connection buffers.
const LARGE: u64 = 64 * 1024;
/// A list of so few objects needs no leave.
pub const FEW: usize = 100;
/// What large answers may take together, in bytes, before no further one is made. One more for each thread can be made at the
/// same time.
const BUDGET: u64 = 256 << 20;
/// How long a request waits for others' answers to be taken.
const PATIENCE: Duration = Duration::from_secs(5);
const RETRY_AFTER: u32 = 1;
/// What is handed to the connection at once.
const PIECE: usize = 64 * 1024;

/// What all large answers take.
#[derive(Debug, Default)]
pub struct Answers {
    held: AtomicU64,
    less: Notify,
}

/// What a connection still owes its client.
#[derive(Debug, Default)]
pub struct Owed {
    requests: AtomicUsize,
    settled: Notify,
    begun: Notify,
    /// Pieces of large answers that connections have taken.
    taken: AtomicU64,
}

/// A request that is not answered to the end.
#[derive(Debug)]
pub struct Debt(Arc<Owed>);

impl Owed {
    /// One more, until what is returned is dropped.
    pub fn begin(self: &Arc<Self>) -> Debt {
        self.requests.fetch_add(1, Ordering::SeqCst);
        self.begun.notify_waiters();
        Debt(self.clone())
    }

    /// Completes when something is owed.
    pub async fn begun(&self) {
        loop {
            let begun = self.begun.notified();
            if !self.is_settled() {
                return;
            }
            begun.await;
        }
    }

    /// Grows with every piece of a large answer that the connection takes.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Whether nothing is owed.
    pub fn is_settled(&self) -> bool {
        self.requests.load(Ordering::SeqCst) == 0
    }

    /// Completes when nothing is owed.
    pub async fn settled(&self) {
        loop {
            let settled = self.settled.notified();
            if self.is_settled() {
                return;
            }
            settled.await;
        }
    }
}

impl Drop for Debt {
    fn drop(&mut self) {
        if self.0.requests.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.settled.notify_waiters();
        }
    }
}

impl Answers {
    /// Waits until another large answer may be made; 429 when that takes too long.
    pub async fn leave(&self, clock: &SharedClock) -> Result<(), Status> {
        let room = async {
            loop {
                let less = self.less.notified();
                if self.held.load(Ordering::SeqCst) < BUDGET {
                    return;
                }
                less.await;
            }
        };
        tokio::select! {
            biased;
            () = room => Ok(()),
            () = clock.sleep(PATIENCE) => {
                tracing::debug!("a list is told to come again: too many large answers have not been taken");
                Err(Status::too_many_requests("Too many requests, please try again later.", RETRY_AFTER))
            }
        }
    }

    /// The response, counted until its client has taken it; what `kept` gives is dropped then. Small ones are as good as taken.
    pub async fn hold<K: Send + 'static>(
        self: &Arc<Self>,
        response: Response<Body>,
        kept: impl FnOnce() -> (Debt, K),
    ) -> Response<Body> {
        let Some(size) = size(&response).filter(|size| *size > LARGE) else { return response };
        let (head, mut inner) = response.into_parts();
        // Whole answers come as one frame, streamed ones piece by piece: what is at hand is what takes memory.
        let first = inner
            .frame()
            .await
            .and_then(|frame| frame.unwrap_or_else(|never| match never {}).into_data().ok());
        let rest = first.unwrap_or_default();
        let share = Share { answers: self.clone(), size: rest.len() as u64 };
        self.held.fetch_add(share.size, Ordering::SeqCst);
        let (debt, kept) = kept();
        let held = Held { left: size, rest, inner, debt, _share: share, _kept: kept };
        Response::from_parts(head, body::boxed(held))
    }
}

/// Of a whole answer's body, in bytes.
pub fn size(response: &Response<Body>) -> Option<u64> {
    response.body().size_hint().exact()
}

struct Share {
    answers: Arc<Answers>,
    size: u64,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.answers.held.fetch_sub(self.size, Ordering::SeqCst);
        self.answers.less.notify_waiters();
    }
}

/// A large body piece by piece, so that it is known when it has gone out, all but what the connection buffers.
struct Held<K> {
    left: u64,
    /// Of the frame at hand.
    rest: Bytes,
    inner: Body,
    debt: Debt,
    _share: Share,
    _kept: K,
}

impl<K> Unpin for Held<K> {}

impl<K> HttpBody for Held<K> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.debt.0.taken.fetch_add(1, Ordering::Relaxed);
        while self.rest.is_empty() {
            let Some(Ok(frame)) = ready!(Pin::new(&mut self.inner).poll_frame(cx)) else {
                return Poll::Ready(None);
            };
            self.rest = frame.into_data().unwrap_or_default();
        }
        let piece = PIECE.min(self.rest.len());
        let piece = self.rest.split_to(piece);
        self.left = self.left.saturating_sub(piece.len() as u64);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use testkit::FakeClock;

    use super::*;

    #[tokio::test]
    async fn a_large_answer_counts_until_it_is_taken() {
        let (answers, owed) = (Arc::new(Answers::default()), Arc::new(Owed::default()));
        let small = answers.hold(body::text(200, "x"), || (owed.begin(), ())).await;
        assert!(owed.is_settled() && answers.held.load(Ordering::SeqCst) == 0);
        assert_eq!(small.into_body().collect().await.unwrap().to_bytes(), "x");

        let text = "0123456789".repeat(20_000);
        let mut large = answers.hold(body::text(200, text.clone()), || (owed.begin(), ())).await;
        assert_eq!(large.body().size_hint().exact(), Some(200_000));
        assert!(!owed.is_settled());
        let mut taken = Vec::new();
        while let Some(frame) = large.body_mut().frame().await {
            taken.extend_from_slice(&frame.unwrap().into_data().unwrap());
        }
        assert_eq!(taken, text.as_bytes());
        drop(large);
        owed.settled().await;
        assert_eq!(answers.held.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn too_much_that_nobody_takes_is_429() {
        let time = FakeClock::new();
        let (answers, clock) = (Arc::new(Answers::default()), time.shared());
        answers.leave(&clock).await.unwrap();
        let share = Share { answers: answers.clone(), size: BUDGET };
        answers.held.fetch_add(BUDGET, Ordering::SeqCst);
        let waits = tokio::spawn({
            let (answers, clock) = (answers.clone(), clock.clone());
            async move { answers.leave(&clock).await }
        });
        tokio::task::yield_now().await;
        time.advance(PATIENCE);
        assert_eq!(waits.await.unwrap().unwrap_err().code, 429);
        let mut waits = Box::pin(answers.leave(&clock));
        assert!(futures::poll!(waits.as_mut()).is_pending());
        drop(share);
        waits.await.unwrap();
    }
}
