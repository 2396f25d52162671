//! The memory that a lane's bytes travel in: it grows with the jobs, is given back after a large one, and shows no
//! tenant what another wrote.

use super::encode::Piece;
use super::region::Region;
use offload_core::TenantId;
use std::io;
use std::sync::Arc;

/// The smallest region.
const MIN_BYTES: usize = 64 << 10;

/// One direction of a lane, at the end that writes.
pub(super) struct Staging {
    region: Option<Arc<Region>>,
    /// Whose bytes are in it.
    tenant: Option<TenantId>,
    /// Everything from here on is zero.
    written: usize,
    keep_bytes: usize,
}

impl Staging {
    /// No memory yet. After a job, a region of more than `keep_bytes` is given back.
    pub(super) fn new(keep_bytes: usize) -> Staging {
        Staging { region: None, tenant: None, written: 0, keep_bytes }
    }

    /// The memory, once something was put there.
    pub(super) fn region(&self) -> Option<&Arc<Region>> {
        self.region.as_ref()
    }

    /// Puts a tenant's pieces, which lie in order within the first `total` bytes, into memory, except those that are
    /// to come late. Says whether the memory is new, so that the other side has to map it.
    pub(super) fn put(&mut self, tenant: &TenantId, pieces: &[Piece], total: usize) -> io::Result<bool> {
        let region = match &self.region {
            Some(region) if region.len() >= total => None,
            _ => Some(Arc::new(Region::create(size_for(total, self.keep_bytes)?)?)),
        };
        let fresh = region.is_some();
        if let Some(region) = region {
            (self.region, self.written) = (Some(region), 0);
        }
        let Some(region) = &self.region else { return Ok(false) };
        let other = self.tenant.as_ref() != Some(tenant);
        if other {
            // Until all of the other tenant's bytes are gone, this is nobody's.
            self.tenant = None;
        }
        let outside = || io::Error::other("a piece is outside of its memory");
        // What is not overwritten still holds the bytes of the job before.
        let mut clean_to = 0;
        for piece in pieces {
            let start = piece.at.min(self.written);
            if other && start > clean_to {
                region.zero(clean_to..start).ok_or_else(outside)?;
            }
            if !piece.late {
                region.write(piece.at, piece.bytes()).ok_or_else(outside)?;
                clean_to = clean_to.max(piece.at + piece.bytes().len());
            }
        }
        if other && self.written > clean_to {
            region.zero(clean_to..self.written).ok_or_else(outside)?;
        }
        self.written = if other { total } else { self.written.max(total) };
        self.tenant = Some(tenant.clone());
        Ok(fresh)
    }

    /// Gives a region back that is larger than is kept; whether it did.
    pub(super) fn trim(&mut self) -> bool {
        let large = self.region.as_ref().is_some_and(|r| r.len() > self.keep_bytes);
        if large {
            *self = Staging::new(self.keep_bytes);
        }
        large
    }
}

/// A region's size: room to grow while it is small, what is needed and no more where it will not be kept.
fn size_for(total: usize, keep_bytes: usize) -> io::Result<usize> {
    let total = total.max(MIN_BYTES);
    let rounded = if total <= keep_bytes / 2 {
        total.checked_next_power_of_two()
    } else {
        total.checked_next_multiple_of(4096)
    };
    rounded.ok_or_else(|| io::Error::other("more bytes than there are addresses"))
}
