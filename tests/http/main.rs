//! The service as a client meets it: the real binary, real sockets, raw HTTP/1.1.

mod contract;
mod datasets;
mod design;
mod hostile;
mod jose;
mod service;
mod wire;
