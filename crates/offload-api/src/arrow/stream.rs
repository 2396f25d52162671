//! The framing of streams: messages, schemas and record batches, each held against the body before it is followed.

use super::column::Gathered;
use crate::Column;
use crate::json::step;
use crate::{Invalid, Memory};
use arrow_ipc::{Endianness, MessageHeader, MetadataVersion, RecordBatch, Schema, root_as_message};
use std::ops::Range;
use std::sync::Arc;

/// Columns that a body may have.
const MAX_COLUMNS: usize = 4096;

/// Bytes of a column's name. Fields may share the text of a name, so that it stands once in the body and here for each.
const MAX_NAME_BYTES: usize = 1024;

/// What a pair of a schema's metadata takes beside its texts, at the least.
const PAIR_BYTES: usize = 16;

/// The mark before every message's length.
const CONTINUATION: [u8; 4] = [0xff; 4];

/// A message: where its flatbuffer stands, and where its body.
struct Message {
    metadata: Range<usize>,
    body: Range<usize>,
}

/// The columns of every stream in `body`, by name. Tensors stand on `body` where one record batch holds them.
///
/// # Errors
/// What is not a stream, types that are no numbers or texts, missing values, and lists of unequal lengths, each with
/// the column's name.
pub fn columns(body: &Arc<dyn Memory>) -> Result<Vec<(String, Column)>, Invalid> {
    let mut all: Vec<(String, Column)> = Vec::new();
    read(body, |name, column| {
        if all.len() == MAX_COLUMNS {
            return Err(Invalid::new("", format!("there are more columns than the limit of {MAX_COLUMNS}")));
        }
        all.push((name, column));
        Ok(())
    })?;
    Ok(all)
}

/// Calls `column` with each column, and gives the metadata of the schemas.
pub(super) fn read(
    body: &Arc<dyn Memory>,
    mut column: impl FnMut(String, Column) -> Result<(), Invalid>,
) -> Result<Vec<(String, String)>, Invalid> {
    let bytes = (**body).as_ref();
    if bytes.starts_with(b"ARROW1") {
        return Err(broken("this is an arrow file; send the stream format"));
    }
    let mut metadata = Metadata { pairs: Vec::new(), left: bytes.len() };
    let mut names: Vec<String> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        for gathered in stream(bytes, &mut at, &mut metadata)? {
            if names.contains(&gathered.name) {
                let message = format!("the column {} is there twice", gathered.name);
                return Err(Invalid::new(step(&gathered.name), message));
            }
            names.push(gathered.name.clone());
            let (name, read) = gathered.finish(body)?;
            column(name, read)?;
        }
    }
    if names.is_empty() {
        return Err(broken("there is no column"));
    }
    Ok(metadata.pairs)
}

/// The metadata of all schemas. Pairs may share their texts as fields may; all together they are no more than the body.
struct Metadata {
    pairs: Vec<(String, String)>,
    left: usize,
}

impl Metadata {
    fn add(&mut self, key: &str, value: &str) -> Result<(), Invalid> {
        let taken = key.len().saturating_add(value.len()).saturating_add(PAIR_BYTES);
        self.left =
            self.left.checked_sub(taken).ok_or_else(|| broken("its metadata is more than the body"))?;
        self.pairs.push((key.to_string(), value.to_string()));
        Ok(())
    }
}

/// The error for a body that is no stream.
pub(super) fn broken(what: &str) -> Invalid {
    Invalid::new("", format!("the body is no arrow stream: {what}"))
}

/// One stream from `at` to its end.
fn stream(bytes: &[u8], at: &mut usize, metadata: &mut Metadata) -> Result<Vec<Gathered>, Invalid> {
    let mut columns: Option<Vec<Gathered>> = None;
    // A stream ends with its mark, or with the body.
    while let Some(message) = next(bytes, at)? {
        let root = root_as_message(&bytes[message.metadata])
            .map_err(|_| broken("the metadata of a message is malformed"))?;
        if root.version() < MetadataVersion::V4 {
            return Err(broken("its metadata is older than version 4"));
        }
        match (root.header_type(), &mut columns) {
            (MessageHeader::Schema, None) => {
                let schema = root.header_as_schema().ok_or_else(|| broken("a schema is missing"))?;
                columns = Some(fields(&schema)?);
                for pair in schema.custom_metadata().iter().flatten() {
                    if let (Some(key), Some(value)) = (pair.key(), pair.value()) {
                        metadata.add(key, value)?;
                    }
                }
            }
            (MessageHeader::RecordBatch, Some(columns)) => {
                let batch =
                    root.header_as_record_batch().ok_or_else(|| broken("a record batch is missing"))?;
                rows(&batch, bytes, &message.body, columns)?;
            }
            (MessageHeader::DictionaryBatch, _) => {
                return Err(broken("dictionaries are not taken; send the values themselves"));
            }
            _ => return Err(broken("a stream is one schema and then record batches")),
        }
    }
    columns.ok_or_else(|| broken("it ends before its schema"))
}

/// The message at `at`, which moves behind it; none at the end of the stream.
fn next(bytes: &[u8], at: &mut usize) -> Result<Option<Message>, Invalid> {
    if *at == bytes.len() {
        return Ok(None);
    }
    let cut = || broken("it breaks off within a message");
    let head = bytes.get(*at..).and_then(|rest| rest.first_chunk::<8>()).ok_or_else(cut)?;
    let [mark @ .., a, b, c, d] = *head;
    if mark != CONTINUATION {
        return Err(broken("a message begins with ff ff ff ff"));
    }
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    *at += 8;
    if length == 0 {
        return Ok(None);
    }
    let end = at.checked_add(length).filter(|end| *end <= bytes.len()).ok_or_else(cut)?;
    let metadata = *at..end;
    let root = root_as_message(&bytes[metadata.clone()])
        .map_err(|_| broken("the metadata of a message is malformed"))?;
    let body = usize::try_from(root.bodyLength()).map_err(|_| broken("a message has a negative length"))?;
    let body = end..end.checked_add(body).filter(|end| *end <= bytes.len()).ok_or_else(cut)?;
    *at = body.end;
    Ok(Some(Message { metadata, body }))
}

fn fields(schema: &Schema<'_>) -> Result<Vec<Gathered>, Invalid> {
    if schema.endianness() != Endianness::Little {
        return Err(broken("its numbers are big-endian"));
    }
    let fields = schema.fields().ok_or_else(|| broken("its schema has no fields"))?;
    if fields.len() > MAX_COLUMNS {
        return Err(Invalid::new(
            "",
            format!("there are {} columns, the limit is {MAX_COLUMNS}", fields.len()),
        ));
    }
    let named = |f: arrow_ipc::Field<'_>| match f.name().map_or(0, str::len) {
        0..=MAX_NAME_BYTES => Gathered::of(&f),
        n => Err(Invalid::new("", format!("a column's name has {n} bytes, the limit is {MAX_NAME_BYTES}"))),
    };
    fields.iter().map(named).collect()
}

/// The nodes and buffers of a record batch, taken from the front.
pub(super) struct Cursor<'b> {
    /// The whole body.
    pub bytes: &'b [u8],
    body: Range<usize>,
    nodes: Vec<(i64, i64)>,
    buffers: Vec<(i64, i64)>,
    node: usize,
    buffer: usize,
    /// Where the last buffer ended. Buffers follow each other, so that no two share bytes, and what is read of a body
    /// is never more than the body.
    end: usize,
}

impl Cursor<'_> {
    /// The next array's number of rows. Missing values are refused.
    pub fn rows(&mut self, column: &str) -> Result<usize, Invalid> {
        let (rows, missing) =
            *self.nodes.get(self.node).ok_or_else(|| broken("a record batch has too few arrays"))?;
        self.node += 1;
        if missing != 0 {
            let message = format!("the column {column} has missing values (nulls)");
            return Err(Invalid::new(step(column), message));
        }
        usize::try_from(rows).map_err(|_| broken("an array has a negative length"))
    }

    /// Where the next buffer lies.
    pub fn buffer(&mut self) -> Result<Range<usize>, Invalid> {
        let (offset, length) =
            *self.buffers.get(self.buffer).ok_or_else(|| broken("a record batch has too few buffers"))?;
        self.buffer += 1;
        let outside = || broken("a buffer lies outside of its message");
        let start = usize::try_from(offset).ok().and_then(|o| self.body.start.checked_add(o));
        let start = start.ok_or_else(outside)?;
        let end = usize::try_from(length).ok().and_then(|l| start.checked_add(l)).ok_or_else(outside)?;
        if end > self.body.end {
            return Err(outside());
        }
        if start < end {
            if start < self.end {
                return Err(broken("the buffers of a message overlap"));
            }
            self.end = end;
        }
        Ok(start..end)
    }
}

fn rows(
    batch: &RecordBatch<'_>,
    bytes: &[u8],
    body: &Range<usize>,
    columns: &mut [Gathered],
) -> Result<(), Invalid> {
    if batch.compression().is_some() {
        return Err(broken("its buffers are compressed; send them plain, or compress the whole body"));
    }
    let rows = usize::try_from(batch.length()).map_err(|_| broken("a record batch has a negative length"))?;
    let nodes = batch.nodes().iter().flatten().map(|n| (n.length(), n.null_count())).collect();
    let buffers = batch.buffers().iter().flatten().map(|b| (b.offset(), b.length())).collect();
    let mut cursor =
        Cursor { bytes, body: body.clone(), nodes, buffers, node: 0, buffer: 0, end: body.start };
    for column in columns {
        column.gather(&mut cursor, rows)?;
    }
    Ok(())
}
