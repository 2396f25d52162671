//! Answers of several pieces of memory, sent without being joined first, and their compression.

use actix_web::HttpRequest;
use actix_web::body::{BodySize, MessageBody};
use actix_web::web::Bytes;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

/// The most that is handed to a connection at once. It copies what it is given into its own buffer, which then stays
/// small, and in the processor's cache.
const STEP_BYTES: usize = 64 << 10;

/// A body of pieces, whose length is known.
pub struct Chunks {
    pieces: VecDeque<Bytes>,
    left: u64,
}

impl Chunks {
    /// The pieces in order.
    pub fn new(pieces: impl IntoIterator<Item = Bytes>) -> Chunks {
        let pieces: VecDeque<Bytes> = pieces.into_iter().filter(|p| !p.is_empty()).collect();
        Chunks { left: pieces.iter().map(|p| p.len() as u64).sum(), pieces }
    }

    /// All pieces, compressed. Made for speed: what is asked for on a network is seldom worth more time.
    ///
    /// # Errors
    /// None that memory does not cause.
    pub fn compressed(&self, coding: Coding) -> io::Result<Chunks> {
        let out = Vec::with_capacity(usize::try_from(self.left / 2).unwrap_or(0));
        let level = flate2::Compression::fast();
        let packed = match coding {
            Coding::Gzip => {
                let mut w = flate2::write::GzEncoder::new(out, level);
                self.pieces.iter().try_for_each(|p| w.write_all(p))?;
                w.finish()?
            }
            Coding::Deflate => {
                let mut w = flate2::write::ZlibEncoder::new(out, level);
                self.pieces.iter().try_for_each(|p| w.write_all(p))?;
                w.finish()?
            }
            Coding::Zstd => {
                let mut w = zstd::stream::write::Encoder::new(out, 1)?;
                self.pieces.iter().try_for_each(|p| w.write_all(p))?;
                w.finish()?
            }
        };
        Ok(Chunks::new([Bytes::from(packed)]))
    }
}

impl MessageBody for Chunks {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.left)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let Some(first) = self.pieces.front_mut() else { return Poll::Ready(None) };
        let step = first.split_to(first.len().min(STEP_BYTES));
        if first.is_empty() {
            self.pieces.pop_front();
        }
        self.left -= step.len() as u64;
        Poll::Ready(Some(Ok(step)))
    }
}

/// A compression of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// `gzip`.
    Gzip,
    /// `deflate`, which is zlib (RFC 9110).
    Deflate,
    /// `zstd`.
    Zstd,
}

impl Coding {
    /// The word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Deflate => "deflate",
            Coding::Zstd => "zstd",
        }
    }

    /// The coding that the request asks for by naming it alone. A list is what HTTP libraries send unasked, and
    /// compressing tensors for every one of them would cost more than it saves.
    pub fn asked(request: &HttpRequest) -> Option<Coding> {
        let mut values = request.headers().get_all("accept-encoding");
        let (value, None) = (values.next()?, values.next()) else { return None };
        let (word, weight) = match value.to_str().ok()?.split_once(';') {
            Some((word, weight)) => (word, weight.trim()),
            None => (value.to_str().ok()?, ""),
        };
        let refused = weight.strip_prefix("q=").is_some_and(|q| q.trim().parse::<f32>() == Ok(0.0));
        let all = [Coding::Gzip, Coding::Deflate, Coding::Zstd];
        all.into_iter().find(|c| !refused && c.name().eq_ignore_ascii_case(word.trim()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;
    use std::io::Read;
    use std::task::Waker;

    fn all(mut chunks: Chunks) -> (Vec<usize>, Vec<u8>) {
        let (mut steps, mut bytes) = (Vec::new(), Vec::new());
        while let Poll::Ready(Some(Ok(step))) =
            Pin::new(&mut chunks).poll_next(&mut Context::from_waker(Waker::noop()))
        {
            steps.push(step.len());
            bytes.extend_from_slice(&step);
        }
        assert_eq!(chunks.left, 0);
        (steps, bytes)
    }

    #[test]
    fn pieces_are_sent_in_order_and_in_steps() {
        let big: Vec<u8> = (0..200_000u32).map(|i| i as u8).collect();
        let chunks = Chunks::new([Bytes::from_static(b"head"), Bytes::new(), Bytes::from(big.clone())]);
        assert!(matches!(chunks.size(), BodySize::Sized(200_004)));
        let (steps, bytes) = all(chunks);
        assert_eq!(steps, [4, STEP_BYTES, STEP_BYTES, STEP_BYTES, 200_000 - 3 * STEP_BYTES]);
        assert_eq!(bytes, [b"head".as_slice(), &big].concat());
        assert_eq!(all(Chunks::new([])), (vec![], vec![]));
    }

    #[test]
    fn compressed_pieces_give_the_same_bytes() {
        let pieces = || Chunks::new([Bytes::from_static(b"head"), Bytes::from(vec![7u8; 100_000])]);
        let want = all(pieces()).1;
        for coding in [Coding::Gzip, Coding::Deflate, Coding::Zstd] {
            let packed = all(pieces().compressed(coding).expect("it fits")).1;
            assert!(packed.len() < 2_000);
            let mut got = Vec::new();
            let mut reader: Box<dyn Read> = match coding {
                Coding::Gzip => Box::new(flate2::read::GzDecoder::new(&packed[..])),
                Coding::Deflate => Box::new(flate2::read::ZlibDecoder::new(&packed[..])),
                Coding::Zstd => Box::new(zstd::stream::read::Decoder::new(&packed[..]).expect("zstd")),
            };
            reader.read_to_end(&mut got).expect("it unpacks");
            assert_eq!(got, want, "{coding:?}");
        }
    }

    #[test]
    fn a_coding_is_asked_for_by_naming_it_alone() {
        let asked = |value: &str| {
            Coding::asked(&TestRequest::default().insert_header(("accept-encoding", value)).to_http_request())
        };
        assert_eq!(asked("gzip"), Some(Coding::Gzip));
        assert_eq!(asked(" Deflate ; q=0.5"), Some(Coding::Deflate));
        assert_eq!(asked("zstd"), Some(Coding::Zstd));
        for none in ["gzip;q=0", "gzip; q=0.0", "identity", "br", "", "gzip, deflate", "*"] {
            assert_eq!(asked(none), None, "{none}");
        }
        assert_eq!(Coding::asked(&TestRequest::default().to_http_request()), None);
    }
}
