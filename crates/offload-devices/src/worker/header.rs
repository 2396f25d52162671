//! What both sides of a lane look at while a job runs: the wish to stop, and how far the job is.

use super::region::Region;
use offload_core::{Cancel, Context, Progress};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Bytes of it: a page.
const BYTES: usize = 4096;
/// Where the flag lies.
const CANCEL: usize = 0;
/// Where the progress lies, in a cache line of its own.
const PROGRESS: usize = 64;

/// A lane's shared cells.
pub(super) struct Header(Region);

impl Header {
    pub(super) fn create() -> io::Result<Header> {
        Ok(Header(Region::create(BYTES)?))
    }

    pub(super) fn open(file: OwnedFd) -> io::Result<Header> {
        let region = Region::open(file)?;
        if region.len() < BYTES {
            Err(io::Error::other("a header that is too short"))
        } else {
            Ok(Header(region))
        }
    }

    pub(super) fn cancel(&self) -> &AtomicBool {
        // SAFETY: the byte is inside of the mapping, which lives as long as `self`; both sides only ever store a bool
        // there, by this same type.
        unsafe { AtomicBool::from_ptr(self.0.base().as_ptr().add(CANCEL).cast()) }
    }

    pub(super) fn progress(&self) -> &AtomicU32 {
        // SAFETY: as above; the mapping starts at a page, so the place is aligned, and every value is valid.
        unsafe { AtomicU32::from_ptr(self.0.base().as_ptr().add(PROGRESS).cast()) }
    }

    /// Before a job.
    pub(super) fn reset(&self) {
        self.cancel().store(false, Ordering::Relaxed);
        self.progress().store(0, Ordering::Relaxed);
    }

    /// What a job sees. The page stays mapped until the process ends: a job's clones of it may outlive its lane.
    pub(super) fn into_context(self) -> Context {
        let header: &'static Header = Box::leak(Box::new(self));
        Context::new(Cancel::shared(header.cancel()), Progress::shared(header.progress()))
    }
}

impl AsFd for Header {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
