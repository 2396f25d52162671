//! The stores in memory pass the suite.

use offload_pipeline::records::Stores;
use offload_stores::MemoryStores;
use offload_stores::suite::Open;
use std::sync::Arc;

fn fresh() -> Open {
    let stores = MemoryStores::new().expect("memory");
    Box::new(move || Arc::new(stores.clone()) as Arc<dyn Stores>)
}

offload_stores::store_suite!(fresh);
