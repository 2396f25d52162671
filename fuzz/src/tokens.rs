//! Tokens: one that was not issued is not taken, however near it is.

use offload_pipeline::records::{Stores, Tenant};
use offload_server::auth::{Directory, KeyRequest, Tokens, new_key};
use offload_server::config::Layers;
use offload_stores::MemoryStores;
use std::sync::{Arc, LazyLock};

/// Tokens, and one that holds.
fn issued() -> &'static (Tokens, String) {
    static ISSUED: LazyLock<(Tokens, String)> = LazyLock::new(|| {
        let stores: Arc<dyn Stores> = Arc::new(MemoryStores::new().expect("memory"));
        stores.tenants().create(&Tenant::new("a", 1)).expect("a tenant");
        let request = KeyRequest {
            tenant_id: "a".into(),
            user_id: "ann".into(),
            name: String::new(),
            scopes: Vec::new(),
            expires_at: None,
        };
        let (key, text) = new_key(request).expect("a key");
        stores.keys().create(&key).expect("a key");
        let directory = Arc::new(Directory::new(stores));
        let config = Layers::default().build().expect("the settings as they are shipped");
        let tokens = Tokens::new(config.auth, Arc::clone(&directory)).expect("tokens");
        let holder = directory.by_text(&text).expect("memory").expect("a holder");
        let (token, _) = tokens.issue(&holder).expect("a token");
        (tokens, token)
    });
    &ISSUED
}

pub(crate) fn token(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let (tokens, issued) = issued();
    let holds = tokens.verify(text).is_ok();
    assert_eq!(holds, text == issued, "{text} is taken for a token");
    holds
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    vec![issued().1.clone().into_bytes()]
}
