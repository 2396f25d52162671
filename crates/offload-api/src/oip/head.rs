//! The JSON head of an inference request as it stands, values not yet looked into.

use crate::Invalid;
use crate::json::{Reader, object, step, unknown};

/// Inputs, and outputs, that a request may name; the protocol's requests have a handful.
const MAX_ENTRIES: usize = 1024;

/// Parameters that one object may have: every one is compared with those before it.
const MAX_PARAMETERS: usize = 256;

/// A name, its value's text, and where it stands.
pub(super) struct Parameter<'b> {
    pub name: String,
    pub text: &'b [u8],
    pub pointer: String,
}

/// One entry of `inputs`.
pub(super) struct Input<'b> {
    pub name: String,
    pub datatype: Option<String>,
    pub shape: Option<&'b [u8]>,
    pub parameters: Vec<Parameter<'b>>,
    pub data: Option<&'b [u8]>,
    pub pointer: String,
}

/// One entry of `outputs`.
pub(super) struct Output<'b> {
    pub name: String,
    pub parameters: Vec<Parameter<'b>>,
    pub pointer: String,
}

#[derive(Default)]
pub(super) struct Head<'b> {
    pub id: Option<String>,
    pub parameters: Vec<Parameter<'b>>,
    pub inputs: Vec<Input<'b>>,
    pub outputs: Option<Vec<Output<'b>>>,
}

impl<'b> Head<'b> {
    pub(super) fn read(text: &'b [u8]) -> Result<Head<'b>, Invalid> {
        let mut r = Reader::new(text);
        let mut head = Head::default();
        members(&mut r, "", &["id", "parameters", "inputs", "outputs"], |r, key, pointer| {
            match key {
                "id" => head.id = Some(r.string(pointer)?.into_owned()),
                "parameters" => head.parameters = parameters(r, pointer)?,
                "inputs" => head.inputs = list(r, pointer, input)?,
                _ => head.outputs = Some(list(r, pointer, output)?),
            }
            Ok(())
        })?;
        r.end()?;
        Ok(head)
    }
}

fn input<'b>(r: &mut Reader<'b>, at: &str) -> Result<Input<'b>, Invalid> {
    let mut name = None;
    let (mut datatype, mut shape, mut data, mut params) = (None, None, None, Vec::new());
    members(r, at, &["name", "shape", "datatype", "parameters", "data"], |r, key, pointer| {
        match key {
            "name" => name = Some(r.string(pointer)?.into_owned()),
            "datatype" => datatype = Some(r.string(pointer)?.into_owned()),
            "shape" => shape = Some(r.skip(pointer)?),
            "parameters" => params = parameters(r, pointer)?,
            _ => data = Some(r.skip(pointer)?),
        }
        Ok(())
    })?;
    let name = name.ok_or_else(|| Invalid::new(at, "an input has a name"))?;
    Ok(Input { name, datatype, shape, parameters: params, data, pointer: at.into() })
}

fn output<'b>(r: &mut Reader<'b>, at: &str) -> Result<Output<'b>, Invalid> {
    let (mut name, mut params) = (None, Vec::new());
    members(r, at, &["name", "parameters"], |r, key, pointer| {
        match key {
            "name" => name = Some(r.string(pointer)?.into_owned()),
            _ => params = parameters(r, pointer)?,
        }
        Ok(())
    })?;
    let name = name.ok_or_else(|| Invalid::new(at, "an output has a name"))?;
    Ok(Output { name, parameters: params, pointer: at.into() })
}

fn parameters<'b>(r: &mut Reader<'b>, at: &str) -> Result<Vec<Parameter<'b>>, Invalid> {
    let mut all: Vec<Parameter<'b>> = Vec::new();
    object(r, at, |r, name| {
        let pointer = [at, &step(&name)].concat();
        if all.iter().any(|p| p.name == name) {
            return Err(Invalid::new(pointer, "the parameter is there twice"));
        }
        if all.len() == MAX_PARAMETERS {
            return Err(Invalid::new(
                at,
                format!("there are more parameters than the limit of {MAX_PARAMETERS}"),
            ));
        }
        let text = r.skip(&pointer)?;
        all.push(Parameter { name, text, pointer });
        Ok(())
    })?;
    Ok(all)
}

/// The members of an object that may have these, each once at most.
fn members<'b>(
    r: &mut Reader<'b>,
    at: &str,
    known: &[&'static str],
    mut member: impl FnMut(&mut Reader<'b>, &str, &str) -> Result<(), Invalid>,
) -> Result<(), Invalid> {
    let mut seen: Vec<String> = Vec::new();
    object(r, at, |r, key| {
        let pointer = [at, &step(&key)].concat();
        if !known.contains(&key.as_str()) {
            return Err(unknown(&key, &pointer, known.iter().copied()));
        }
        if seen.contains(&key) {
            return Err(Invalid::new(pointer, format!("the field {key} is there twice")));
        }
        member(r, &key, &pointer)?;
        seen.push(key);
        Ok(())
    })
}

fn list<'b, T>(
    r: &mut Reader<'b>,
    at: &str,
    mut item: impl FnMut(&mut Reader<'b>, &str) -> Result<T, Invalid>,
) -> Result<Vec<T>, Invalid> {
    let mut all = Vec::new();
    r.expect(b'[', at)?;
    if r.eat(b']') {
        return Ok(all);
    }
    loop {
        if all.len() == MAX_ENTRIES {
            return Err(Invalid::new(at, format!("there are more than the limit of {MAX_ENTRIES}")));
        }
        all.push(item(r, &format!("{at}/{}", all.len()))?);
        if !r.eat(b',') {
            r.expect(b']', at)?;
            return Ok(all);
        }
    }
}
