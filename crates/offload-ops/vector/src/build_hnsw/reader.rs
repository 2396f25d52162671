//! The file read back, for the worked examples: its structure is held against the format, and a search as hnswlib does
//! it says how good the links are. Written from the format's description, apart from what writes it.

/// An index as its file has it.
pub(super) struct Index {
    pub(super) n: usize,
    pub(super) d: usize,
    m: usize,
    top: i32,
    entry: u32,
    vectors: Vec<f32>,
    labels: Vec<u64>,
    /// By node and layer.
    links: Vec<Vec<Vec<u32>>>,
}

struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or("the file ends early")?;
        self.0 = rest;
        Ok(*head)
    }
    fn u64(&mut self) -> Result<usize, String> {
        Ok(u64::from_le_bytes(self.take()?) as usize)
    }
    fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.take()?))
    }
    fn links(&mut self, room: usize) -> Result<Vec<u32>, String> {
        let [low, high, deleted, unused] = self.take()?;
        let count = usize::from(u16::from_le_bytes([low, high]));
        if count > room || deleted != 0 || unused != 0 {
            return Err(format!(
                "{count} links where there is room for {room}, flags {deleted} and {unused}"
            ));
        }
        let all = (0..room).map(|_| self.u32()).collect::<Result<Vec<_>, _>>()?;
        Ok(all[..count].to_vec())
    }
}

impl Index {
    /// Reads a file and checks everything that must hold of one.
    ///
    /// # Errors
    /// What does not hold.
    pub(super) fn read(file: &[u8]) -> Result<Index, String> {
        let mut b = Bytes(file);
        let (level0, room, n) = (b.u64()?, b.u64()?, b.u64()?);
        let (element, label_offset, vector_offset) = (b.u64()?, b.u64()?, b.u64()?);
        let (top, entry) = (b.u32()? as i32, b.u32()?);
        let (m_above, m_base, m) = (b.u64()?, b.u64()?, b.u64()?);
        let (mult, ef) = (f64::from_le_bytes(b.take()?), b.u64()?);
        let d = (label_offset.checked_sub(vector_offset).ok_or("the label stands before the vector")?) / 4;
        let whole = [
            level0 == 0,
            room >= n,
            m_above == m && m_base == 2 * m,
            vector_offset == 4 + 4 * m_base,
            element == label_offset + 8,
            (mult * (m as f64).ln() - 1.0).abs() < 1e-12,
            ef >= m,
        ];
        if let Some(i) = whole.iter().position(|ok| !ok) {
            return Err(format!("the header contradicts itself: rule {i}"));
        }
        let (mut vectors, mut labels, mut links) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..n {
            links.push(vec![b.links(m_base)?]);
            for _ in 0..d {
                vectors.push(f32::from_le_bytes(b.take()?));
            }
            labels.push(b.u64()? as u64);
        }
        for (node, links) in links.iter_mut().enumerate() {
            let bytes = b.u32()? as usize;
            if !bytes.is_multiple_of(4 + 4 * m) {
                return Err(format!("node {node} has {bytes} bytes of upper layers"));
            }
            for _ in 0..bytes / (4 + 4 * m) {
                links.push(b.links(m)?);
            }
        }
        if !b.0.is_empty() {
            return Err(format!("{} bytes are left over", b.0.len()));
        }
        let index = Index { n, d, m, top, entry, vectors, labels, links };
        index.sound()?;
        Ok(index)
    }

    fn sound(&self) -> Result<(), String> {
        if self.n == 0 {
            return if self.top == -1 { Ok(()) } else { Err("an empty index has a layer".into()) };
        }
        let highest = self.links.iter().map(Vec::len).max().unwrap_or(0) as i32 - 1;
        let entry = self.links.get(self.entry as usize).ok_or("the entry point is no node")?;
        if self.top != highest || entry.len() as i32 - 1 != highest {
            return Err(format!("the highest layer is {highest}, not {} or the entry's", self.top));
        }
        let mut labels = self.labels.clone();
        labels.sort_unstable();
        if labels.iter().enumerate().any(|(i, &l)| l != i as u64) {
            return Err("labels are not the rows' numbers".into());
        }
        for (node, layers) in self.links.iter().enumerate() {
            for (layer, links) in layers.iter().enumerate() {
                let mut sorted = links.clone();
                sorted.sort_unstable();
                sorted.dedup();
                let there = |&l: &u32| self.links.get(l as usize).is_some_and(|to| to.len() > layer);
                if sorted.len() != links.len() || links.contains(&(node as u32)) || !links.iter().all(there) {
                    return Err(format!("node {node} has bad links in layer {layer}: {links:?}"));
                }
                if links.is_empty() && layer == 0 && self.n > 1 {
                    return Err(format!("node {node} has no links"));
                }
            }
        }
        if self.m < 2 { Err(format!("m is {}", self.m)) } else { Ok(()) }
    }

    /// The vector of a node.
    pub(super) fn vector(&self, node: usize) -> &[f32] {
        &self.vectors[node * self.d..(node + 1) * self.d]
    }

    /// The labels of the `k` nearest of `ef` candidates, as a search through the layers finds them.
    pub(super) fn search(
        &self,
        q: &[f32],
        k: usize,
        ef: usize,
        distance: impl Fn(&[f32], &[f32]) -> f64,
    ) -> Vec<u64> {
        if self.n == 0 {
            return Vec::new();
        }
        let off = |node: u32| distance(q, self.vector(node as usize));
        let mut at = self.entry;
        for layer in (1..=self.top as usize).rev() {
            while let Some(&next) = self.links[at as usize][layer]
                .iter()
                .min_by(|a, b| off(**a).total_cmp(&off(**b)))
                .filter(|next| off(**next) < off(at))
            {
                at = next;
            }
        }
        let mut seen = vec![false; self.n];
        seen[at as usize] = true;
        let mut found = vec![(off(at), at, false)];
        while let Some(i) = found.iter().position(|f| !f.2) {
            found[i].2 = true;
            for &other in &self.links[found[i].1 as usize][0] {
                if !std::mem::replace(&mut seen[other as usize], true) {
                    found.push((off(other), other, false));
                }
            }
            found.sort_by(|a, b| a.0.total_cmp(&b.0));
            found.truncate(ef);
        }
        found.truncate(k);
        found.iter().map(|f| self.labels[f.1 as usize]).collect()
    }
}
