//! Just enough of JOSE to check a token without the library that made it, and to forge bad ones: base64url,
//! SHA-256 (FIPS 180-4), HMAC (RFC 2104), RSA PKCS#1 v1.5 verification (RFC 8017).

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

pub fn encode(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let n = chunk.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for i in 0..=chunk.len() {
            out.push(ALPHABET[(n >> (18 - 6 * i)) as usize & 63] as char);
        }
    }
    out
}

pub fn decode(text: &str) -> Vec<u8> {
    let (mut out, mut bits, mut n) = (Vec::new(), 0u32, 0);
    for c in text.bytes() {
        let v = ALPHABET.iter().position(|a| *a == c).expect("base64url");
        bits = bits << 6 | v as u32;
        n += 6;
        if n >= 8 {
            n -= 8;
            out.push((bits >> n) as u8);
            bits &= (1 << n) - 1;
        }
    }
    out
}

/// The first 32 bits of the fractional part of a prime's root, which are SHA-256's constants.
fn constants(count: usize, root: f64) -> Vec<u32> {
    let primes = (2u32..).filter(|n| (2..*n).take_while(|d| d * d <= *n).all(|d| n % d != 0));
    primes.take(count).map(|p| (f64::from(p).powf(root).fract() * 4_294_967_296.0) as u32).collect()
}

pub fn sha256(message: &[u8]) -> [u8; 32] {
    let k = constants(64, 1.0 / 3.0);
    let mut h = constants(8, 0.5);
    let mut padded = message.to_vec();
    padded.push(0x80);
    padded.resize((message.len() + 9).next_multiple_of(64) - 8, 0);
    padded.extend_from_slice(&(message.len() as u64 * 8).to_be_bytes());
    for block in padded.chunks(64) {
        let mut w: Vec<u32> =
            block.chunks(4).map(|b| u32::from_be_bytes(b.try_into().expect("four bytes"))).collect();
        for i in 16..64 {
            let s0 = w[i - 15].rotate_right(7) ^ w[i - 15].rotate_right(18) ^ (w[i - 15] >> 3);
            let s1 = w[i - 2].rotate_right(17) ^ w[i - 2].rotate_right(19) ^ (w[i - 2] >> 10);
            w.push(w[i - 16].wrapping_add(s0).wrapping_add(w[i - 7]).wrapping_add(s1));
        }
        let mut v = h.clone();
        for i in 0..64 {
            let s1 = v[4].rotate_right(6) ^ v[4].rotate_right(11) ^ v[4].rotate_right(25);
            let choose = (v[4] & v[5]) ^ (!v[4] & v[6]);
            let t1 = v[7].wrapping_add(s1).wrapping_add(choose).wrapping_add(k[i]).wrapping_add(w[i]);
            let s0 = v[0].rotate_right(2) ^ v[0].rotate_right(13) ^ v[0].rotate_right(22);
            let majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
            v.rotate_right(1);
            v[4] = v[4].wrapping_add(t1);
            v[0] = t1.wrapping_add(s0.wrapping_add(majority));
        }
        h.iter_mut().zip(v).for_each(|(h, v)| *h = h.wrapping_add(v));
    }
    let mut out = [0; 32];
    out.chunks_mut(4).zip(h).for_each(|(o, h)| o.copy_from_slice(&h.to_be_bytes()));
    out
}

pub fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = if key.len() > 64 { sha256(key).to_vec() } else { key.to_vec() };
    block.resize(64, 0);
    let pad = |with: u8| block.iter().map(|b| b ^ with).collect::<Vec<u8>>();
    let inner = sha256(&[pad(0x36), message.to_vec()].concat());
    sha256(&[pad(0x5c), inner.to_vec()].concat())
}

type Big = Vec<u32>;

/// The `webhook-signature` that Standard Webhooks asks for.
pub fn webhook_signature(secret: &str, id: &str, timestamp: &str, body: &[u8]) -> String {
    let text = secret.strip_prefix("whsec_").expect("a secret").trim_end_matches('=');
    let key = decode(&text.replace('+', "-").replace('/', "_"));
    let signed = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
    let digest = encode(&hmac_sha256(&key, &signed)).replace('-', "+").replace('_', "/");
    // 32 bytes are 43 digits and a filler.
    format!("v1,{digest}=")
}

fn big(bytes: &[u8], limbs: usize) -> Big {
    let mut out: Big = bytes.rchunks(4).map(|c| c.iter().fold(0, |n, b| n << 8 | u32::from(*b))).collect();
    out.resize(limbs, 0);
    out
}

/// `a + b`, less `n` when it is not below `n`.
fn add_mod(a: &Big, b: &Big, n: &Big) -> Big {
    let mut carry = 0u64;
    let mut sum: Big = Vec::with_capacity(a.len());
    for (x, y) in a.iter().zip(b) {
        carry += u64::from(*x) + u64::from(*y);
        sum.push(carry as u32);
        carry >>= 32;
    }
    if carry == 0 && sum.iter().rev().lt(n.iter().rev()) {
        return sum;
    }
    let mut borrow = 0i64;
    for (s, m) in sum.iter_mut().zip(n) {
        borrow += i64::from(*s) - i64::from(*m);
        *s = borrow as u32;
        borrow >>= 32;
    }
    sum
}

fn mul_mod(a: &Big, b: &Big, n: &Big) -> Big {
    let mut out = vec![0; n.len()];
    for limb in b.iter().rev() {
        for bit in (0..32).rev() {
            out = add_mod(&out, &out, n);
            if limb >> bit & 1 == 1 {
                out = add_mod(&out, a, n);
            }
        }
    }
    out
}

/// Whether `signature` is RS256's of `message` under the modulus `n` and the exponent 65537.
pub fn rs256_holds(n: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let limbs = n.len().div_ceil(4);
    let modulus = big(n, limbs);
    let s = big(signature, limbs);
    let mut power = s.clone();
    for _ in 0..16 {
        power = mul_mod(&power, &power, &modulus);
    }
    power = mul_mod(&power, &s, &modulus);
    const SHA256_INFO: [u8; 19] =
        [0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20];
    let tail = [&SHA256_INFO[..], &sha256(message)[..]].concat();
    let mut padded = vec![0, 1];
    padded.resize(n.len() - tail.len() - 1, 0xff);
    padded.push(0);
    padded.extend_from_slice(&tail);
    signature.len() == n.len() && power == big(&padded, limbs)
}

#[test]
fn the_digests_are_those_of_the_standards() {
    let hex = |b: [u8; 32]| b.iter().map(|b| format!("{b:02x}")).collect::<String>();
    // FIPS 180-4's examples, and case 2 of RFC 4231.
    assert_eq!(hex(sha256(b"abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(
        hex(sha256(b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    );
    assert_eq!(
        hex(hmac_sha256(b"Jefe", b"what do ya want for nothing?")),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
    assert_eq!(decode(&encode(b"any carnal pleas")), b"any carnal pleas");
}
