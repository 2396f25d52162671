//! The driver's codes, and what they mean for a job.

use cl3::error_codes as codes;
use offload_core::device::DeviceError;

/// A code other than success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code(pub(super) i32);

impl Code {
    /// There is no OpenCL library on this machine.
    pub(super) const NO_LIBRARY: Code = Code(codes::DLOPEN_RUNTIME_LOAD_FAILED);
    /// The library is older than the call.
    pub(super) const NO_FUNCTION: Code = Code(codes::DLOPEN_FUNCTION_NOT_AVAILABLE);
    /// The loader found no driver.
    pub(super) const NO_PLATFORM: Code = Code(codes::CL_PLATFORM_NOT_FOUND_KHR);

    /// In words.
    pub(super) fn words(self) -> String {
        match self {
            Code::NO_LIBRARY => "libOpenCL.so.1 cannot be loaded".into(),
            Code::NO_FUNCTION => "the OpenCL library is too old, or is none".into(),
            Code::NO_PLATFORM => "no OpenCL driver is installed".into(),
            Code(code) => format!("{} ({code})", codes::error_text(code)),
        }
    }

    /// Whether memory was missing.
    pub(super) fn is_memory(self) -> bool {
        matches!(self.0, codes::CL_MEM_OBJECT_ALLOCATION_FAILURE | codes::CL_INVALID_BUFFER_SIZE)
    }

    /// Whether the context may be gone; [`CL_OUT_OF_RESOURCES`](codes::CL_OUT_OF_RESOURCES) is also what a launch gets
    /// that needs too many registers, so whoever sees it asks the queue again.
    pub(super) fn is_doubtful(self) -> bool {
        matches!(self.0, codes::CL_OUT_OF_RESOURCES | codes::CL_OUT_OF_HOST_MEMORY)
    }

    /// Whether the context is gone.
    pub(super) fn is_lost(self) -> bool {
        matches!(
            self.0,
            codes::CL_DEVICE_NOT_AVAILABLE
                | codes::CL_INVALID_CONTEXT
                | codes::CL_INVALID_COMMAND_QUEUE
                | codes::CL_INVALID_DEVICE
        )
    }

    /// As the failure of `call`, on a context that lives.
    pub(super) fn call(self, call: &str) -> DeviceError {
        DeviceError::Call(format!("{call}: {}", self.words()))
    }
}
