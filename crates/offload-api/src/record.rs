//! Named values: the inputs and the outputs of an operation, in every stage of their life.

use crate::{Buf, DatasetRef, Matches, Tensor, TensorSpec};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One value. `T` is what stands where a tensor is meant: a [`Source`] on the wire, a [`TensorSpec`] while
/// planning (so that a plan cannot look at data), a [`Tensor`] while running.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<T = Tensor> {
    /// A tensor, or what stands for it.
    Tensor(T),
    /// A tensor of `f64` as an output, in which a number that is not finite stands for nothing: `null` in JSON, as it
    /// is in every format that can carry it.
    Gapped(T),
    /// An integer.
    Int(i64),
    /// A finite number.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// A name or a text.
    Text(String),
    /// A structured value that the operation decodes itself.
    Json(Arc<serde_json::Value>),
    /// Ranked answers; an output only.
    Matches(Matches),
    /// A file, or another run of bytes; an output only. An input of bytes is a tensor of them.
    Bytes(Buf<u8>),
}

impl<T> Value<T> {
    /// What an output holds when there is no such thing (the path to a node that cannot be reached): `null` in JSON.
    pub fn nothing() -> Value<T> {
        Value::Json(Arc::new(serde_json::Value::Null))
    }

    /// Whether it is [`nothing`](Self::nothing).
    pub fn is_nothing(&self) -> bool {
        matches!(self, Value::Json(v) if v.is_null())
    }
}

/// Where a tensor comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// The request holds it.
    Inline(Tensor),
    /// A column of a resident dataset.
    Dataset(DatasetRef),
    /// An output of an earlier item of the same batch.
    Output(OutputRef),
}

/// An output of an earlier item of the same batch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputRef {
    /// The earlier item's place in the batch, from 0.
    pub index: usize,
    /// The name of its output.
    pub output: String,
}

/// Named values in the order of their schema.
#[derive(Clone, Debug, PartialEq)]
pub struct Record<T = Tensor> {
    entries: Vec<(&'static str, Value<T>)>,
}

impl<T> Default for Record<T> {
    fn default() -> Self {
        Record { entries: Vec::new() }
    }
}

impl<T> Record<T> {
    /// No values.
    pub fn new() -> Self {
        Record::default()
    }

    /// The same with one more value; an earlier one of that name is replaced.
    pub fn with(mut self, name: &'static str, value: Value<T>) -> Self {
        self.set(name, value);
        self
    }

    /// Adds a value; an earlier one of that name is replaced.
    pub fn set(&mut self, name: &'static str, value: Value<T>) {
        match self.entries.iter_mut().find(|(n, _)| *n == name) {
            Some(entry) => entry.1 = value,
            None => self.entries.push((name, value)),
        }
    }

    /// The value of that name.
    pub fn get(&self, name: &str) -> Option<&Value<T>> {
        self.entries.iter().find(|(n, _)| *n == name).map(|(_, v)| v)
    }

    /// Takes the value of that name out.
    pub fn take(&mut self, name: &str) -> Option<Value<T>> {
        let i = self.entries.iter().position(|(n, _)| *n == name)?;
        Some(self.entries.remove(i).1)
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Value<T>)> {
        self.entries.iter().map(|(n, v)| (*n, v))
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The same with every tensor replaced.
    ///
    /// # Errors
    /// The first error of `f`.
    pub fn try_map<U, E>(self, mut f: impl FnMut(&'static str, T) -> Result<U, E>) -> Result<Record<U>, E> {
        let mut entries = Vec::with_capacity(self.entries.len());
        for (name, value) in self.entries {
            let value = match value {
                Value::Tensor(t) => Value::Tensor(f(name, t)?),
                Value::Gapped(t) => Value::Gapped(f(name, t)?),
                Value::Int(v) => Value::Int(v),
                Value::Float(v) => Value::Float(v),
                Value::Bool(v) => Value::Bool(v),
                Value::Text(v) => Value::Text(v),
                Value::Json(v) => Value::Json(v),
                Value::Matches(m) => Value::Matches(m),
                Value::Bytes(b) => Value::Bytes(b),
            };
            entries.push((name, value));
        }
        Ok(Record { entries })
    }
}

impl Record<Tensor> {
    /// The record a plan may see: every tensor replaced by its type and shape.
    pub fn specs(&self) -> Record<TensorSpec> {
        let Ok(specs) = self.clone().try_map(|_, t| Ok::<_, std::convert::Infallible>(t.spec()));
        specs
    }

    /// Bytes of all tensors, texts, ranked answers and runs of bytes.
    pub fn bytes(&self) -> u64 {
        self.iter()
            .map(|(_, v)| match v {
                Value::Tensor(t) | Value::Gapped(t) => t.bytes(),
                Value::Text(t) => t.len() as u64,
                Value::Matches(m) => m.bytes(),
                Value::Bytes(b) => b.len() as u64,
                _ => 16,
            })
            .sum()
    }
}
