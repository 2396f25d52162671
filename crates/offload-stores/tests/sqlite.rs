//! The embedded stores pass the suite.
#![allow(clippy::unwrap_used, reason = "tests")]

mod scratch;

use offload_pipeline::records::Stores;
use offload_stores::DataDir;
use offload_stores::suite::Open;
use scratch::Scratch;
use std::sync::Arc;

fn fresh() -> Open {
    let scratch = Scratch::new();
    Box::new(move || Arc::new(DataDir::open(scratch.path()).unwrap()) as Arc<dyn Stores>)
}

offload_stores::store_suite!(fresh);
