//! The layers of links: who is linked to whom, and how far they are apart.

/// A node and its distance to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Near {
    pub(super) distance: f32,
    pub(super) node: u32,
}

impl Near {
    /// The order of distance, then of the node, so that no order depends on chance.
    pub(super) fn order(a: &Near, b: &Near) -> std::cmp::Ordering {
        a.distance.total_cmp(&b.distance).then(a.node.cmp(&b.node))
    }
}

/// Links of every node in every layer that it is in. A node's links in layer 0 stand at a fixed place; those in the
/// layers above stand one after another, as few nodes have any.
pub(super) struct Graph {
    m: usize,
    levels: Vec<u8>,
    /// The first slot of each node's layers above 0.
    above: Vec<u32>,
    base: Slots,
    upper: Slots,
    /// Where a search starts, once there is a node.
    pub(super) entry: Option<u32>,
}

/// Lists of links of one greatest length.
struct Slots {
    room: usize,
    counts: Vec<u32>,
    nodes: Vec<u32>,
    distances: Vec<f32>,
}

impl Slots {
    fn new(slots: usize, room: usize) -> Slots {
        let len = slots * room;
        Slots { room, counts: vec![0; slots], nodes: vec![0; len], distances: vec![0.0; len] }
    }

    #[inline(always)]
    fn nodes(&self, slot: usize) -> &[u32] {
        &self.nodes[slot * self.room..slot * self.room + self.counts[slot] as usize]
    }
}

impl Graph {
    /// Nodes of these levels without links, `m` for each layer and twice that for layer 0.
    pub(super) fn new(m: usize, levels: Vec<u8>) -> Graph {
        let mut slots = 0u32;
        let above = levels
            .iter()
            .map(|&l| {
                let first = slots;
                slots += u32::from(l);
                first
            })
            .collect();
        let (base, upper) = (Slots::new(levels.len(), 2 * m), Slots::new(slots as usize, m));
        Graph { m, levels, above, base, upper, entry: None }
    }

    pub(super) fn len(&self) -> usize {
        self.levels.len()
    }

    pub(super) fn m(&self) -> usize {
        self.m
    }

    #[inline(always)]
    pub(super) fn level(&self, node: u32) -> usize {
        self.levels[node as usize].into()
    }

    /// The highest layer that a search can start in.
    pub(super) fn top(&self) -> usize {
        self.entry.map_or(0, |e| self.level(e))
    }

    /// The most links of a node in this layer.
    pub(super) fn room(&self, layer: usize) -> usize {
        if layer == 0 { self.base.room } else { self.upper.room }
    }

    #[inline(always)]
    fn slot(&self, node: u32, layer: usize) -> (&Slots, usize) {
        if layer == 0 {
            (&self.base, node as usize)
        } else {
            (&self.upper, self.above[node as usize] as usize + layer - 1)
        }
    }

    /// The nodes that this one is linked to.
    #[inline(always)]
    pub(super) fn links(&self, node: u32, layer: usize) -> &[u32] {
        let (slots, slot) = self.slot(node, layer);
        slots.nodes(slot)
    }

    /// The same with their distances.
    pub(super) fn near(&self, node: u32, layer: usize) -> impl Iterator<Item = Near> + '_ {
        let (slots, slot) = self.slot(node, layer);
        let distances = &slots.distances[slot * slots.room..];
        slots.nodes(slot).iter().zip(distances).map(|(&node, &distance)| Near { distance, node })
    }

    /// Replaces a node's links; there are at most as many as there is room for.
    pub(super) fn set(&mut self, node: u32, layer: usize, links: &[Near]) {
        let (slots, slot) = if layer == 0 {
            (&mut self.base, node as usize)
        } else {
            (&mut self.upper, self.above[node as usize] as usize + layer - 1)
        };
        let count = links.len().min(slots.room);
        slots.counts[slot] = count as u32;
        let from = slot * slots.room;
        for (i, link) in links[..count].iter().enumerate() {
            slots.nodes[from + i] = link.node;
            slots.distances[from + i] = link.distance;
        }
    }

    /// How many lists there are above layer 0.
    pub(super) fn upper_lists(&self) -> usize {
        self.upper.counts.len()
    }
}
