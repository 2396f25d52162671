//! Inputs that are nearly right: the seeds with some of their bits, numbers and parts changed.

/// SplitMix64.
pub struct Random(u64);

impl Random {
    /// Of this seed, and another for each name.
    pub fn new(seed: u64, name: &str) -> Random {
        Random(name.bytes().fold(seed, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// Numbers at which something overflows, changes its sign or is empty.
const EDGES: [u64; 14] = [
    0,
    1,
    2,
    7,
    0x7f,
    0xff,
    0x7fff,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0xffff_ffff,
    1 << 40,
    i64::MAX as u64,
    u64::MAX,
];

/// What text has to say that bytes do not.
const WORDS: [&str; 24] = [
    "[",
    "]",
    "{",
    "}",
    "[[",
    "]]",
    "[]",
    "{}",
    ",",
    ":",
    "\"",
    "\\u0000",
    "null",
    "true",
    "-",
    "1e400",
    "1e-400",
    "-0.0",
    ".",
    "0",
    "NaN",
    "99999999999999999999",
    "\n",
    "\u{e9}",
];

const NUMBERS: [&str; 16] = [
    "0",
    "-1",
    "1",
    "2",
    "8",
    "9",
    "255",
    "256",
    "65536",
    "2147483648",
    "4294967296",
    "1099511627776",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
    "1.5",
];

/// Changes of these seeds.
pub struct Changes<'a> {
    seeds: &'a [Vec<u8>],
    max_bytes: usize,
}

impl<'a> Changes<'a> {
    pub fn of(seeds: &'a [Vec<u8>], max_bytes: usize) -> Self {
        assert!(!seeds.is_empty(), "there is nothing to change");
        Changes { seeds, max_bytes }
    }

    /// The next input: a seed with one change, or with a few.
    pub fn input(&self, random: &mut Random) -> Vec<u8> {
        let mut input = self.seeds[random.below(self.seeds.len())].clone();
        for _ in 0..random.one_of(&[1, 1, 1, 2, 3, 5]) {
            self.change(&mut input, random);
        }
        input.truncate(self.max_bytes);
        input
    }

    fn change(&self, input: &mut Vec<u8>, random: &mut Random) {
        let (at, length) = (random.below(input.len()), 1 + random.below(16));
        let end = (at + length).min(input.len());
        match random.below(11) {
            0 | 1 if !input.is_empty() => input[at] ^= 1 << random.below(8),
            2 if !input.is_empty() => input[at] = random.next() as u8,
            3 => {
                input.truncate(at);
            }
            4 => {
                input.drain(at..end);
            }
            5 => {
                let part = input[at..end].to_vec();
                input.splice(at..at, part);
            }
            // A length or a count: a few bytes at once, little-endian, at an edge or next to one.
            6 | 7 => {
                let number = random.one_of(&EDGES).wrapping_add(random.below(3) as u64).wrapping_sub(1);
                let bytes = &number.to_le_bytes()[..random.one_of(&[1, 2, 4, 8])];
                let end = (at + bytes.len()).min(input.len());
                input[at..end].copy_from_slice(&bytes[..end - at]);
            }
            8 => self.renumber(input, at, random),
            9 => {
                let word = random.one_of(&WORDS).bytes();
                let end = if random.below(2) == 0 { at } else { end };
                input.splice(at..end, word);
            }
            _ => {
                let other = &self.seeds[random.below(self.seeds.len())];
                let from = random.below(other.len());
                let to = (from + 1 + random.below(64)).min(other.len());
                let end = if random.below(2) == 0 { input.len() } else { at };
                input.splice(at..end, other[from..to].iter().copied());
            }
        }
    }

    /// Another number in place of the decimal one at `at` or behind it.
    fn renumber(&self, input: &mut Vec<u8>, at: usize, random: &mut Random) {
        let Some(from) = (at..input.len()).find(|i| input[*i].is_ascii_digit()) else { return };
        let to = (from..input.len()).find(|i| !input[*i].is_ascii_digit()).unwrap_or(input.len());
        input.splice(from..to, random.one_of(&NUMBERS).bytes());
    }
}
