//! The key of a result: BLAKE3 over everything that its value depends on.

use super::epochs::Epoch;
use crate::data::Origin;
use offload_api::{DependsOn, Record, Tensor, Value};
use offload_core::{Registered, TenantId};

/// A digest of tenant, operation and its version, inputs, and versions of the tables depended on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CacheKey(pub [u8; 32]);

impl CacheKey {
    /// The digest as lowercase hexadecimal.
    pub fn to_hex(self) -> String {
        blake3::Hash::from_bytes(self.0).to_hex().to_string()
    }

    /// The key of this job. Every part is length-prefixed, so no two different jobs spell the same bytes.
    pub(super) fn of(
        tenant: &TenantId,
        operation: &Registered,
        inputs: &Record<Tensor>,
        origins: &[(&'static str, Origin)],
        depends_on: &[(DependsOn, Epoch)],
    ) -> CacheKey {
        let mut h = Hasher(blake3::Hasher::new());
        h.text("heliosdb-gpu-offload result 1");
        h.text(tenant.as_str());
        h.text(&operation.full_name);
        h.number(u64::from(operation.about.version));
        h.number(inputs.len() as u64);
        for (name, value) in inputs.iter() {
            h.text(name);
            // What a dataset's version holds never changes, so its name stands for it; the bytes are never hashed.
            if let Some((_, origin)) = origins.iter().find(|(n, _)| *n == name) {
                h.origin(origin, value);
                continue;
            }
            match value {
                Value::Tensor(t) | Value::Gapped(t) => h.tensor(t),
                Value::Int(v) => h.tagged(b'i', &v.to_le_bytes()),
                Value::Float(v) => h.tagged(b'f', &v.to_bits().to_le_bytes()),
                Value::Bool(v) => h.tagged(b'b', &[u8::from(*v)]),
                Value::Text(v) => h.tagged(b't', v.as_bytes()),
                Value::Json(v) => h.tagged(b'j', v.to_string().as_bytes()),
                Value::Bytes(b) => h.tagged(b'y', b),
                Value::Matches(m) => {
                    h.tagged(b'm', &[m.layout() as u8]);
                    h.tensor(m.indices());
                    h.tensor(m.scores());
                }
            }
        }
        h.number(depends_on.len() as u64);
        for (d, epoch) in depends_on {
            h.text(&d.table);
            h.text(&d.version.as_ref().map(ToString::to_string).unwrap_or_default());
            h.number(epoch.incarnation);
            h.number(epoch.counter);
        }
        CacheKey(*h.0.finalize().as_bytes())
    }
}

struct Hasher(blake3::Hasher);

impl Hasher {
    fn tensor(&mut self, t: &Tensor) {
        self.text(t.dtype().name());
        self.number(t.shape().len() as u64);
        for &d in t.shape() {
            self.number(d as u64);
        }
        self.0.update(t.data().as_bytes());
    }
    fn origin(&mut self, origin: &Origin, value: &Value) {
        self.tagged(b'd', &[]);
        self.text(&origin.id);
        self.number(origin.version);
        self.text(&origin.column);
        self.text(&origin.test);
        // The same column may be read as another type.
        if let Value::Tensor(t) = value {
            self.text(t.dtype().name());
        }
    }
    fn number(&mut self, v: u64) {
        self.0.update(&v.to_le_bytes());
    }
    fn text(&mut self, v: &str) {
        self.number(v.len() as u64);
        self.0.update(v.as_bytes());
    }
    fn tagged(&mut self, tag: u8, bytes: &[u8]) {
        self.0.update(&[tag]);
        self.number(bytes.len() as u64);
        self.0.update(bytes);
    }
}
