//! Searches in turns: what a turn finds is what the next one starts from.

use offload_core::Failure;
use offload_core::device::{Buffer, Gpu};

/// Turns that are started before the host looks whether there is anything left: a turn with nothing to do takes the device a
/// few microseconds, and a look takes longer than that.
const MOST_AHEAD: u32 = 8;

/// A queue on the device in two lists, of which one is read and the other filled in each turn.
pub(crate) struct Turns {
    lists: [Buffer<u32>; 2],
    /// How many each of three turns has, and room for a search's own counter.
    pub(crate) count: Buffer<u32>,
    /// The number of the turn that comes.
    pub(crate) turn: u32,
}

/// Counters that [`Turns`] has: of three turns, and one for the search.
const COUNTERS: usize = 4;

impl Turns {
    /// Bytes of device memory for queues of at most so many nodes.
    pub(crate) const fn bytes(nodes: u64) -> u64 {
        8 * nodes + 4 * COUNTERS as u64
    }

    /// An empty queue for so many nodes, each at most once.
    ///
    /// # Errors
    /// When the device has no memory.
    pub(crate) fn new(nodes: usize, gpu: &mut Gpu<'_>) -> Result<Turns, Failure> {
        Ok(Turns { lists: [gpu.zeros(nodes)?, gpu.zeros(nodes)?], count: gpu.zeros(COUNTERS)?, turn: 0 })
    }

    /// The list that the coming turn reads, and the one that it fills.
    pub(crate) fn lists(&self) -> (&Buffer<u32>, &Buffer<u32>) {
        let now = (self.turn % 2) as usize;
        (&self.lists[now], &self.lists[1 - now])
    }

    /// How many nodes wait for the coming turn, and the search's own counter, once everything has run.
    ///
    /// # Errors
    /// When the device fails.
    pub(crate) fn look(&self, gpu: &mut Gpu<'_>) -> Result<(u32, u32), Failure> {
        let counts = gpu.download(&self.count)?;
        Ok((counts[(self.turn % 3) as usize], counts[COUNTERS - 1]))
    }

    /// Empties the queue, and begins with turn 0.
    ///
    /// # Errors
    /// When the device fails.
    pub(crate) fn restart(&mut self, gpu: &mut Gpu<'_>) -> Result<(), Failure> {
        self.turn = 0;
        gpu.clear(&self.count)
    }

    /// Takes turns until nothing is found any more, and says whether that was so within `limit` turns. `take` starts one.
    ///
    /// # Errors
    /// Those of `take`, and when the device fails.
    pub(crate) fn run(
        &mut self,
        gpu: &mut Gpu<'_>,
        limit: u32,
        mut take: impl FnMut(&mut Gpu<'_>, &Turns) -> Result<(), Failure>,
    ) -> Result<bool, Failure> {
        let (mut taken, mut ahead) = (0, 1);
        while taken < limit {
            for _ in 0..ahead {
                take(gpu, self)?;
                self.turn += 1;
            }
            taken += ahead;
            if self.look(gpu)?.0 == 0 {
                return Ok(true);
            }
            ahead = (ahead * 2).min(MOST_AHEAD);
        }
        Ok(false)
    }
}
