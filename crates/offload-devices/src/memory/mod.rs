//! The sub-allocator of a device: few large chunks from the driver, many regions for jobs. It makes no driver call.
//!
//! # The zero rule
//!
//! **Every free byte of a chunk reads zero.** The arena cannot see to that itself; its drivers keep it: a chunk is
//! zeroed when it is made, before [`Arena::add_chunk`], and a region is zeroed before [`Arena::give_back`], once that has
//! *happened* (the stream was waited for). A region that could not be zeroed goes to [`Arena::retire`] instead. So no job
//! ever finds what another left, even one that does not zero what it takes.
//!
//! # How a driver uses it
//!
//! Under one lock over the arena, from [`Arena::take`] to the end:
//!
//! 1. `take`. A [`Taken::Region`] is the answer.
//! 2. [`Taken::NeedsChunk`]: ask the driver for that many bytes, zero them, `add_chunk`, `take` again. Where the driver
//!    refuses, its own out-of-memory is the answer.
//! 3. [`DeviceError::OutOfMemory`]: when [`Arena::idle_chunks`] has any, return those to the driver and `take` once more, as
//!    several small chunks can make room for a large one.
//!
//! # How it places
//!
//! Sizes are rounded up to the alignment. Small requests (below [`SMALL_BYTES`]) share pages cut from the chunks, so that
//! they do not break up what large ones need; a page goes back when its last region does. Everything else is best fit
//! with coalescing, O(log n) in the number of free extents.
//!
//! # What is counted
//!
//! [`Arena::used_bytes`], [`Arena::peak_bytes`] and [`Arena::used_by`] count bytes **as asked for**, which is what quotas and plans
//! speak of. Alignment comes on top: [`Arena::free_bytes`] is what is left of the capacity after it. In all builds the
//! arena asserts at each change that occupied ≤ in chunks ≤ capacity, and with debug assertions that no two regions
//! overlap.

mod extents;

use extents::Extents;
use offload_core::TenantId;
use offload_core::device::{DeviceError, Handle};
use std::collections::{BTreeMap, HashMap};

/// Requests below this share pages.
pub const SMALL_BYTES: u64 = 64 << 10;

/// Bytes of a page for small requests.
const PAGE_BYTES: u64 = 1 << 20;

/// A page is at most this share of the capacity; on a smaller device small requests are placed like large ones.
const PAGES_AT_LEAST: u64 = 32;

/// What an arena may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Bytes that chunks may have in all, rounded down to the alignment.
    pub capacity_bytes: u64,
    /// Bytes of a chunk asked of the driver; a larger request gets a chunk of its own size.
    pub chunk_bytes: u64,
    /// What a region's place and size are a multiple of, a power of two.
    pub align_bytes: u64,
}

impl Config {
    /// This much memory in chunks of 256 MiB, aligned to 512 bytes.
    pub fn new(capacity_bytes: u64) -> Config {
        Config { capacity_bytes, chunk_bytes: 256 << 20, align_bytes: 512 }
    }
}

/// A chunk's number. None is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkId(pub u32);

/// Where a region is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// The chunk.
    pub chunk: ChunkId,
    /// Bytes from its beginning, a multiple of the alignment.
    pub offset: u64,
    /// Bytes as asked for. It occupies them rounded up to the alignment, [`Arena::occupied_bytes`].
    pub bytes: u64,
}

/// What [`Arena::take`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Memory, and its name. No name is used twice, not even after [`Arena::clear`].
    Region(Handle, Region),
    /// Make a chunk of so many bytes, zero it, [`Arena::add_chunk`], and ask again.
    NeedsChunk {
        /// Its size.
        bytes: u64,
    },
}

#[derive(Debug)]
struct Live {
    region: Region,
    tenant: TenantId,
    /// Bytes with alignment.
    occupied: u64,
    /// The page it shares, where it is a small one.
    page: Option<u32>,
}

/// Books of a device's memory.
#[derive(Debug)]
pub struct Arena {
    config: Config,
    page_bytes: u64,
    chunks: BTreeMap<u32, u64>,
    pages: HashMap<u32, extents::Place>,
    large: Extents,
    small: Extents,
    live: HashMap<Handle, Live>,
    tenants: HashMap<TenantId, u64>,
    next_handle: u64,
    next_chunk: u32,
    next_page: u32,
    in_chunks: u64,
    occupied: u64,
    used: u64,
    peak: u64,
    retired: u64,
    #[cfg(debug_assertions)]
    by_place: BTreeMap<extents::Place, u64>,
}

impl Arena {
    /// Nothing taken, no chunks.
    ///
    /// # Panics
    /// When the alignment is not a power of two.
    pub fn new(config: Config) -> Arena {
        assert!(config.align_bytes.is_power_of_two(), "an alignment of {}", config.align_bytes);
        let down = |bytes: u64| bytes & !(config.align_bytes - 1);
        let capacity_bytes = down(config.capacity_bytes);
        let config = Config {
            capacity_bytes,
            chunk_bytes: down(config.chunk_bytes)
                .clamp(config.align_bytes, capacity_bytes.max(config.align_bytes)),
            ..config
        };
        let page_bytes = down(PAGE_BYTES.min(config.chunk_bytes));
        let roomy = page_bytes > SMALL_BYTES && capacity_bytes / page_bytes >= PAGES_AT_LEAST;
        Arena {
            config,
            page_bytes: if roomy { page_bytes } else { 0 },
            chunks: BTreeMap::new(),
            pages: HashMap::new(),
            large: Extents::default(),
            small: Extents::default(),
            live: HashMap::new(),
            tenants: HashMap::new(),
            next_handle: 0,
            next_chunk: 0,
            next_page: 0,
            in_chunks: 0,
            occupied: 0,
            used: 0,
            peak: 0,
            retired: 0,
            #[cfg(debug_assertions)]
            by_place: BTreeMap::new(),
        }
    }

    /// Memory for a tenant. It reads zero. No bytes at all are legal and take one unit of alignment.
    ///
    /// # Errors
    /// [`DeviceError::OutOfMemory`] when the capacity or fragmentation refuses; its `free_bytes` are what one request
    /// could have got, [`largest_free`](Arena::largest_free).
    pub fn take(&mut self, tenant: &TenantId, bytes: u64) -> Result<Taken, DeviceError> {
        let refused = |arena: &Arena| {
            Err(DeviceError::OutOfMemory { needed_bytes: bytes, free_bytes: arena.largest_free() })
        };
        let Some(occupied) = bytes.max(1).checked_next_multiple_of(self.config.align_bytes) else {
            return refused(self);
        };
        let unclaimed = self.config.capacity_bytes - self.in_chunks;
        let paged = self.page_bytes > 0 && occupied < SMALL_BYTES;
        if paged && let Some((page, offset)) = self.take_small(occupied) {
            let (chunk, base) = self.pages[&page];
            return Ok(self.hand_out(tenant, (chunk, base + offset), bytes, occupied, Some(page)));
        }
        // A chunk that still can be had is better than a small region in the midst of large ones.
        let wanted = if paged && unclaimed >= self.page_bytes { self.page_bytes } else { occupied };
        if wanted == occupied
            && let Some(place) = self.large.take(occupied)
        {
            return Ok(self.hand_out(tenant, place, bytes, occupied, None));
        }
        if wanted > unclaimed {
            return refused(self);
        }
        Ok(Taken::NeedsChunk { bytes: wanted.max(self.config.chunk_bytes.min(unclaimed)) })
    }

    /// A chunk was made and zeroed.
    ///
    /// # Panics
    /// When it goes beyond the capacity: the driver made what it was not asked for.
    pub fn add_chunk(&mut self, bytes: u64) -> ChunkId {
        let bytes = bytes & !(self.config.align_bytes - 1);
        self.next_chunk += 1;
        let id = self.next_chunk;
        self.chunks.insert(id, bytes);
        self.in_chunks = self.in_chunks.saturating_add(bytes);
        self.assert_bounds();
        if bytes > 0 {
            self.large.give((id, 0), bytes);
        }
        ChunkId(id)
    }

    /// Where that memory is; `None` when it was given back, retired or cleared away.
    pub fn region(&self, handle: Handle) -> Option<Region> {
        self.live.get(&handle).map(|live| live.region)
    }

    /// Bytes that memory occupies, alignment included: what is to be zeroed before it is given back.
    pub fn occupied_bytes(&self, handle: Handle) -> Option<u64> {
        self.live.get(&handle).map(|live| live.occupied)
    }

    /// Whose that memory is.
    pub fn owner(&self, handle: Handle) -> Option<&TenantId> {
        self.live.get(&handle).map(|live| &live.tenant)
    }

    /// Takes memory back that the caller has zeroed; returns where it was. A second time is nothing.
    pub fn give_back(&mut self, handle: Handle) -> Option<Region> {
        let live = self.forget(handle)?;
        self.used -= live.region.bytes;
        self.occupied -= live.occupied;
        let place = (live.region.chunk.0, live.region.offset);
        #[cfg(debug_assertions)]
        self.by_place.remove(&place);
        match live.page {
            None => _ = self.large.give(place, live.occupied),
            Some(page) => self.give_small(page, place, live.occupied),
        }
        self.assert_bounds();
        Some(live.region)
    }

    /// Withdraws memory that could not be zeroed: nobody gets it again, and it stays counted in
    /// [`used_bytes`](Arena::used_bytes). It is no longer its tenant's.
    pub fn retire(&mut self, handle: Handle) {
        if let Some(live) = self.forget(handle) {
            self.retired += live.region.bytes;
        }
    }

    /// The chunks in which everything is free, to be returned to the driver. They are the arena's no longer.
    pub fn idle_chunks(&mut self) -> Vec<ChunkId> {
        let idle: Vec<(u32, u64)> = self
            .chunks
            .iter()
            .filter(|(id, bytes)| self.large.at((**id, 0)) == Some(**bytes))
            .map(|(id, bytes)| (*id, *bytes))
            .collect();
        for (id, bytes) in &idle {
            self.large.forget((*id, 0));
            self.chunks.remove(id);
            self.in_chunks -= bytes;
        }
        self.assert_bounds();
        idle.into_iter().map(|(id, _)| ChunkId(id)).collect()
    }

    /// Bytes that are taken, as asked for, retired ones included.
    pub fn used_bytes(&self) -> u64 {
        self.used
    }

    /// The most that [`used_bytes`](Arena::used_bytes) ever was.
    pub fn peak_bytes(&self) -> u64 {
        self.peak
    }

    /// Bytes of the capacity that are not taken, alignment counted as taken. Those outside of chunks are among them.
    pub fn free_bytes(&self) -> u64 {
        self.config.capacity_bytes - self.occupied
    }

    /// The largest request that [`take`](Arena::take) would not refuse as things are.
    pub fn largest_free(&self) -> u64 {
        // However much of a page is free, large requests do not get it.
        let small = self.small.largest().min(SMALL_BYTES - self.config.align_bytes.min(SMALL_BYTES));
        self.large.largest().max(self.config.capacity_bytes - self.in_chunks).max(small)
    }

    /// Bytes that are a tenant's, as asked for.
    pub fn used_by(&self, tenant: &TenantId) -> u64 {
        self.tenants.get(tenant).copied().unwrap_or(0)
    }

    /// Bytes that were retired.
    pub fn retired_bytes(&self) -> u64 {
        self.retired
    }

    /// Bytes that chunks have in all.
    pub fn chunk_bytes(&self) -> u64 {
        self.in_chunks
    }

    /// How much of the free memory requests of one size could have between them: the sum of `⌊extent / size⌋ · size`
    /// over all free extents (what is outside of chunks counts as one; free parts of pages count for small sizes
    /// alone). With [`free_bytes`](Arena::free_bytes) the measure of fragmentation.
    pub fn allocatable_bytes(&self, size: u64) -> u64 {
        let Some(size) = size.max(1).checked_next_multiple_of(self.config.align_bytes) else { return 0 };
        let small = self.small.iter().filter(|_| size < SMALL_BYTES).map(|(_, bytes)| bytes);
        let outside = self.config.capacity_bytes - self.in_chunks;
        self.large.iter().map(|(_, b)| b).chain(small).chain([outside]).map(|b| b / size * size).sum()
    }

    /// Forgets everything: the device was restarted, its memory is gone. Old names are not used again.
    pub fn clear(&mut self) {
        *self = Arena {
            next_handle: self.next_handle,
            next_chunk: self.next_chunk,
            next_page: self.next_page,
            peak: self.peak,
            ..Arena::new(self.config)
        };
    }

    fn take_small(&mut self, occupied: u64) -> Option<extents::Place> {
        if let Some(place) = self.small.take(occupied) {
            return Some(place);
        }
        let place = self.large.take(self.page_bytes)?;
        self.next_page += 1;
        self.pages.insert(self.next_page, place);
        self.small.give((self.next_page, 0), self.page_bytes);
        self.small.take(occupied)
    }

    fn give_small(&mut self, page: u32, (_, offset): extents::Place, occupied: u64) {
        let base = self.pages[&page];
        let (start, free) = self.small.give((page, offset - base.1), occupied);
        if free == self.page_bytes {
            self.small.forget(start);
            self.pages.remove(&page);
            self.large.give(base, free);
        }
    }

    fn hand_out(
        &mut self,
        tenant: &TenantId,
        place: extents::Place,
        bytes: u64,
        occupied: u64,
        page: Option<u32>,
    ) -> Taken {
        self.occupied += occupied;
        self.used += bytes;
        self.peak = self.peak.max(self.used);
        self.assert_bounds();
        #[cfg(debug_assertions)]
        self.assert_apart(place, occupied);
        *self.tenants.entry(tenant.clone()).or_default() += bytes;
        self.next_handle += 1;
        let handle = Handle(self.next_handle);
        let region = Region { chunk: ChunkId(place.0), offset: place.1, bytes };
        self.live.insert(handle, Live { region, tenant: tenant.clone(), occupied, page });
        Taken::Region(handle, region)
    }

    fn forget(&mut self, handle: Handle) -> Option<Live> {
        let live = self.live.remove(&handle)?;
        if let Some(used) = self.tenants.get_mut(&live.tenant) {
            *used -= live.region.bytes;
            if *used == 0 {
                self.tenants.remove(&live.tenant);
            }
        }
        Some(live)
    }

    fn assert_bounds(&self) {
        let (used, occupied, in_chunks) = (self.used, self.occupied, self.in_chunks);
        let capacity = self.config.capacity_bytes;
        assert!(
            used <= occupied && occupied <= in_chunks && in_chunks <= capacity,
            "{used} bytes used, {occupied} occupied, {in_chunks} in chunks, {capacity} allowed"
        );
    }

    #[cfg(debug_assertions)]
    fn assert_apart(&mut self, place: extents::Place, occupied: u64) {
        let end = place.1 + occupied;
        let chunk = self.chunks.get(&place.0).copied().unwrap_or(0);
        assert!(end <= chunk, "{occupied} bytes at {place:?} leave a chunk of {chunk}");
        if let Some((before, size)) = self.by_place.range((place.0, 0)..(place.0, end)).next_back() {
            assert!(before.1 + size <= place.1, "{place:?} overlaps {before:?} of {size} bytes");
        }
        self.by_place.insert(place, occupied);
    }
}

#[cfg(test)]
mod tests;
