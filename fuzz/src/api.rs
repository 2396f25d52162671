//! JSON: requests and columns. What is read, written again and read once more, is the same.

use super::wire::{inline, put, schema, smallest};
use offload_api::json::{decode_columns, decode_request, render, write_record, write_string};
use offload_api::{Column, ColumnKind, DType, Kind, Record, Schema, Source, Style, Tensor, Value};

/// The inputs as the body of a flat request, and of an enveloped one; `false` when JSON cannot hold them.
pub(crate) fn bodies(schema: &Schema, inputs: &Record<Tensor>, dtype: Option<DType>) -> Option<[Vec<u8>; 2]> {
    // What is bytes in JSON is a tensor everywhere else.
    let record = inputs.iter().fold(Record::new(), |record, (name, value)| {
        let is_bytes = schema.field(name).is_some_and(|f| matches!(f.kind, Kind::Bytes { .. }));
        match value {
            Value::Tensor(t) if is_bytes => {
                record.with(name, Value::Bytes(t.as_slice::<u8>().expect("bytes are u8").to_vec().into()))
            }
            other => record.with(name, other.clone()),
        }
    });
    let mut flat = b"{".to_vec();
    write_record(&record, &mut flat).ok()?;
    if let Some(dtype) = dtype {
        put(&mut flat, if record.is_empty() { "" } else { "," });
        put(&mut flat, &format!("\"dtype\":\"{}\"", dtype.name()));
    }
    flat.push(b'}');
    let enveloped = [b"{\"inputs\":", &flat[..], b"}"].concat();
    Some([flat, enveloped])
}

/// Whether what is written of the inputs is read as the same, under one of the types that their tensors can have.
pub(crate) fn reads_back(schema: &Schema, inputs: &Record<Tensor>) -> bool {
    let types = schema.dtypes().into_iter().map(Some).chain([None]);
    types.filter_map(|dtype| bodies(schema, inputs, dtype)).any(|[flat, enveloped]| {
        let same = |body: &[u8], style| {
            decode_request(body, schema)
                .is_ok_and(|d| d.style == style && inline(&d.inputs).as_ref() == Some(inputs))
        };
        same(&flat, Style::Flat) && same(&enveloped, Style::Envelope)
    })
}

/// What tensors of a request take beside the bytes they were made of.
pub(crate) fn bounded(inputs: &Record<Source>, sent: usize) {
    let bytes: u64 = inputs
        .iter()
        .map(|(_, v)| match v {
            Value::Tensor(Source::Inline(t)) => {
                smallest(t.shape());
                t.bytes()
            }
            _ => 0,
        })
        .sum();
    // A number and its comma are two letters, and eight bytes at most; a bit is a byte.
    assert!(bytes <= 8 * sent as u64 + 64, "{bytes} bytes of tensors from {sent}");
}

pub(crate) fn request(bytes: &[u8]) -> bool {
    let schema = schema();
    let Ok(decoded) = decode_request(bytes, schema) else { return false };
    bounded(&decoded.inputs, bytes.len());
    if let Some(inputs) = inline(&decoded.inputs) {
        assert!(reads_back(schema, &inputs), "written and read again, it is another: {inputs:?}");
    }
    true
}

pub(crate) fn request_seeds() -> Vec<Vec<u8>> {
    [
        r#"{"a":[[1,2.5],[-3e0,0]]}"#,
        r#" {"priority":"high","a":[[1e300,-0.0]],"dtype":"f64","ids":[18446744073709551615],"k":3,"kind":true,"device":0,"timeout_ms":5}"#,
        r#"{"inputs":{"ids":[0],"a":[[1]],"dtype":"f32","kind":"two","scale":0.5},"priority":"low","cache":false,"explain":true}"#,
        r#"{"codes":[[1,2,3],[4,255,0]],"dtype":"u8","mask":[true,false,1],"a":[[[0.1]]],"small":[-1,1]}"#,
        r#"{"a":[[]],"data":[9007199254740993,-1],"dtype":"i64","deep":{"x":[1,null,{"y":"\u00fc"}]},"text":"\ud83e\udd80"}"#,
        r#"{"graph":{"nodes":[9],"edges":[[1,2],[2,3,0.5],[3,18446744073709551615,-1e-7]],"directed":false},"a":[[0]]}"#,
        r#"{"graph":{"edges":[]},"a":[[0]],"file":"AAECAwQFBgcICQ==","flag":true}"#,
        r#"{"graph":{"dataset":"roads","version":3},"a":{"dataset":"docs","column":"x","version":7,"lt":2010,"ge":2000},"file":{"dataset":"d","in":["de",1]}}"#,
        r#"{"a":{"$result":{"index":0,"output":"c"}},"depends_on":[{"table":"public.t","version":5},{"table":"u"}],"workload_type":"x","callback_url":"https://a.example/b"}"#,
    ]
    .map(|s| s.as_bytes().to_vec())
    .into()
}

const WORDS: &[&str] = &["dtypes", "key", "mode", "version"];

/// A body of these columns, with the type of each.
fn columns_body(columns: &[(String, Column)]) -> Option<Vec<u8>> {
    let mut out = b"{\"dtypes\":{".to_vec();
    for (i, (name, column)) in columns.iter().enumerate() {
        put(&mut out, if i > 0 { "," } else { "" });
        write_string(name, &mut out);
        put(&mut out, &format!(":\"{}\"", column.kind().type_name()));
    }
    put(&mut out, "},\"columns\":{");
    for (i, (name, column)) in columns.iter().enumerate() {
        put(&mut out, if i > 0 { "," } else { "" });
        write_string(name, &mut out);
        out.push(b':');
        match column {
            Column::Tensor(t) => render("column", &Value::Tensor(t.clone()), &mut out).ok()?,
            Column::Text(texts) => {
                out.push(b'[');
                for (i, text) in texts.iter().enumerate() {
                    put(&mut out, if i > 0 { "," } else { "" });
                    write_string(text, &mut out);
                }
                out.push(b']');
            }
        }
    }
    put(&mut out, "}}");
    Some(out)
}

pub(crate) fn columns(bytes: &[u8]) -> bool {
    let known = [("year".to_string(), ColumnKind::Tensor { dtype: DType::I32, inner: vec![] })];
    let plain = decode_columns(bytes, WORDS, &[]);
    for read in [&plain, &decode_columns(bytes, WORDS, &known)].into_iter().flatten() {
        let size: u64 = read.columns.iter().map(|(_, c)| c.bytes()).sum();
        assert!(size <= 8 * bytes.len() as u64 + 64, "{size} bytes of columns from {}", bytes.len());
        let body = columns_body(&read.columns).expect("json holds what json gave");
        let again = decode_columns(&body, WORDS, &[]).expect("what is written can be read");
        assert_eq!(again.columns, read.columns);
    }
    plain.is_ok()
}

pub(crate) fn columns_seeds() -> Vec<Vec<u8>> {
    [
        r#"{"columns":{"id":["a","b","\u00fc"],"x":[1,2,3],"v":[[1,2],[3,4],[5,6.5]],"flag":[true,false,true]},"key":"id"}"#,
        r#"{"columns":{"year":[2001,2002],"e":[[[1],[2]],[[3],[4]]]},"dtypes":{"e":"f64"},"mode":"upsert","version":3}"#,
        r#"{"dtypes":{"n":"u64","m":"u8","t":"text"},"columns":{"n":[18446744073709551615],"m":[255],"t":[""]}}"#,
        r#"{"columns":{"none":[],"w":[1.0],"q":[1e3,-0.0]}}"#,
    ]
    .map(|s| s.as_bytes().to_vec())
    .into()
}
