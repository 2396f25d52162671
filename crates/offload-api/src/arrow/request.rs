//! Streams into inputs: columns are tensors by name, and what is no column rides beside them.

use super::stream::read;
use crate::Column;
use crate::inputs::{Inputs, Sent};
use crate::json::{Decoded, step};
use crate::{Invalid, Memory, Schema, Style};
use std::sync::Arc;

/// Keys of a schema's metadata with this prefix are parameters; others belong to whoever wrote them.
const PREFIX: &str = "offload:";

/// Decodes the streams of a body. Scalars and options are `parameters` (as the query string has them), or keys of the
/// schema's metadata that begin with `offload:`; scalars may also be columns of one row.
///
/// # Errors
/// As [`columns`](super::columns), and values that the schema does not allow.
pub fn decode_request(
    body: &Arc<dyn Memory>,
    parameters: &[(String, String)],
    schema: &Schema,
) -> Result<Decoded, Invalid> {
    let mut inputs = Inputs::new(schema);
    for (name, text) in parameters {
        inputs.text_parameter(name, text)?;
    }
    let metadata = read(body, |name, column| {
        let pointer = step(&name);
        let sent = match column {
            Column::Tensor(t) => Sent::Tensor(t),
            Column::Text(texts) => match (texts.len(), texts.iter().next()) {
                (1, Some(text)) => Sent::Text(text.to_string()),
                (n, _) => {
                    return Err(Invalid::new(
                        pointer,
                        format!("{name} has {n} texts, no input takes several"),
                    ));
                }
            },
        };
        inputs.tensor(&name, sent, &pointer)
    })?;
    for (key, text) in &metadata {
        if let Some(name) = key.strip_prefix(PREFIX) {
            inputs.text_parameter(name, text)?;
        }
    }
    let (options, inputs) = inputs.finish("")?;
    Ok(Decoded { style: Style::Flat, options, inputs })
}
