//! How much memory and processor time one thing took, on this thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

thread_local! {
    // Both const: what allocates here would come back to itself.
    static NOW: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, with a count for each thread.
pub struct Counting;

fn grown(size: usize) {
    // During a thread's end there is nothing to count in any more.
    let _ = NOW.try_with(|now| {
        let sum = now.get().saturating_add(size);
        now.set(sum);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(sum)));
    });
}

fn shrunk(size: usize) {
    let _ = NOW.try_with(|now| now.set(now.get().saturating_sub(size)));
}

// SAFETY: every call is handed on to the system's allocator as it came; counting touches no allocated memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: the caller keeps alloc's contract, which is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        shrunk(layout.size());
        // SAFETY: the pointer came from the system's allocator with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        grown(size);
        shrunk(layout.size());
        // SAFETY: the pointer came from the system's allocator with this layout; the caller answers for the size.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// What something took.
#[derive(Clone, Copy, Debug)]
pub struct Took {
    /// More bytes than before, at the most.
    pub memory: usize,
    /// Of this thread alone: a machine under load makes no difference.
    pub time: Duration,
}

/// Runs `f` and tells what it took. Memory is counted where [`Counting`] is the global allocator.
pub fn measure<T>(f: impl FnOnce() -> T) -> (T, Took) {
    let (before, started) = (NOW.get(), thread_time());
    PEAK.set(before);
    let value = f();
    let took =
        Took { memory: PEAK.get().saturating_sub(before), time: thread_time().saturating_sub(started) };
    (value, took)
}

fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of ours, which the call fills.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) } != 0;
    if failed { Duration::ZERO } else { Duration::new(time.tv_sec as u64, time.tv_nsec as u32) }
}
