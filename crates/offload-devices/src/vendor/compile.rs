//! From a kernel text to machine code for the device at hand: NVRTC or hipRTC, with a cache on disk.

use super::search::{Library, functions};
use crate::kernels::{CUDA_OPTIONS, KernelCache, Key, assemble};
use offload_core::device::{Backend, DeviceError, KernelSource};
use std::ffi::{CStr, CString, c_char, c_int};

functions! {
    /// The calls that NVRTC and hipRTC spell alike but for their prefix.
    struct Calls {
        version: fn(*mut c_int, *mut c_int) -> c_int;
        create: fn(*mut Program, *const c_char, *const c_char, c_int, *const *const c_char, *const *const c_char) -> c_int;
        compile: fn(Program, c_int, *const *const c_char) -> c_int;
        log_size: fn(Program, *mut usize) -> c_int;
        log: fn(Program, *mut c_char) -> c_int;
        code_size: fn(Program, *mut usize) -> c_int;
        code: fn(Program, *mut c_char) -> c_int;
        destroy: fn(*mut Program) -> c_int;
    }
}

functions! {
    /// What NVRTC has from 11.2 on.
    struct Architectures {
        count: fn(*mut c_int) -> c_int;
        list: fn(*mut c_int) -> c_int;
    }
}

/// Architectures that are asked for at most; there are some dozens.
const MAX_ARCHITECTURES: c_int = 1024;

type Program = *mut std::ffi::c_void;

/// A run-time compiler for one architecture.
pub(super) struct Compiler {
    calls: Calls,
    /// NVRTC's alone.
    architectures: Option<Architectures>,
    backend: Backend,
    architecture: String,
    /// Name and version, as `check` prints it.
    pub(super) software: String,
    cache: KernelCache,
}

// SAFETY: a table of functions that may be called from any thread, each call on a program of its own.
unsafe impl Send for Compiler {}
// SAFETY: as above.
unsafe impl Sync for Compiler {}

impl Compiler {
    /// NVRTC for `sm_90` and the like.
    ///
    /// # Errors
    /// What is missing.
    pub(super) fn nvrtc(architecture: &str, cache: KernelCache) -> Result<Compiler, String> {
        let names = ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2", "libnvrtc.so"];
        let library = Library::open(&names)?;
        let name = |field: &'static str| {
            match field {
                "version" => "nvrtcVersion",
                "create" => "nvrtcCreateProgram",
                "compile" => "nvrtcCompileProgram",
                "log_size" => "nvrtcGetProgramLogSize",
                "log" => "nvrtcGetProgramLog",
                "code_size" => "nvrtcGetCUBINSize",
                "code" => "nvrtcGetCUBIN",
                "destroy" => "nvrtcDestroyProgram",
                "count" => "nvrtcGetNumSupportedArchs",
                "list" => "nvrtcGetSupportedArchs",
                other => other,
            }
            .to_string()
        };
        // SAFETY: these are NVRTC's signatures.
        let (calls, architectures) =
            unsafe { (Calls::load(&library, name)?, Architectures::load(&library, name).ok()) };
        Compiler {
            calls,
            architectures,
            backend: Backend::Cuda,
            architecture: architecture.into(),
            software: String::new(),
            cache,
        }
        .named("nvrtc")
    }

    /// hipRTC for `gfx942` and the like. It is known to crash on architectures it does not know, so only those in the
    /// list are passed on.
    ///
    /// # Errors
    /// What is missing, or that the architecture is not in the list.
    pub(super) fn hiprtc(architecture: &str, cache: KernelCache) -> Result<Compiler, String> {
        const KNOWN: &[&str] = &[
            "gfx900", "gfx906", "gfx908", "gfx90a", "gfx942", "gfx950", "gfx1030", "gfx1100", "gfx1101",
            "gfx1102", "gfx1200", "gfx1201",
        ];
        if !KNOWN.contains(&architecture) {
            return Err(format!("{architecture} is not among the architectures that are compiled for"));
        }
        let names =
            ["libhiprtc.so.7", "libhiprtc.so.6", "libhiprtc.so.5", "libhiprtc.so", "libamdhip64.so.5"];
        let library = Library::open(&names)?;
        let name = |field: &'static str| {
            match field {
                "version" => "hiprtcVersion",
                "create" => "hiprtcCreateProgram",
                "compile" => "hiprtcCompileProgram",
                "log_size" => "hiprtcGetProgramLogSize",
                "log" => "hiprtcGetProgramLog",
                "code_size" => "hiprtcGetCodeSize",
                "code" => "hiprtcGetCode",
                "destroy" => "hiprtcDestroyProgram",
                other => other,
            }
            .to_string()
        };
        // SAFETY: these are hipRTC's signatures.
        let calls = unsafe { Calls::load(&library, name)? };
        Compiler {
            calls,
            architectures: None,
            backend: Backend::Rocm,
            architecture: architecture.into(),
            software: String::new(),
            cache,
        }
        .named("hiprtc")
    }

    fn named(mut self, name: &str) -> Result<Compiler, String> {
        let (mut major, mut minor) = (0, 0);
        // SAFETY: both outlive the call.
        if unsafe { (self.calls.version)(&raw mut major, &raw mut minor) } != 0 {
            return Err(format!("{name} does not tell its version"));
        }
        self.software = format!("{name} {major}.{minor}");
        Ok(self)
    }

    /// Whether it makes code for the card, as far as it tells.
    ///
    /// # Errors
    /// Why it does not: it is older than the card.
    pub(super) fn knows_card(&self) -> Result<(), String> {
        let Some(calls) = &self.architectures else { return Ok(()) };
        let mut count = 0;
        // SAFETY: `count` outlives the call.
        let told = unsafe { (calls.count)(&raw mut count) } == 0 && (1..=MAX_ARCHITECTURES).contains(&count);
        let mut known = vec![0 as c_int; if told { count as usize } else { 0 }];
        // SAFETY: it writes as many numbers as it said.
        if !told || unsafe { (calls.list)(known.as_mut_ptr()) } != 0 {
            return Ok(());
        }
        let card = self.architecture.trim_start_matches("sm_").parse::<c_int>();
        match (card, known.iter().max()) {
            (Ok(card), Some(newest)) if !known.contains(&card) => Err(format!(
                "{} makes no code for sm_{card}, the newest it knows is sm_{newest}",
                self.software
            )),
            _ => Ok(()),
        }
    }

    fn options(&self) -> Vec<String> {
        let target = match self.backend {
            Backend::Rocm => format!("--offload-arch={}", self.architecture),
            _ => format!("--gpu-architecture={}", self.architecture),
        };
        let more: &[&str] = match self.backend {
            Backend::Rocm => &["-ffp-contract=off", "--std=c++17"],
            _ => CUDA_OPTIONS,
        };
        std::iter::once(target).chain(more.iter().map(ToString::to_string)).collect()
    }

    /// Machine code, from the cache where it is there.
    ///
    /// # Errors
    /// [`DeviceError::Compile`] with the compiler's log.
    pub(super) fn compile(&self, source: &KernelSource) -> Result<Vec<u8>, DeviceError> {
        let text = assemble(source, self.backend);
        let options = self.options();
        let key = Key::of(&[&text, &options.join(" "), &self.software]);
        if let Some(code) = self.cache.get(&key) {
            return Ok(code);
        }
        let code = self.translate(source, &text, &options)?;
        self.cache.put(&key, &code);
        Ok(code)
    }

    fn translate(
        &self,
        source: &KernelSource,
        text: &str,
        options: &[String],
    ) -> Result<Vec<u8>, DeviceError> {
        let bad = |what: &str| DeviceError::Compile(format!("{}: {what}", source.name()));
        let text = CString::new(text).map_err(|_| bad("the text holds a zero byte"))?;
        let name = CString::new(source.name()).map_err(|_| bad("the name holds a zero byte"))?;
        let options: Vec<CString> = options
            .iter()
            .map(|o| CString::new(o.as_str()))
            .collect::<Result<_, _>>()
            .map_err(|_| bad("an option holds a zero byte"))?;
        let options: Vec<*const c_char> = options.iter().map(|o| o.as_ptr()).collect();
        let calls = &self.calls;
        let mut program: Program = std::ptr::null_mut();
        // SAFETY: every pointer outlives the call it is passed to; sizes are asked of the library before buffers
        // of that size are handed to it; the program is destroyed once.
        unsafe {
            let none = std::ptr::null();
            if (calls.create)(&raw mut program, text.as_ptr(), name.as_ptr(), 0, none, none) != 0 {
                return Err(bad("the compiler takes no program"));
            }
            let code = (calls.compile)(program, options.len() as c_int, options.as_ptr());
            let result = if code == 0 {
                let mut size = 0;
                (calls.code_size)(program, &raw mut size);
                let mut binary = vec![0u8; size];
                let code = (calls.code)(program, binary.as_mut_ptr().cast());
                if code == 0 && size > 0 { Ok(binary) } else { Err(bad("no machine code came out")) }
            } else {
                let mut size = 0;
                (calls.log_size)(program, &raw mut size);
                let mut log = vec![0 as c_char; size + 1];
                (calls.log)(program, log.as_mut_ptr());
                log[size] = 0;
                Err(bad(&CStr::from_ptr(log.as_ptr()).to_string_lossy()))
            };
            (calls.destroy)(&raw mut program);
            result
        }
    }
}
