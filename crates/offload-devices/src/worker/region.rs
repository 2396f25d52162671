//! Memory that two processes map: a file without a name, whose size neither can change.

use bytemuck::Pod;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

/// Seals without which the other side could cut memory away under a reader, which ends a process by a signal.
const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW);

/// A mapping of shared memory.
pub(super) struct Region {
    base: NonNull<u8>,
    len: usize,
    file: OwnedFd,
}

// SAFETY: the mapping belongs to no thread; who writes when is agreed between the processes, see `bytes`.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    /// New memory, all zero; pages are taken as they are touched.
    pub(super) fn create(len: usize) -> io::Result<Region> {
        let file = memfd_create("offload-staging", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&file, len as u64)?;
        fcntl_add_seals(&file, SEALS | SealFlags::SEAL)?;
        Region::map(file, len)
    }

    /// Memory that the other side made.
    pub(super) fn open(file: OwnedFd) -> io::Result<Region> {
        if !fcntl_get_seals(&file)?.contains(SEALS) {
            return Err(io::Error::other("the size of shared memory is not sealed"));
        }
        let len = usize::try_from(fstat(&file)?.st_size).map_err(io::Error::other)?;
        Region::map(file, len)
    }

    fn map(file: OwnedFd, len: usize) -> io::Result<Region> {
        if len == 0 {
            return Err(io::Error::other("shared memory without a size"));
        }
        // SAFETY: the system chooses the place, so no mapping of someone else is replaced.
        let base = unsafe {
            mmap(std::ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, &file, 0)
        }?;
        let base = NonNull::new(base.cast()).ok_or_else(|| io::Error::other("mapped at nothing"))?;
        Ok(Region { base, len, file })
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    fn place(&self, range: &Range<usize>) -> Option<*mut u8> {
        if range.start > range.end || range.end > self.len {
            return None;
        }
        // SAFETY: the start is within the mapping, or at its end.
        Some(unsafe { self.base.as_ptr().add(range.start) })
    }

    /// Copies bytes in; `None` when they do not fit there.
    #[must_use]
    pub(super) fn write(&self, at: usize, bytes: &[u8]) -> Option<()> {
        let to = self.place(&(at..at.checked_add(bytes.len())?))?;
        // SAFETY: the range is inside of the mapping, and `bytes` is memory of this process that no mapping of
        // this kind overlaps, or another part of this one that is only read.
        unsafe { std::ptr::copy(bytes.as_ptr(), to, bytes.len()) };
        Some(())
    }

    /// Copies elements out, whatever the other side makes of them meanwhile; `None` when they are not inside, and then no
    /// memory is taken for them.
    #[must_use]
    pub(super) fn read<T: Pod>(&self, at: usize, len: usize) -> Option<Vec<T>> {
        let bytes = len.checked_mul(size_of::<T>())?;
        let from = self.place(&(at..at.checked_add(bytes)?))?;
        let mut elements = Vec::<T>::with_capacity(len);
        // SAFETY: the range is inside of the mapping, the vector's memory is of this process alone and has room for it, any
        // bytes are an element, and after the copy all of them are there. They are copied as bytes, so that the place
        // need not be aligned.
        unsafe {
            std::ptr::copy_nonoverlapping(from, elements.as_mut_ptr().cast::<u8>(), bytes);
            elements.set_len(len);
        }
        Some(elements)
    }

    /// Zeroes a range; `None` when it is not inside.
    #[must_use]
    pub(super) fn zero(&self, range: Range<usize>) -> Option<()> {
        let to = self.place(&range)?;
        // SAFETY: the range is inside of the mapping.
        unsafe { std::ptr::write_bytes(to, 0, range.len()) };
        Some(())
    }

    /// All of it, for a reader that the other side's writing waits for: a job's inputs are written before the job is
    /// sent, or before a question for them is answered, and not again until its end was told.
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping lives as long as `self` and cannot shrink. What is read of it does not change
        // meanwhile, as said above.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.len) }
    }

    /// The start of the mapping, for cells that both sides change.
    pub(super) fn base(&self) -> NonNull<u8> {
        self.base
    }
}

impl AsFd for Region {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the range is this value's own mapping, and nobody can read it any more. The call may fail and then
        // leaves address space behind, nothing else.
        unsafe {
            let _ = munmap(self.base.as_ptr().cast(), self.len);
        }
    }
}
