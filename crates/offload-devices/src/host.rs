//! Host memory that is not the allocator's: files mapped for reading.

use offload_api::Memory;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, munmap};
use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;

/// Offsets of a mapping are multiples of the page; no supported machine has larger ones.
const PAGE_BYTES: u64 = 65_536;

/// The bytes of a file's range, in place: pages are read when they are touched, and the system may drop them again
/// under pressure.
struct Mapped {
    base: NonNull<c_void>,
    /// Of the whole mapping, which begins at a page.
    len: usize,
    /// The range that was asked for.
    bytes: Range<usize>,
}

// SAFETY: the mapping is only ever read, and belongs to no thread.
unsafe impl Send for Mapped {}
// SAFETY: as above.
unsafe impl Sync for Mapped {}

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `base` is the start of a mapping of `len` bytes that lives as long as `self`. `map_file`'s callers
        // promise that nobody writes to the file or shortens it, so the bytes never change.
        let all = unsafe { std::slice::from_raw_parts(self.base.as_ptr().cast::<u8>(), self.len) };
        &all[self.bytes.clone()]
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: the range is this value's own mapping, and nobody can read it any more. Either call may fail and
        // then leaves address space behind, nothing else.
        unsafe {
            let _ = madvise(self.base.as_ptr(), self.len, Advice::LinuxDontNeed);
            let _ = munmap(self.base.as_ptr(), self.len);
        }
    }
}

/// Maps `bytes` of the file for reading.
///
/// The file must be immutable for as long as the mapping lives: whoever calls this owns the folder it is in, keeps
/// that private to the process's user, and never writes to or shortens a file in it once it has its name. Removing it
/// is fine. A disk that fails while a page is read ends the process, as it would for a program's own code.
///
/// # Errors
/// When the range is not inside the file, or the system refuses.
pub fn map_file(file: &File, bytes: Range<u64>) -> io::Result<Arc<dyn Memory>> {
    let outside = || io::Error::new(io::ErrorKind::UnexpectedEof, "the range is not inside the file");
    if bytes.start > bytes.end || bytes.end > file.metadata()?.len() {
        return Err(outside());
    }
    if bytes.is_empty() {
        return Ok(Arc::new(Vec::<u8>::new()));
    }
    let from = bytes.start / PAGE_BYTES * PAGE_BYTES;
    let size = |n: u64| usize::try_from(n).map_err(|_| outside());
    let len = size(bytes.end - from)?;
    let bytes = size(bytes.start - from)?..len;
    // SAFETY: the system chooses the place, so no mapping of someone else is replaced; the file is open for reading.
    let base = unsafe { mmap(std::ptr::null_mut(), len, ProtFlags::READ, MapFlags::SHARED, file, from) }?;
    let base = NonNull::new(base).ok_or_else(|| io::Error::other("the system mapped the file at nothing"))?;
    Ok(Arc::new(Mapped { base, len, bytes }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_range_is_read_in_place_and_outlives_its_file() {
        let path = std::env::temp_dir().join(format!("offload-devices-map-{}", std::process::id()));
        let content: Vec<u8> = (0..200_000u32).map(|i| (i % 251) as u8).collect();
        File::create(&path).unwrap().write_all(&content).unwrap();
        let file = File::open(&path).unwrap();
        let ranges = [0..10, 64..131_072, 65_536..65_537, 70_000..200_000, 5..5];
        let maps: Vec<_> = ranges.iter().map(|r| map_file(&file, r.clone()).unwrap()).collect();
        for bad in [0..200_001, 200_001..200_001, Range { start: 9, end: 8 }] {
            assert!(map_file(&file, bad).is_err());
        }
        drop(file);
        std::fs::remove_file(&path).unwrap();
        for (range, map) in ranges.iter().zip(&maps) {
            assert!((**map).as_ref() == &content[range.start as usize..range.end as usize], "{range:?}");
        }
    }
}
