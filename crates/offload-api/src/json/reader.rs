//! A pull reader over a JSON text (RFC 8259). It never recurses, so no nesting can exhaust the stack.

use crate::Invalid;
use std::borrow::Cow;

/// The deepest nesting that is followed.
pub const MAX_DEPTH: usize = 96;

/// A cursor over a JSON text. A copy reads on from the same place.
#[derive(Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    pos: usize,
}

impl<'a> Reader<'a> {
    /// A cursor at the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, pos: 0 }
    }

    /// The byte offset of the cursor.
    pub fn pos(&self) -> usize {
        self.pos
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.pos..]
    }

    pub(super) fn advance(&mut self, n: usize) {
        self.pos += n;
    }

    /// The next byte that is not white space, not consumed.
    #[inline]
    pub fn peek(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.pos) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.pos += 1,
                other => return other.copied(),
            }
        }
    }

    /// Consumes `byte` when it is next.
    #[inline]
    pub fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.pos += usize::from(found);
        found
    }

    /// Consumes `byte`.
    ///
    /// # Errors
    /// When something else is next.
    pub fn expect(&mut self, byte: u8, pointer: &str) -> Result<(), Invalid> {
        if self.eat(byte) { Ok(()) } else { Err(self.unexpected(&format!("'{}'", byte as char), pointer)) }
    }

    /// The error for what is next.
    pub fn unexpected(&mut self, wanted: &str, pointer: &str) -> Invalid {
        let found = match self.peek() {
            None => "the end of the body".to_string(),
            Some(b) if b.is_ascii_graphic() => format!("'{}'", b as char),
            Some(b) => format!("byte 0x{b:02x}"),
        };
        Invalid::new(
            pointer,
            format!("malformed json at byte {}: expected {wanted}, found {found}", self.pos),
        )
    }

    /// A string, unescaped.
    ///
    /// # Errors
    /// When there is no valid string.
    pub fn string(&mut self, pointer: &str) -> Result<Cow<'a, str>, Invalid> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("a string", pointer));
        }
        let start = self.pos;
        let mut escaped = false;
        let mut i = start + 1;
        loop {
            match self.bytes.get(i) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    i += 2;
                }
                Some(0..=0x1f) | None => {
                    self.pos = i.min(self.bytes.len());
                    return Err(Invalid::new(
                        pointer,
                        format!("malformed json at byte {}: unterminated string", self.pos),
                    ));
                }
                Some(_) => i += 1,
            }
        }
        self.pos = i + 1;
        if !escaped && let Ok(text) = std::str::from_utf8(&self.bytes[start + 1..i]) {
            return Ok(Cow::Borrowed(text));
        }
        // Escapes and invalid UTF-8 are rare: serde_json knows every rule about them.
        serde_json::from_slice(&self.bytes[start..=i])
            .map(Cow::Owned)
            .map_err(|e| Invalid::new(pointer, format!("malformed string: {}", super::describe(&e))))
    }

    /// Steps over one value and returns its text. Brackets, strings and depth are checked; the text within is
    /// for its consumer to parse.
    ///
    /// # Errors
    /// When the value does not end, or nests deeper than [`MAX_DEPTH`].
    pub fn skip(&mut self, pointer: &str) -> Result<&'a [u8], Invalid> {
        self.peek();
        let start = self.pos;
        let mut depth = 0usize;
        loop {
            match self.peek() {
                None => return Err(self.unexpected("a value", pointer)),
                Some(b'[' | b'{') => {
                    depth += 1;
                    if depth > MAX_DEPTH {
                        return Err(Invalid::new(
                            pointer,
                            format!("json nests deeper than the limit of {MAX_DEPTH}"),
                        ));
                    }
                    self.pos += 1;
                    continue;
                }
                Some(b']' | b'}') => {
                    if depth == 0 {
                        return Err(self.unexpected("a value", pointer));
                    }
                    depth -= 1;
                    self.pos += 1;
                }
                Some(b'"') => {
                    self.string(pointer)?;
                }
                // Within brackets, what stands between them and strings is stepped over at once.
                Some(_) if depth > 0 => {
                    let n = self.rest().iter().position(|b| matches!(b, b']' | b'}' | b'[' | b'{' | b'"'));
                    self.pos += n.unwrap_or(self.rest().len());
                    continue;
                }
                Some(_) => {
                    let n = self
                        .rest()
                        .iter()
                        .position(|b| {
                            matches!(
                                b,
                                b',' | b':' | b']' | b'}' | b'[' | b'{' | b'"' | b' ' | b'\n' | b'\r' | b'\t'
                            )
                        })
                        .unwrap_or(self.rest().len());
                    if n == 0 {
                        return Err(self.unexpected("a value", pointer));
                    }
                    self.pos += n;
                }
            }
            if depth == 0 {
                return Ok(&self.bytes[start..self.pos]);
            }
        }
    }

    /// Checks that only white space is left.
    ///
    /// # Errors
    /// When there is more.
    pub fn end(&mut self) -> Result<(), Invalid> {
        if self.peek().is_none() { Ok(()) } else { Err(self.unexpected("the end of the body", "")) }
    }
}

/// `name` as one step of a JSON pointer (RFC 6901).
pub(crate) fn step(name: &str) -> String {
    let mut step = String::with_capacity(name.len() + 1);
    step.push('/');
    for c in name.chars() {
        match c {
            '~' => step.push_str("~0"),
            '/' => step.push_str("~1"),
            c => step.push(c),
        }
    }
    step
}
