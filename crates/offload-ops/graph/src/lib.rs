//! Operations on graphs.
//!
//! A graph is a list of edges between ids of 64 bits. `csr` turns it into rows of arcs by dense indices, in the order of
//! the ids, so that the smallest index is the smallest id; `paths` holds the searches that several operations share;
//! `need` turns shapes into plans, and `device` brings a graph to a device. Results do not depend on the order of the
//! edges or on the number of threads.
#![forbid(unsafe_code)]

mod csr;
mod device;
mod need;
mod paths;
mod reference;

offload_core::operations! {
    shortest_path::ShortestPath,
    bfs::Bfs,
    connected_components::ConnectedComponents,
    strongly_connected::StronglyConnected,
    pagerank::Pagerank,
    minimum_spanning_tree::MinimumSpanningTree,
    detect_cycles::DetectCycles,
    dfs::Dfs,
    all_pairs::AllPairs,
    k_shortest::KShortest,
    triangle_count::TriangleCount,
}
