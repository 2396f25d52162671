//! Compressed bodies that lie, and types that are not understood.

use super::{GOOD, MAX_BODY_BYTES, MULTIPLY, Siege};

/// The start of eight megabytes of spaces deflated by zlib at level 9, up to where the stream is only zeros: from
/// there on every four bits are 258 spaces more, for as long as the zeros go on.
const SPACES: [u8; 15] =
    [0xec, 0xc1, 0x81, 0x00, 0x00, 0x00, 0x00, 0x80, 0x20, 0x95, 0xfd, 0x29, 0x17, 0xa9, 0x0a];

fn deflate_bomb(bytes: usize) -> Vec<u8> {
    let mut out = SPACES.to_vec();
    out.resize(bytes, 0);
    out
}

fn gzip_bomb(bytes: usize) -> Vec<u8> {
    [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3][..], &deflate_bomb(bytes)].concat()
}

/// RFC 8878: a frame with a window of 8 MiB, of blocks that each say "128 KiB of spaces" in four bytes.
fn zstd_bomb(blocks: usize) -> Vec<u8> {
    let mut out = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x68];
    (0..blocks).for_each(|_| out.extend_from_slice(&[0x02, 0x00, 0x10, b' ']));
    out
}

#[test]
fn compression_is_bounded_and_checked() {
    let siege = Siege::lay();
    let zlib_bomb = [&[0x78, 0xda][..], &deflate_bomb(1 << 20)].concat();
    // A window of 2^41 bytes (exponent 31 over 2^10).
    let huge_window = [&[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xf8][..], &zstd_bomb(1)[6..]].concat();
    let cases: Vec<(&str, &str, Vec<u8>, u16)> = vec![
        ("a gzip bomb of 4 KB", "gzip", gzip_bomb(4096), 413),
        ("a gzip bomb of 4 MB", "gzip", gzip_bomb(MAX_BODY_BYTES - 100), 413),
        ("a zlib bomb of 1 MB", "deflate", zlib_bomb, 413),
        ("a deflate bomb of 1 MB", "deflate", deflate_bomb(1 << 20), 413),
        ("a zstd bomb of 1 KB", "zstd", zstd_bomb(256), 413),
        ("a zstd bomb of 4 MB", "zstd", zstd_bomb((MAX_BODY_BYTES - 100) / 4), 413),
        ("a zstd window of terabytes", "zstd", huge_window, 400),
        ("gzip that is none", "gzip", GOOD.to_vec(), 400),
        ("gzip cut off", "gzip", gzip_bomb(60), 400),
        ("gzip of nothing", "gzip", Vec::new(), 400),
        ("zstd that is none", "zstd", GOOD.to_vec(), 400),
        ("zstd cut off", "zstd", zstd_bomb(1), 400),
        ("zstd of nothing", "zstd", Vec::new(), 400),
        ("deflate that is none", "deflate", vec![0xff; 100], 400),
        ("brotli", "br", GOOD.to_vec(), 415),
        ("compress", "compress", GOOD.to_vec(), 415),
        ("twice", "gzip, gzip", gzip_bomb(4096), 415),
        ("a hundred times", "gzip,gzip,gzip,gzip,gzip,gzip", gzip_bomb(4096), 415),
        ("zeros", "\u{7f}", GOOD.to_vec(), 400),
    ];
    for _ in 0..3 {
        for (name, encoding, body, status) in &cases {
            let bytes = siege.bytes(&[("content-encoding", encoding)], body);
            let mut connection = siege.service.connect();
            let _ = connection.send(&bytes);
            let reply = connection.receive().unwrap_or_else(|| panic!("{name}: no answer"));
            assert_eq!(reply.status, *status, "{name}: {}", reply.text());
            if *status == 413 {
                let e = reply.fails(413, "payload_too_large");
                assert_eq!(e["details"]["raised_by"], "server.max_decoded_bytes", "{name}: {e}");
            }
        }
    }
    for (content_type, status) in [
        ("text/plain", 415),
        ("application/xml", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/x-www-form-urlencoded", 415),
        ("json", 415),
        (";;;", 415),
        ("application/json; charset=utf-8", 200),
        ("APPLICATION/JSON", 200),
    ] {
        let reply = siege.service.call(
            "POST",
            MULTIPLY,
            &[("x-api-key", &siege.service.key), ("content-type", content_type)],
            GOOD,
        );
        assert_eq!(reply.status, status, "{content_type}: {}", reply.text());
    }
    siege.withstood();
}
