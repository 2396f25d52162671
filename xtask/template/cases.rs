//! Worked examples of `template_family.template_op`.

use offload_api::{Element, Record, Tensor, Value};
use offload_core::{Case, Expect, Tolerance};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("a vector", &[3], &[1.0, -2.0, 4.0], 0.5, &[0.5, -1.0, 2.0]),
        case("a matrix of f32", &[2, 2], &[1.0f32, 2.0, 3.0, 4.0], -2.0, &[-2.0f32, -4.0, -6.0, -8.0]),
        case::<f64>("nothing to scale", &[0], &[], 3.0, &[]),
    ]
}

fn case<T: Element>(name: &str, shape: &[usize], a: &[T], factor: f64, want: &[T]) -> Case {
    let inputs = Record::new().with("a", tensor(shape, a)).with("factor", Value::Float(factor));
    let want = Record::new().with("result", tensor(shape, want));
    Case {
        name: name.into(),
        source: "exact: every product is a power of two times an input",
        inputs,
        expect: Expect::Outputs(want, Tolerance::EXACT),
    }
}

fn tensor<T: Element>(shape: &[usize], elements: &[T]) -> Value {
    let Some(tensor) = Tensor::new(shape, elements.to_vec()) else {
        panic!("{shape:?} is not the shape of a case")
    };
    Value::Tensor(tensor)
}
