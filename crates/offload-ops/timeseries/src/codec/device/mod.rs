//! The codec on a device, a group of items for each block. Bytes and values are the CPU's to the bit, and what the device
//! finds damaged the CPU reads again to say what is wrong with it.

mod decode;
mod encode;

pub(crate) use decode::{DECODE, bytes as decode_bytes, decode};
pub(crate) use encode::{ENCODERS, HIGHEST_LEVEL, bytes as encode_bytes, encode};
