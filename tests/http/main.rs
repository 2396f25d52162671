//! The service as a client meets it: the real binary, real sockets, raw HTTP/1.1.

mod contract;
mod crash;
mod datasets;
mod design;
mod devices;
mod formats;
mod hostile;
mod jose;
mod service;
mod tasks;
mod wire;
