//! How a task's request was sent, which decides how it is read: as JSON, or as binary tensors behind a head.

use offload_api::json::{Decoded, decode_request};
use offload_api::oip::{self, Infer};
use offload_api::{Invalid, Memory, Style};
use offload_core::Registered;
use std::sync::Arc;

/// What tensors are kept as; the head's length follows.
const TENSORS: &str = "application/octet-stream; head=";

/// The form of a request's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// JSON of this media type.
    Json(String),
    /// An inference request with a head of so many bytes.
    Tensors(usize),
}

impl Form {
    /// As it is kept beside the body.
    pub fn media_type(&self) -> String {
        match self {
            Form::Json(media_type) => media_type.clone(),
            Form::Tensors(head_bytes) => format!("{TENSORS}{head_bytes}"),
        }
    }

    /// What was kept. No body of JSON comes in under the media type of tensors.
    pub fn of(media_type: &str) -> Form {
        match media_type.strip_prefix(TENSORS).and_then(|n| n.parse().ok()) {
            Some(head_bytes) => Form::Tensors(head_bytes),
            None => Form::Json(media_type.to_owned()),
        }
    }

    /// The request of an operation, and where its inputs stand in the body if not under `/inputs`.
    ///
    /// # Errors
    /// What is wrong with the body. The answer of a task is one JSON document, so outputs cannot be chosen.
    pub fn decode(
        &self,
        body: &Arc<dyn Memory>,
        operation: &Registered,
    ) -> Result<(Decoded, Vec<(String, String)>), Invalid> {
        let Form::Tensors(head_bytes) = self else {
            return Ok((decode_request((**body).as_ref(), &operation.schema)?, Vec::new()));
        };
        let Infer { options, inputs, wanted, pointers, .. } =
            oip::decode(body, Some(*head_bytes), &operation.schema, &operation.about.outputs)?;
        if wanted.named.is_some() {
            return Err(Invalid::new("/outputs", "a task keeps all outputs, as JSON; leave outputs out"));
        }
        Ok((Decoded { style: Style::Envelope, options, inputs }, pointers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_back() {
        for form in
            [Form::Tensors(0), Form::Tensors(117), Form::Json("application/json; charset=utf-8".into())]
        {
            assert_eq!(Form::of(&form.media_type()), form);
        }
    }
}
