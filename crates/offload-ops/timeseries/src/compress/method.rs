//! The words for methods, those of other spellings too.

use crate::codec;
use offload_api::{DType, Kind, Value};
use offload_core::{FromValue, Rejection, Slot};

/// How values are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Whichever is smallest, for each block.
    Auto,
    /// XOR with the value before.
    Gorilla,
    /// Differences of the order that makes them smallest.
    Delta,
    /// Decimals as integers.
    Alp,
    /// A learned predictor, which is not built.
    Lstm,
}

const WORDS: &[(&str, Method)] = &[
    ("auto", Method::Auto),
    ("gorilla", Method::Gorilla),
    ("delta", Method::Delta),
    ("alp", Method::Alp),
    ("lstm", Method::Lstm),
    ("Gorilla", Method::Gorilla),
    ("delta_encoding", Method::Delta),
    ("DeltaEncoding", Method::Delta),
    ("ALP", Method::Alp),
    ("LSTM", Method::Lstm),
];

const CHOICE: &[&str] = &{
    let mut words = [""; WORDS.len()];
    let mut i = 0;
    while i < WORDS.len() {
        words[i] = WORDS[i].0;
        i += 1;
    }
    words
};

impl<T: Slot> FromValue<T> for Method {
    fn kind() -> Option<Kind> {
        Some(Kind::Choice(CHOICE))
    }
    fn absent() -> Option<Self> {
        Some(Method::Auto)
    }
    fn absent_text() -> Option<&'static str> {
        Some("auto")
    }
    fn from_value(value: Value<T>) -> Option<Self> {
        let Value::Text(word) = value else { return None };
        WORDS.iter().find(|(w, _)| *w == word).map(|(_, method)| *method)
    }
}

impl Method {
    /// The word for it.
    pub(super) fn name(self) -> &'static str {
        WORDS.iter().find(|(_, method)| *method == self).map_or("", |(word, _)| word)
    }

    /// What it is to the codec.
    ///
    /// # Errors
    /// When there is no such coding for values of this type.
    pub(super) fn coding(self, of: DType) -> Result<codec::Method, Rejection> {
        match self {
            Method::Auto => Ok(codec::Method::Auto),
            Method::Gorilla => Ok(codec::Method::Gorilla),
            Method::Delta => Ok(codec::Method::Delta),
            Method::Alp if of == DType::F64 => Ok(codec::Method::Alp),
            Method::Alp => Err(Rejection::new(
                "method",
                format!("alp is for f64, data is {of}; use delta, gorilla or auto"),
            )),
            Method::Lstm => Err(Rejection::new(
                "method",
                "lstm is not built: of real series its model takes more bytes than it saves over alp; use auto, gorilla, delta or alp",
            )),
        }
    }
}
