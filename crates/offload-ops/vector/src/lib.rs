//! Operations on vectors: scores of pairs, exact search, indexes and codes.
//!
//! Vectors are the rows of a matrix. `kernel` holds what several operations build on: exact scores, the blocked search
//! and how it knows that it is exact.
#![forbid(unsafe_code)]

mod kernel;
mod reference;

offload_core::operations! {
    cosine_similarity::CosineSimilarity,
    euclidean_distance::EuclideanDistance,
    dot_product::DotProduct,
    similarity::Similarity,
    batch_similarity::BatchSimilarity,
    knn::Knn,
    knn_search::KnnSearch,
    build_hnsw::BuildHnsw,
    quantize::Quantize,
}
