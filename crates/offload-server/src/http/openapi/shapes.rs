//! The schemas that others are made of.

use serde_json::{Map, Value as Json, json};

/// `matrix_multiply` as generated clients name a class: `MatrixMultiply`.
pub(super) fn pascal(text: &str) -> String {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .flat_map(|word| {
            let mut letters = word.chars();
            letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters)
        })
        .collect()
}

pub(super) fn reference(name: &str) -> Json {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// A whole number that may pass 31 bits, which generators need to be told.
pub(super) fn long() -> Json {
    json!({"type": "integer", "format": "int64", "minimum": 0})
}

pub(super) fn up_to(maximum: u64) -> Json {
    json!({"type": "integer", "format": "int64", "minimum": 0, "maximum": maximum})
}

pub(super) fn text() -> Json {
    json!({"type": "string"})
}

pub(super) fn label() -> Json {
    json!({"type": "string", "maxLength": 256, "description": "at most 256 bytes, no control characters"})
}

pub(super) fn list(items: &Json) -> Json {
    json!({"type": "array", "items": items})
}

pub(super) fn nullable(mut schema: Json) -> Json {
    schema["nullable"] = true.into();
    schema
}

/// A page of a listing.
pub(super) fn page(field: &str, items: &str) -> Json {
    answer(json!({field: list(&reference(items)), "next": nullable(text())}), &[])
}

/// An answer of these fields, all there but the `optional` ones. Later versions may add fields.
pub(super) fn answer(properties: Json, optional: &[&str]) -> Json {
    let required: Vec<String> = properties
        .as_object()
        .into_iter()
        .flat_map(Map::keys)
        .filter(|k| !optional.contains(&k.as_str()))
        .cloned()
        .collect();
    let mut schema = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    schema
}

/// An object to be sent: no other fields.
pub(super) fn request(required: &[&str], properties: Json) -> Json {
    let mut schema = json!({"type": "object", "additionalProperties": false, "properties": properties});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

pub(super) fn extend(schema: &mut Json, more: Json) {
    if let (Some(properties), Json::Object(more)) = (schema["properties"].as_object_mut(), more) {
        properties.extend(more);
    }
}

pub(super) fn headers(more: &[&str]) -> Json {
    let names = ["x-request-id", "RateLimit", "RateLimit-Policy"].iter().chain(more);
    let named = |n: &&str| ((*n).to_string(), json!({"$ref": format!("#/components/headers/{n}")}));
    names.map(named).collect::<Map<_, _>>().into()
}

pub(super) fn body(schema: &Json) -> Json {
    json!({"required": true, "content": {"application/json": {"schema": schema}}})
}

pub(super) fn parameter(place: &str, name: &str, schema: &Json) -> Json {
    json!({"name": name, "in": place, "required": place == "path", "schema": schema})
}
