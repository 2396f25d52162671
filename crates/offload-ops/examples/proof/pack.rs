//! The pack of kernels for machines without NVRTC: what is compiled for it, and the file.

use offload_core::device::KernelSource;
use offload_devices::kernels::{
    Pack, assemble,
    pack::{Compiled, options, write},
};
use serde_json::{Value, json};
use std::io::Read as _;

/// What `nvrtc.py` compiles: every kernel text with each element type, for PTX that is kept.
pub(crate) fn jobs(sources: &[KernelSource]) -> Value {
    let job = |source: &KernelSource| {
        let text = assemble(source, offload_core::device::Backend::Cuda);
        json!({"id": source.name(), "text": text, "options": options(), "keep": true})
    };
    sources.iter().map(job).collect()
}

/// Writes the pack of what `nvrtc.py` answers on standard input, and reads it back.
///
/// # Errors
/// When a kernel is missing, does not compile, or is not what a pack may have.
pub(crate) fn make(path: &str, compiler: &str, sources: &[KernelSource]) -> Result<(), String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|e| format!("standard input: {e}"))?;
    let results: Vec<Value> =
        serde_json::from_str(&text).map_err(|e| format!("the compiler's results: {e}"))?;
    let compiled = |source: &KernelSource| {
        let name = source.name();
        let result = results.iter().find(|r| r["id"] == name.as_str());
        let result = result.ok_or_else(|| format!("{name} was not compiled"))?;
        let ptx = result["ptx"].as_str().filter(|_| result["code"] == 0);
        let ptx = ptx.ok_or_else(|| format!("{name} does not compile:\n{}", result["log"]))?;
        Ok(Compiled { source: *source, ptx: ptx.to_owned() })
    };
    let compiled = sources.iter().map(compiled).collect::<Result<Vec<_>, String>>()?;
    let bytes = write(compiler, &compiled)?;
    std::fs::write(path, &bytes).map_err(|e| format!("{path}: {e}"))?;

    // As a device would.
    let pack = Pack::find(&[path.into()])?;
    for source in sources {
        pack.ptx(source).map_err(|e| e.to_string())?;
    }
    let header = pack.header();
    let unpacked: usize = compiled.iter().map(|c| c.ptx.len()).sum();
    println!("{path}: {} bytes of {unpacked}", bytes.len());
    println!(
        "{}: {} kernels, {}, PTX ISA {}, for compute capability {}.{} and later, driver of CUDA {}.{} or later",
        pack.title(),
        pack.kernels(),
        header.compiler,
        header.ptx_isa,
        header.capability / 10,
        header.capability % 10,
        header.driver / 1000,
        header.driver % 1000 / 10
    );
    Ok(())
}
