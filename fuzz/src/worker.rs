//! What a worker process sends, and the compiled kernels it finds on its disk.

use super::operations::find;
use offload_api::{Record, Tensor, Value};
use offload_devices::kernels::{KernelCache, Key};
use offload_devices::worker::heard;
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

/// The operation whose names are known.
const OPERATION: &str = "matrix.multiply";

/// The memory that messages of the seeds speak of.
fn memory() -> &'static [u8] {
    static MEMORY: LazyLock<Vec<u8>> = LazyLock::new(|| seed_parts().1);
    &MEMORY
}

fn answer() -> Record<Tensor> {
    Record::new()
        .with(
            "result",
            Value::Tensor(Tensor::new([2, 3], vec![1.0f64, 2.0, 3.0, 4.0, 5.0, 6.0]).expect("it fits")),
        )
        .with("ids", Value::Tensor(Tensor::vector(vec![1u8, 2, 3])))
        .with("none", Value::Tensor(Tensor::new([0, 3], Vec::<f32>::new()).expect("it fits")))
        .with("gaps", Value::Gapped(Tensor::vector(vec![0.5f64])))
        .with("text", Value::Text("ü".into()))
        .with("json", Value::Json(serde_json::json!({"a": [1, null]}).into()))
        .with("bytes", Value::Bytes(vec![7u8; 9].into()))
        .with("int", Value::Int(-3))
        .with("float", Value::Float(0.1))
        .with("flag", Value::Bool(true))
}

fn seed_parts() -> (Vec<u8>, Vec<u8>) {
    heard::said(answer())
}

pub(crate) fn message(bytes: &[u8]) -> bool {
    // The other direction shares the values; what it refuses must be refused without a panic too.
    let job = heard::by_worker(bytes, memory(), find(OPERATION));
    let outputs = match heard::by_service(bytes, memory(), find(OPERATION)) {
        Ok(Some(outputs)) => outputs,
        Ok(None) => return true,
        Err(_) => return job.is_ok(),
    };
    // Values do not share memory, and take no more than there is, what is small and the names aside.
    assert!(outputs.bytes() <= (memory().len() + bytes.len()) as u64, "{} bytes", outputs.bytes());
    for (_, value) in outputs.iter() {
        if let Value::Tensor(t) | Value::Gapped(t) = value {
            super::wire::smallest(t.shape());
        }
    }
    let (said, memory) = heard::said(outputs.clone());
    let again = heard::by_service(&said, &memory, find(OPERATION)).expect("what is said is heard");
    let same = |a: &Record<Tensor>, b: &Record<Tensor>| {
        a.len() == b.len()
            && a.iter().zip(b.iter()).all(|((n, x), (m, y))| n == m && format!("{x:?}") == format!("{y:?}"))
    };
    assert!(again.is_some_and(|again| same(&again, &outputs)), "heard again, it is another");
    true
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![seed_parts().0, heard::asked(OPERATION, answer())];
    for text in [
        r#"{"Missing":{"at":64}}"#,
        r#"{"Failed":{"failure":{"Rejected":{"field":"a","message":"b"}},"timings":{"upload":{"secs":0,"nanos":1},"compute":{"secs":1,"nanos":0},"download":{"secs":0,"nanos":0}}}}"#,
        r#"{"Failed":{"failure":{"Unprocessable":{"reason":"singular","message":"m","details":{"pivot":1e-300}}},"timings":{"upload":{"secs":0,"nanos":1},"compute":{"secs":1,"nanos":0},"download":{"secs":0,"nanos":0}}}}"#,
        r#""Brought""#,
        r#"{"Read":{"inputs_gone":true}}"#,
    ] {
        seeds.push([&(text.len() as u32).to_le_bytes()[..], &[0; 4], text.as_bytes()].concat());
    }
    seeds
}

/// A cache, the key in it, and the file of that key.
fn cache() -> &'static (KernelCache, Key, PathBuf) {
    static CACHE: LazyLock<(KernelCache, Key, PathBuf)> = LazyLock::new(|| {
        let folder = std::env::temp_dir().join(format!("hgo-fuzz-kernels-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let cache = KernelCache::new(Some(folder.clone()));
        let key = Key::of(&["text", "device"]);
        cache.put(&key, b"compiled");
        let mut files = fs::read_dir(&folder).expect("a folder");
        let path = files.next().expect("a file").expect("its name").path();
        (cache, key, path)
    });
    &CACHE
}

pub(crate) fn kernel_file(bytes: &[u8]) -> bool {
    let (cache, key, path) = cache();
    fs::write(path, bytes).expect("the file is written");
    let Some(kernel) = cache.get(key) else { return false };
    cache.put(key, &kernel);
    assert_eq!(
        fs::read(path).expect("the file is read"),
        bytes,
        "it is not the file of what was read from it"
    );
    true
}

pub(crate) fn kernel_seeds() -> Vec<Vec<u8>> {
    let (cache, key, path) = cache();
    let file = |content: &[u8]| {
        cache.put(key, content);
        fs::read(path).expect("the file is read")
    };
    vec![file(b"compiled"), file(b""), file(&[0; 100])]
}
