//! The file that hnswlib 0.8 writes with `save_index` and reads with `load_index`, little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 6 × 8 | offset of layer 0 (0); room for elements; elements; bytes of an element; offsets of its label and its vector |
//! | 4, 4 | the highest layer (`i32`); the entry point (`u32`) |
//! | 3 × 8 | most links above layer 0; in layer 0; `m` |
//! | 8, 8 | `1 / ln m` (`f64`); `ef_construction` |
//! | per element | links in layer 0: count (`u16` in 4 bytes), ids (`u32`); vector (`f32`); label (`u64`) |
//! | per element | bytes of its upper layers (`u32`), then for each layer: count (in 4 bytes), ids |

use super::graph::Graph;
use offload_core::{Context, Failure};

/// Bytes before the elements.
pub(super) const HEADER_BYTES: usize = 96;

/// Bytes of an element's part in layer 0.
pub(super) fn element_bytes(d: usize, m: usize) -> usize {
    4 + 2 * m * 4 + d * 4 + 8
}

/// Bytes of an element's links in one layer above.
pub(super) fn upper_bytes(m: usize) -> usize {
    4 + m * 4
}

/// The file of a graph over these vectors.
///
/// # Errors
/// When the job is to stop.
pub(super) fn write(
    ctx: &Context,
    graph: &Graph,
    values: &[f32],
    d: usize,
    ef_construction: usize,
) -> Result<Vec<u8>, Failure> {
    let (n, m) = (graph.len(), graph.m());
    let element = element_bytes(d, m);
    let len = HEADER_BYTES + n * (element + 4) + graph.upper_lists() * upper_bytes(m);
    let mut out = Vec::with_capacity(len);
    let links_bytes = 4 + 2 * m * 4;
    for word in [0, n, n, element, links_bytes + d * 4, links_bytes] {
        out.extend_from_slice(&(word as u64).to_le_bytes());
    }
    let top = if graph.entry.is_some() { graph.top() as i32 } else { -1 };
    out.extend_from_slice(&top.to_le_bytes());
    out.extend_from_slice(&graph.entry.unwrap_or(u32::MAX).to_le_bytes());
    for word in [m, 2 * m, m] {
        out.extend_from_slice(&(word as u64).to_le_bytes());
    }
    out.extend_from_slice(&(1.0 / (m as f64).ln()).to_le_bytes());
    out.extend_from_slice(&(ef_construction as u64).to_le_bytes());
    for node in 0..n as u32 {
        if node % 4096 == 0 {
            ctx.check()?;
        }
        list(&mut out, graph.links(node, 0), 2 * m);
        for x in &values[node as usize * d..(node as usize + 1) * d] {
            out.extend_from_slice(&x.to_le_bytes());
        }
        out.extend_from_slice(&u64::from(node).to_le_bytes());
    }
    for node in 0..n as u32 {
        let level = graph.level(node);
        out.extend_from_slice(&((level * upper_bytes(m)) as u32).to_le_bytes());
        for layer in 1..=level {
            list(&mut out, graph.links(node, layer), m);
        }
    }
    debug_assert_eq!(out.len(), len);
    Ok(out)
}

fn list(out: &mut Vec<u8>, links: &[u32], room: usize) {
    out.extend_from_slice(&(links.len() as u32).to_le_bytes());
    for i in 0..room {
        out.extend_from_slice(&links.get(i).copied().unwrap_or(0).to_le_bytes());
    }
}
