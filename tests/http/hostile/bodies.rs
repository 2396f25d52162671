//! Bodies that are no JSON, no tensors, or no options.

use super::{GOOD, MULTIPLY, Siege, nested};

const DEPTH: usize = 100_000;

/// Inputs `a` as given, beside a good `b`.
fn a(text: &str) -> String {
    format!(r#"{{"inputs": {{"a": {text}, "b": [[1]]}}}}"#)
}

/// A good request with one more field.
fn with(field: &str) -> String {
    format!(r#"{{"inputs": {{"a": [[1]], "b": [[1]]}}, {field}}}"#)
}

/// All are `invalid_request`; the text must be part of the message where one is given.
#[test]
fn malformed_bodies_are_refused_with_the_place() {
    let siege = Siege::lay();
    let tables: Vec<String> = (0..65).map(|i| format!(r#"{{"table": "t{i}"}}"#)).collect();
    let cases: Vec<(&str, String, &str)> = vec![
        ("arrays at the top", nested("[", "", "]", DEPTH), ""),
        ("arrays at the top, open", "[".repeat(DEPTH), ""),
        ("objects at the top", nested(r#"{"a":"#, "1", "}", DEPTH), ""),
        ("objects at the top, open", r#"{"a":"#.repeat(DEPTH), ""),
        ("objects of inputs", nested(r#"{"inputs":"#, "1", "}", DEPTH), ""),
        ("arrays in an input", a(&nested("[", "1", "]", DEPTH)), "dimensions"),
        ("arrays in an input, open", a(&"[".repeat(DEPTH)), "dimensions"),
        ("objects in an input", a(&nested(r#"{"a":"#, "1", "}", DEPTH)), "deeper"),
        ("arrays in an option", with(&format!(r#""priority": {}"#, nested("[", "", "]", DEPTH))), "deeper"),
        ("arrays in an unknown field", with(&format!(r#""x": {}"#, nested("[", "", "]", DEPTH))), ""),
        (
            "arrays in a version",
            with(&format!(r#""depends_on": [{{"table": "t", "version": {}}}]"#, nested("[", "", "]", 90))),
            "",
        ),
        ("1e400", a("[[1e400]]"), "range"),
        ("-1e400", a("[[-1e400]]"), "range"),
        ("1e400 as an integer option", with(r#""timeout_ms": 1e400"#), ""),
        ("too large for f32", r#"{"a": [[1e39]], "b": [[1]], "dtype": "f32"}"#.into(), "f32"),
        ("an integer of 400 digits", a(&format!("[[{}]]", "9".repeat(400))), "range"),
        ("an integer of 100000 digits", a(&format!("[[{}]]", "9".repeat(DEPTH))), "range"),
        ("NaN", a("[[NaN]]"), "NaN"),
        ("nan", a("[[nan]]"), ""),
        ("Infinity", a("[[Infinity]]"), "infinity"),
        ("-Infinity", a("[[-Infinity]]"), ""),
        ("null", a("[[null]]"), "null"),
        ("true", a("[[true]]"), ""),
        ("a text", a(r#"[["1"]]"#), ""),
        ("an object in an array", a(r#"[[{"x": 1}]]"#), ""),
        ("a scalar", a("1"), "dimensions"),
        ("one dimension", a("[1]"), "dimensions"),
        ("nine dimensions", a(&nested("[", "1", "]", 9)), "dimensions"),
        ("ragged rows", a("[[1, 2], [3]]"), "ragged"),
        ("a number beside rows", a("[[1], 2]"), "ragged"),
        ("a row beside numbers", a("[1, [2]]"), "ragged"),
        ("ragged below", a("[[[1], [2]], [[3], [4, 5]]]"), "ragged"),
        ("empty beside full", a("[[], [1]]"), "ragged"),
        ("deeper elsewhere", a("[[1], [[2]]]"), "ragged"),
        ("an empty array", a("[]"), ""),
        ("empty rows", a("[[], []]"), ""),
        ("a leading zero", a("[[01]]"), ""),
        ("a plus", a("[[+1]]"), ""),
        ("no integer part", a("[[.5]]"), ""),
        ("no fraction", a("[[5.]]"), ""),
        ("no exponent", a("[[1e]]"), ""),
        ("hexadecimal", a("[[0x10]]"), ""),
        ("two signs", a("[[--1]]"), ""),
        ("a trailing comma", a("[[1,]]"), ""),
        ("a leading comma", a("[[,1]]"), ""),
        ("no comma", a("[[1 2]]"), ""),
        ("a comma after the last field", r#"{"a": [[1]], "b": [[1]],}"#.into(), ""),
        ("a comment", r#"{"a": [[1]], /* b */ "b": [[1]]}"#.into(), ""),
        ("single quotes", "{'a': [[1]], 'b': [[1]]}".into(), ""),
        ("half precision", r#"{"a": [[1]], "b": [[1]], "dtype": "f16"}"#.into(), "f32 or f64"),
        ("an integer dtype", r#"{"a": [[1]], "b": [[1]], "dtype": "i32"}"#.into(), "f32 or f64"),
        ("dtype 7", r#"{"a": [[1]], "b": [[1]], "dtype": 7}"#.into(), ""),
        ("dtype outside", with(r#""dtype": "f32""#), "inputs"),
        ("a twice", r#"{"a": [[1]], "a": [[2]], "b": [[1]]}"#.into(), "twice"),
        ("a twice, once escaped", r#"{"a": [[1]], "\u0061": [[2]], "b": [[1]]}"#.into(), "twice"),
        (
            "inputs twice",
            r#"{"inputs": {"a": [[1]], "b": [[1]]}, "inputs": {"a": [[1]], "b": [[1]]}}"#.into(),
            "twice",
        ),
        ("cache twice", with(r#""cache": true, "cache": false"#), "twice"),
        ("dtype twice", r#"{"a": [[1]], "b": [[1]], "dtype": "f32", "dtype": "f64"}"#.into(), "twice"),
        ("a lone surrogate as a key", r#"{"\ud800": 1}"#.into(), ""),
        ("a lone surrogate as a value", with(r#""workload_type": "\udc00""#), ""),
        ("a broken escape", r#"{"\x61": 1}"#.into(), ""),
        ("an escape at the end", "{\"a\\".into(), ""),
        ("a control character in a key", "{\"a\u{1}\": 1}".into(), ""),
        ("a byte order mark", "\u{feff}{\"a\": [[1]], \"b\": [[1]]}".into(), ""),
        ("trailing garbage", r#"{"a": [[1]], "b": [[1]]}x"#.into(), ""),
        ("two documents", r#"{"a": [[1]], "b": [[1]]}{"a": [[1]]}"#.into(), ""),
        ("nothing", String::new(), ""),
        ("white space", " \r\n\t ".into(), ""),
        ("zero bytes", "\0\0\0\0".into(), ""),
        ("a number", "1".into(), ""),
        ("a text", r#""a""#.into(), ""),
        ("null", "null".into(), ""),
        ("no fields", "{}".into(), "missing"),
        ("timeout 0", with(r#""timeout_ms": 0"#), "from 1 to"),
        ("timeout -1", with(r#""timeout_ms": -1"#), "from 1 to"),
        ("timeout 1e18", with(r#""timeout_ms": 1000000000000000000"#), "from 1 to"),
        ("timeout 1e18 as a float", with(r#""timeout_ms": 1e18"#), "from 1 to"),
        ("timeout of 40 digits", with(&format!(r#""timeout_ms": {}"#, "9".repeat(40))), "from 1 to"),
        ("timeout x", with(r#""timeout_ms": "x""#), "from 1 to"),
        ("timeout null", with(r#""timeout_ms": null"#), "from 1 to"),
        ("priority 5", with(r#""priority": 5"#), "one of low"),
        ("priority null", with(r#""priority": null"#), "one of low"),
        ("a priority of 100 KB", with(&format!(r#""priority": "{}""#, "h".repeat(DEPTH))), "one of low"),
        ("device -1", with(r#""device": -1"#), "device"),
        ("device 1.5", with(r#""device": 1.5"#), "device"),
        ("device 2^32", with(r#""device": 4294967296"#), "device"),
        ("device '-1'", with(r#""device": "-1""#), "device"),
        ("device {}", with(r#""device": {}"#), "device"),
        ("cache 1", with(r#""cache": 1"#), "true or false"),
        ("explain yes", with(r#""explain": "yes""#), "true or false"),
        ("workload_type 7", with(r#""workload_type": 7"#), "text"),
        ("65 tables", with(&format!(r#""depends_on": [{}]"#, tables.join(","))), "limit is 64"),
        ("depends_on an object", with(r#""depends_on": {"table": "t"}"#), "list"),
        ("a version that is true", with(r#""depends_on": [{"table": "t", "version": true}]"#), "version"),
        (
            "a table of 300 bytes",
            with(&format!(r#""depends_on": [{{"table": "{}"}}]"#, "t".repeat(300))),
            "256",
        ),
        ("an output outside a batch", a(r#"{"$result": {"index": 0, "output": "result"}}"#), "no batch"),
        ("a key of 1 MB", format!(r#"{{"{}": 1}}"#, "k".repeat(1 << 20)), "unknown field"),
        (
            "100000 unknown keys",
            with(&(0..DEPTH).map(|i| format!(r#""k{i}": 1"#)).collect::<Vec<_>>().join(",")),
            "",
        ),
    ];
    for (name, body, text) in &cases {
        let reply = siege.post(MULTIPLY, body.as_bytes());
        assert_eq!(reply.status, 400, "{name}: {}", reply.text());
        let e = reply.fails(400, "invalid_request");
        assert!(e["details"]["pointer"].is_string(), "{name}: {e}");
        let message = e["message"].as_str().unwrap_or_default();
        assert!(message.contains(text), "{name}: {message}");
        assert!(reply.body.len() < 4096, "{name}: an answer of {} bytes", reply.body.len());
    }
    for bytes in [
        &b"{\"\xff\": 1}"[..],
        b"\xfe\xff",
        b"{\"a\": [[1\xff]], \"b\": [[1]]}",
        b"{\"workload_type\": \"\xc3\"}",
    ] {
        siege.post(MULTIPLY, bytes).fails(400, "invalid_request");
    }
    // No proper prefix of a good request is one.
    let mut connection = siege.service.connect();
    let key = [("x-api-key", siege.service.key.as_str())];
    for end in 0..GOOD.len() {
        let reply = connection.request("POST", MULTIPLY, &key, &GOOD[..end]);
        reply.fails(400, "invalid_request");
    }
    siege.withstood();
}

/// Unusual, and right: what is refused here would be refused to honest callers.
#[test]
fn unusual_bodies_that_are_right_are_taken() {
    let siege = Siege::lay();
    for (name, body) in [
        ("an escaped key", r#"{"\u0061": [[2]], "b": [[3]]}"#.to_string()),
        ("white space everywhere", "\r\n{ \"a\" :\t[ [ 2 ] ] , \"b\" : [ [ 3 ] ] } \n".into()),
        ("exponents", r#"{"a": [[0.2e+1]], "b": [[3000E-3]]}"#.into()),
        ("a long fraction", format!(r#"{{"a": [[2.{}]], "b": [[3]]}}"#, "0".repeat(100_000))),
        (
            "64 tables",
            format!(
                r#"{{"a": [[2]], "b": [[3]], "depends_on": [{}]}}"#,
                (0..64).map(|i| format!(r#"{{"table": "t{i}"}}"#)).collect::<Vec<_>>().join(",")
            ),
        ),
        ("a day", r#"{"a": [[2]], "b": [[3]], "timeout_ms": 86400000}"#.into()),
        ("eight-digit underflow", r#"{"a": [[2]], "b": [[3, 1e-400]]}"#.into()),
    ] {
        let reply = siege.post(MULTIPLY, body.as_bytes());
        assert_eq!(reply.status, 200, "{name}: {}", reply.text());
        assert_eq!(reply.json()["result"][0][0], 6.0, "{name}");
    }
    // A few hundred kilobytes that ask for a result of gigabytes.
    let rows = vec!["[]"; 60_000].join(",");
    let body = format!(r#"{{"a": [{rows}], "b": [{rows}], "transpose_b": true}}"#);
    let reply = siege.post(MULTIPLY, body.as_bytes());
    reply.fails(403, "quota_exceeded");
    let (column, row) = (vec!["[1]"; 60_000].join(","), vec!["1"; 60_000].join(","));
    let body = format!(r#"{{"a": [{column}], "b": [[{row}]]}}"#);
    siege.post(MULTIPLY, body.as_bytes()).fails(403, "quota_exceeded");
    siege.withstood();
}
