//! The driver's objects, each released when it is dropped, behind calls that are safe.
//!
//! OpenCL counts references: an object that a started command uses lives until the command has ended, whoever
//! released it meanwhile. Every call returns the driver's code; a missing library or function is a code as well.

use super::code::Code;
use cl3::types::{
    cl_command_queue, cl_context, cl_device_id, cl_event, cl_int, cl_kernel, cl_mem, cl_program,
};
use cl3::{command_queue, context, device, event, kernel, memory, program};
use std::ffi::{CStr, c_void};
use std::ptr;

/// A device of a platform. Never released: platforms own their devices.
#[derive(Clone, Copy, Debug)]
pub(super) struct DeviceId(pub(super) cl_device_id);

// SAFETY: an id is a name that the driver gave; the calls that take it may come from any thread.
unsafe impl Send for DeviceId {}
// SAFETY: as above.
unsafe impl Sync for DeviceId {}

macro_rules! owned {
    ($(#[$meta:meta])* $name:ident, $raw:ty, $release:path) => {
        $(#[$meta])*
        #[derive(Debug)]
        pub(super) struct $name($raw);

        // SAFETY: OpenCL's objects may be used from any thread; `clSetKernelArg` alone must not be called on one
        // kernel from two, and `Kernel::argument` takes the kernel exclusively.
        unsafe impl Send for $name {}
        // SAFETY: as above.
        unsafe impl Sync for $name {}

        impl Drop for $name {
            fn drop(&mut self) {
                // SAFETY: the value owns one reference, which ends here. A failure leaves memory of the driver
                // behind and nothing else.
                let _ = unsafe { $release(self.0) };
            }
        }
    };
}

owned!(
    /// A context over one device.
    Context, cl_context, context::release_context
);
owned!(
    /// An in-order queue that measures its commands.
    Queue, cl_command_queue, command_queue::release_command_queue
);
owned!(
    /// Device memory.
    Memory, cl_mem, memory::release_mem_object
);
owned!(
    /// A text that was built.
    Program, cl_program, program::release_program
);
owned!(
    /// An entry of a program, with its arguments.
    Kernel, cl_kernel, kernel::release_kernel
);
owned!(
    /// A command that was started.
    Event, cl_event, event::release_event
);

impl Context {
    /// A context over one device.
    pub(super) fn new(device: DeviceId) -> Result<Context, Code> {
        context::create_context(&[device.0], ptr::null(), None, ptr::null_mut()).map(Context).map_err(Code)
    }

    /// Device memory of this size, which must not be 0.
    pub(super) fn memory(&self, bytes: usize) -> Result<Memory, Code> {
        // SAFETY: no host memory is handed over.
        let made =
            unsafe { memory::create_buffer(self.0, memory::CL_MEM_READ_WRITE, bytes, ptr::null_mut()) };
        made.map(Memory).map_err(Code)
    }

    /// A queue, with the properties of `clCreateCommandQueueWithProperties` and its ending zero; without any where
    /// the device is of OpenCL 1.
    pub(super) fn queue(&self, device: DeviceId, properties: Option<&[u64]>) -> Result<Queue, Code> {
        // SAFETY: the device is the context's own; the list ends with its zero and lives through the call.
        #[allow(deprecated, reason = "the newer call is not there on OpenCL 1")]
        let made = unsafe {
            match properties {
                Some(list) if list.last() == Some(&0) => {
                    command_queue::create_command_queue_with_properties(self.0, device.0, list.as_ptr())
                }
                _ => command_queue::create_command_queue(
                    self.0,
                    device.0,
                    command_queue::CL_QUEUE_PROFILING_ENABLE,
                ),
            }
        };
        made.map(Queue).map_err(Code)
    }

    /// A program of this text, not yet built.
    pub(super) fn program(&self, text: &str) -> Result<Program, Code> {
        let runtime = cl3::load_library().as_ref().map_err(|_| Code::NO_LIBRARY)?;
        let (texts, lengths) = ([text.as_ptr().cast()], [text.len()]);
        let mut status: cl_int = 0;
        // The bindings call this safe. It is: one text with its length, both alive through the call, which copies it.
        let made =
            runtime.clCreateProgramWithSource(self.0, 1, texts.as_ptr(), lengths.as_ptr(), &raw mut status);
        Program::made(made, status)
    }

    /// A program from what [`Program::binary`] gave, not yet built.
    pub(super) fn program_of_binary(&self, device: DeviceId, binary: &[u8]) -> Result<Program, Code> {
        let runtime = cl3::load_library().as_ref().map_err(|_| Code::NO_LIBRARY)?;
        let (binaries, lengths) = ([binary.as_ptr()], [binary.len()]);
        let (mut each, mut status): (cl_int, cl_int) = (0, 0);
        // The bindings call this safe. It is: one device, one binary with its length, one status, all alive through
        // the call.
        let made = runtime.clCreateProgramWithBinary(
            self.0,
            1,
            &raw const device.0,
            lengths.as_ptr(),
            binaries.as_ptr(),
            &raw mut each,
            &raw mut status,
        );
        Program::made(made, if status == 0 { each } else { status })
    }
}

impl Program {
    fn made(made: Option<cl_program>, status: cl_int) -> Result<Program, Code> {
        match made {
            None => Err(Code::NO_FUNCTION),
            Some(program) if !program.is_null() => {
                let program = Program(program);
                if status == 0 { Ok(program) } else { Err(Code(status)) }
            }
            Some(_) => Err(Code(status)),
        }
    }

    /// Compiles and links.
    pub(super) fn build(&self, device: DeviceId, options: &CStr) -> Result<(), Code> {
        program::build_program(self.0, &[device.0], options, None, ptr::null_mut()).map_err(Code)
    }

    /// What the compiler said.
    pub(super) fn log(&self, device: DeviceId) -> String {
        let log = program::get_program_build_data(self.0, device.0, program::CL_PROGRAM_BUILD_LOG);
        let log = log.unwrap_or_default();
        String::from_utf8_lossy(&log).trim_matches(['\0', '\n', ' ']).to_string()
    }

    /// The compiled program, to be kept; empty where the driver has none.
    pub(super) fn binary(&self) -> Result<Vec<u8>, Code> {
        let sizes = program::get_program_data(self.0, program::CL_PROGRAM_BINARY_SIZES).map_err(Code)?;
        let size = sizes.first_chunk().map_or(0, |bytes| usize::from_ne_bytes(*bytes));
        let mut binary = vec![0u8; size];
        let mut places = [binary.as_mut_ptr()];
        let runtime = cl3::load_library().as_ref().map_err(|_| Code::NO_LIBRARY)?;
        // The bindings call this safe. It is: the context has one device, so one pointer is written through, to as many
        // bytes as the driver just said.
        let status = runtime.clGetProgramInfo(
            self.0,
            program::CL_PROGRAM_BINARIES,
            size_of_val(&places),
            places.as_mut_ptr().cast::<c_void>(),
            ptr::null_mut(),
        );
        match status {
            Some(0) => Ok(binary),
            Some(code) => Err(Code(code)),
            None => Err(Code::NO_FUNCTION),
        }
    }

    /// An entry.
    pub(super) fn kernel(&self, entry: &CStr) -> Result<Kernel, Code> {
        kernel::create_kernel(self.0, entry).map(Kernel).map_err(Code)
    }
}

impl Kernel {
    /// Sets argument `index` to a number, which must be of the parameter's type.
    pub(super) fn number<const N: usize>(&mut self, index: u32, bytes: [u8; N]) -> Result<(), Code> {
        // SAFETY: `N` bytes are read.
        unsafe { kernel::set_kernel_arg(self.0, index, N, bytes.as_ptr().cast()) }.map_err(Code)
    }

    /// Sets argument `index` to device memory.
    pub(super) fn memory(&mut self, index: u32, memory: &Memory) -> Result<(), Code> {
        let size = size_of::<cl_mem>();
        // SAFETY: a pointer's size is read from the memory's name.
        unsafe { kernel::set_kernel_arg(self.0, index, size, (&raw const memory.0).cast()) }.map_err(Code)
    }
}

impl Queue {
    /// Copies host bytes to the device, and waits.
    pub(super) fn write(&self, to: &Memory, offset: usize, bytes: &[u8]) -> Result<Event, Code> {
        // SAFETY: the slice is read before the call returns; the driver refuses a range that is not in the memory.
        let started = unsafe {
            command_queue::enqueue_write_buffer(
                self.0,
                to.0,
                1,
                offset,
                bytes.len(),
                bytes.as_ptr().cast(),
                0,
                ptr::null(),
            )
        };
        started.map(Event).map_err(Code)
    }

    /// Copies device bytes to the host, and waits.
    pub(super) fn read(&self, from: &Memory, offset: usize, bytes: &mut [u8]) -> Result<Event, Code> {
        // SAFETY: the slice is written before the call returns; the driver refuses a range that is not in the memory.
        let started = unsafe {
            command_queue::enqueue_read_buffer(
                self.0,
                from.0,
                1,
                offset,
                bytes.len(),
                bytes.as_mut_ptr().cast(),
                0,
                ptr::null(),
            )
        };
        started.map(Event).map_err(Code)
    }

    /// Fills `bytes` bytes, which must be more than none.
    pub(super) fn fill(&self, to: &Memory, byte: u8, bytes: usize) -> Result<Event, Code> {
        let pattern = [byte; 16];
        // A pattern's size divides the range's; drivers fill with wide ones faster.
        let width = [16, 4].into_iter().find(|w| bytes.is_multiple_of(*w)).unwrap_or(1);
        // SAFETY: `width` bytes of the pattern are copied by the call.
        let started = unsafe {
            let pattern = pattern.as_ptr().cast();
            command_queue::enqueue_fill_buffer(self.0, to.0, pattern, width, 0, bytes, 0, ptr::null())
        };
        started.map(Event).map_err(Code)
    }

    /// Copies within the device.
    pub(super) fn copy(
        &self,
        (from, from_offset): (&Memory, usize),
        (to, to_offset): (&Memory, usize),
        bytes: usize,
    ) -> Result<Event, Code> {
        // SAFETY: only device memory takes part, and the driver refuses ranges that are not in it.
        let started = unsafe {
            command_queue::enqueue_copy_buffer(
                self.0,
                from.0,
                to.0,
                from_offset,
                to_offset,
                bytes,
                0,
                ptr::null(),
            )
        };
        started.map(Event).map_err(Code)
    }

    /// Starts a kernel over `global` items in groups of `local`.
    pub(super) fn start(
        &self,
        kernel: &mut Kernel,
        global: [usize; 3],
        local: [usize; 3],
    ) -> Result<Event, Code> {
        // SAFETY: both arrays have the three extents that the call reads; the kernel's arguments were all set, and are
        // retained by the command.
        let started = unsafe {
            command_queue::enqueue_nd_range_kernel(
                self.0,
                kernel.0,
                3,
                ptr::null(),
                global.as_ptr(),
                local.as_ptr(),
                0,
                ptr::null(),
            )
        };
        started.map(Event).map_err(Code)
    }

    /// A point of the queue, reached when all before it has ended.
    pub(super) fn marker(&self) -> Result<Event, Code> {
        // SAFETY: there is no list to wait for.
        let started = unsafe { command_queue::enqueue_marker_with_wait_list(self.0, 0, ptr::null()) };
        started.map(Event).map_err(Code)
    }

    /// Hands everything to the device without waiting.
    pub(super) fn flush(&self) -> Result<(), Code> {
        command_queue::flush(self.0).map_err(Code)
    }

    /// Waits until everything has ended, well or not.
    pub(super) fn finish(&self) -> Result<(), Code> {
        command_queue::finish(self.0).map_err(Code)
    }
}

/// How far a command is.
pub(super) enum Progress {
    Going,
    Ended,
    Failed(Code),
}

impl Event {
    /// How far it is.
    pub(super) fn progress(&self) -> Progress {
        match event::get_event_data(self.0, event::CL_EVENT_COMMAND_EXECUTION_STATUS) {
            Err(code) => Progress::Failed(Code(code)),
            Ok(bytes) => match bytes.first_chunk().map_or(0, |b| i32::from_ne_bytes(*b)) {
                0 => Progress::Ended,
                code if code < 0 => Progress::Failed(Code(code)),
                _ => Progress::Going,
            },
        }
    }

    /// Waits until it has ended.
    pub(super) fn wait(&self) -> Result<(), Code> {
        event::wait_for_events(&[self.0]).map_err(Code)
    }

    /// When it ended, in nanoseconds of the device's clock; it must have.
    pub(super) fn ended_at(&self) -> Result<u64, Code> {
        let bytes = event::get_event_profiling_data(self.0, event::CL_PROFILING_COMMAND_END).map_err(Code)?;
        Ok(bytes.first_chunk().map_or(0, |b| u64::from_ne_bytes(*b)))
    }
}

/// What the driver says about a device.
pub(super) fn information(device: DeviceId, what: u32) -> Option<Vec<u8>> {
    device::get_device_data(device.0, what).ok()
}
