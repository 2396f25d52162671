//! What a worker says that no worker says: the inputs that the fuzzing of its messages was made for.

use offload_devices::worker::heard;

/// The bytes of outputs over 256 bytes of memory, or why they are refused.
fn hear(values: &[String]) -> Result<u64, String> {
    let zero = r#"{"secs":0,"nanos":0}"#;
    let text = format!(
        r#"{{"Done":{{"outputs":[{}],"timings":{{"upload":{zero},"compute":{zero},"download":{zero}}}}}}}"#,
        values.join(",")
    );
    let message = [&(text.len() as u32).to_le_bytes()[..], &[0; 4], text.as_bytes()].concat();
    let operation = offload_ops::registry().find("matrix", "multiply").expect("an operation");
    let outputs = heard::by_service(&message, &[7; 256], operation)?;
    Ok(outputs.expect("outputs").bytes())
}

fn tensor(name: &str, shape: &str, at: usize) -> String {
    format!(r#"["{name}",{{"Tensor":{{"dtype":"u8","shape":{shape},"at":{at},"resident":null}}}}]"#)
}

#[test]
fn outputs_of_a_worker_that_share_memory_or_have_no_end_are_refused() {
    assert_eq!(hear(&[tensor("a", "[128]", 0), tensor("b", "[128]", 128)]), Ok(256));
    assert_eq!(hear(&[tensor("a", "[16777216,0]", 0)]), Ok(0));
    for wrong in [
        vec![tensor("a", "[256]", 0), tensor("b", "[1]", 0)],
        vec![tensor("a", "[200]", 0), r#"["b",{"Bytes":{"at":0,"len":100}}]"#.into()],
        vec![tensor("a", "[257]", 0)],
        vec![tensor("a", "[1]", 256)],
        vec![tensor("a", "[1]", 32)],
        vec![tensor("a", "[1099511627776,0]", 0)],
        vec![tensor("a", "[4294967296,4294967296,0]", 0)],
    ] {
        let refused = hear(&wrong).expect_err("nonsense");
        assert!(refused.contains("is not what it says"), "{wrong:?}: {refused}");
    }
}
