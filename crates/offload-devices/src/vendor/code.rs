//! Where a card's machine code comes from: the run-time compiler, or a pack of PTX that NVIDIA's driver translates.

use super::compile::Compiler;
use crate::discover::{CudaCompiler, Options};
use crate::kernels::{KernelCache, Pack};
use offload_core::device::{DeviceError, KernelSource};
use std::ffi::CString;

/// What makes a card's machine code.
pub(super) enum Kernels {
    Compiler(Compiler),
    Pack(Pack, String),
}

/// What a driver loads.
pub(super) enum Code {
    /// For the card at hand.
    Machine(Vec<u8>),
    /// PTX, for the driver to translate.
    Ptx(CString),
}

impl Kernels {
    /// What the options say, for a card (`sm_90`) under a driver of this version.
    ///
    /// # Errors
    /// What is missing, or does not fit the card or the driver.
    pub(super) fn cuda(architecture: &str, driver: i32, options: &Options) -> Result<Kernels, String> {
        let nvrtc = || {
            let cache = KernelCache::new(options.kernel_cache.clone());
            Compiler::nvrtc(architecture, cache).map_err(|why| format!("no NVRTC: {why}"))
        };
        let pack = || Kernels::pack(architecture, driver, options);
        let either = |first: String| move |then: String| format!("{first}; {then}");
        match options.compiler {
            CudaCompiler::Nvrtc => nvrtc().and_then(|c| c.knows_card().map(|()| Kernels::Compiler(c))),
            CudaCompiler::Pack => pack(),
            CudaCompiler::Auto => match nvrtc() {
                Ok(compiler) => match compiler.knows_card() {
                    Ok(()) => Ok(Kernels::Compiler(compiler)),
                    Err(why) => pack().map(|p| p.because(&why)).map_err(either(why)),
                },
                Err(why) => pack().map_err(either(why)),
            },
        }
    }

    fn pack(architecture: &str, driver: i32, options: &Options) -> Result<Kernels, String> {
        let pack = Pack::find(&options.kernel_packs)?;
        let (header, title) = (pack.header(), pack.title());
        let digits = architecture.trim_start_matches(|c: char| !c.is_ascii_digit());
        if digits.parse::<u32>().is_ok_and(|card| card < header.capability) {
            return Err(format!(
                "the {title} is for sm_{} and later, the card is {architecture}",
                header.capability
            ));
        }
        if driver < header.driver {
            let cuda = |version: i32| format!("{}.{}", version / 1000, version % 1000 / 10);
            return Err(format!(
                "the {title} needs a driver of CUDA {}, this one is of {}",
                cuda(header.driver),
                cuda(driver)
            ));
        }
        let software =
            format!("{title}: {} kernels, {}, PTX ISA {}", pack.kernels(), header.compiler, header.ptx_isa);
        Ok(Kernels::Pack(pack, software))
    }

    /// A pack with the reason why it is one.
    fn because(self, why: &str) -> Kernels {
        match self {
            Kernels::Pack(pack, software) => Kernels::Pack(pack, format!("{software}; {why}")),
            compiler => compiler,
        }
    }

    /// Name and version, as `check` prints it.
    pub(super) fn software(&self) -> &str {
        match self {
            Kernels::Compiler(compiler) => &compiler.software,
            Kernels::Pack(_, software) => software,
        }
    }

    /// A kernel's code.
    ///
    /// # Errors
    /// [`DeviceError::Compile`] with the compiler's log; [`DeviceError::Unsupported`] when the pack has no such kernel.
    pub(super) fn code(&self, source: &KernelSource) -> Result<Code, DeviceError> {
        match self {
            Kernels::Compiler(compiler) => compiler.compile(source).map(Code::Machine),
            Kernels::Pack(pack, _) => pack.ptx(source).map(Code::Ptx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::TEXTS;
    use crate::kernels::pack::{Compiled, write};

    #[test]
    fn a_pack_is_for_cards_and_drivers_that_take_its_ptx() {
        let kernels: Vec<Compiled> = TEXTS[0]
            .variants()
            .map(|source| {
                let entries = source.text.entries.iter().map(|e| format!(".entry {}()\n", e.name));
                let ptx = format!(".version 8.0\n.target sm_70\n{}", entries.collect::<String>());
                Compiled { source, ptx }
            })
            .collect();
        let file = std::env::temp_dir().join(format!("offload-code-{}.kernels", std::process::id()));
        std::fs::write(&file, write("NVRTC 12.0.76", &kernels).unwrap()).unwrap();
        let options =
            Options { compiler: CudaCompiler::Pack, kernel_packs: vec![file.clone()], ..Options::default() };
        let of = |architecture, driver| Kernels::cuda(architecture, driver, &options);
        for (architecture, driver) in [("sm_70", 12_000), ("sm_90", 13_000), ("sm_120", 13_020)] {
            let kernels = of(architecture, driver).map_err(|why| format!("{architecture} {driver}: {why}"));
            assert!(kernels.is_ok_and(|k| k.software().contains("2 kernels, NVRTC 12.0.76, PTX ISA 8.0")));
        }
        for (architecture, driver, why) in [
            ("sm_61", 12_000, "is for sm_70 and later, the card is sm_61"),
            ("sm_90", 11_080, "needs a driver of CUDA 12.0, this one is of 11.8"),
        ] {
            let said = of(architecture, driver).map(|_| ()).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
        std::fs::remove_file(file).unwrap();
    }
}
