//! A request for many embeddings, taken apart into requests for some, and their answers put together again.

use std::{borrow::Cow, collections::BTreeMap, ops::Range};

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::{
    answer::{Usage, Whole},
    edit::span_in,
    parse::parse,
    request::{Operation, Request},
};
use crate::error::{ErrorKind, Failure};

/// A request whose inputs can be asked for apart.
#[derive(Debug)]
pub struct Batch {
    body: Bytes,
    /// Where the list of inputs stands.
    list: Range<usize>,
    /// Where each input stands.
    inputs: Vec<Range<usize>>,
}

impl Batch {
    /// The inputs of `request`; `None`: it has no list of them.
    #[must_use]
    pub fn of(request: &Request) -> Option<Self> {
        #[derive(Deserialize)]
        struct Document<'a> {
            #[serde(borrow)]
            input: &'a RawValue,
        }
        if request.operation != Operation::Embed {
            return None;
        }
        let list = serde_json::from_slice::<Document<'_>>(&request.body).ok()?.input.get();
        let inputs: Vec<&RawValue> = serde_json::from_str(list).ok()?;
        let inputs = inputs.into_iter().map(|input| span_in(&request.body, input.get())).collect();
        Some(Self { list: span_in(&request.body, list), inputs, body: request.body.clone() })
    }

    /// The same request for these of the inputs; `None`: there are no such.
    #[must_use]
    pub fn part(&self, inputs: &Range<usize>) -> Option<Request> {
        let asked = self.inputs.get(inputs.clone())?;
        let asked = asked.first()?.start..asked.last()?.end;
        let mut body = BytesMut::with_capacity(self.body.len() - self.list.len() + asked.len() + 2);
        for piece in [&self.body[..self.list.start], b"[", &self.body[asked], b"]", &self.body[self.list.end..]] {
            body.extend_from_slice(piece);
        }
        parse(Operation::Embed, body.freeze()).ok()
    }
}

/// A document, or an item of its `data`, whose members are passed on as they are.
type Members<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    data: Vec<Members<'a>>,
    #[serde(borrow)]
    usage: Option<Members<'a>>,
}

/// The answers to parts of a batch, in their order, as the answer to all of it. An item's `index` says which of the
/// whole batch's inputs it is of; counts in `usage` are added up; what else there is, is the first part's.
///
/// # Errors
/// `invalid_response`: an answer is not what it should be.
pub fn together(parts: &[(Range<usize>, Whole)]) -> Result<Whole, Failure> {
    let mut data: Vec<Option<Box<RawValue>>> = Vec::new();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for (inputs, whole) in parts {
        let document: Document<'_> = serde_json::from_slice(&whole.body).map_err(|error| unreadable(&error))?;
        data.resize_with(data.len().max(inputs.end), || None);
        for (position, item) in document.data.into_iter().enumerate() {
            let index = match item.get("index") {
                Some(index) => serde_json::from_str(index.get()).map_err(|error| unreadable(&error))?,
                None => position,
            };
            let place = inputs.start.checked_add(index).filter(|place| inputs.contains(place));
            let place = place.and_then(|place| data.get_mut(place).map(|item| (place, item)));
            match place {
                Some((place, free @ None)) => *free = Some(renumbered(item, place)?),
                _ => return Err(invalid("the provider's embeddings are not numbered as the inputs are")),
            }
        }
        for (name, count) in document.usage.into_iter().flatten() {
            if let Ok(count) = serde_json::from_str::<u64>(count.get()) {
                let sum = counts.entry(name.into_owned()).or_default();
                *sum = sum.saturating_add(count);
            }
        }
    }
    let Some((_, first)) = parts.first() else { return Err(invalid("there is no answer")) };
    let data: Option<Vec<Box<RawValue>>> = data.into_iter().collect();
    let data = data.ok_or_else(|| invalid("there are not as many embeddings as inputs"))?;
    let (data, usage) = (raw(&data)?, raw(&counts)?);
    let mut members: Members<'_> = serde_json::from_slice(&first.body).map_err(|error| unreadable(&error))?;
    members.insert("data".into(), &data);
    if !counts.is_empty() {
        members.insert("usage".into(), &usage);
    }
    let body = serde_json::to_vec(&members).map_err(|error| unreadable(&error))?;
    Ok(Whole { body: body.into(), finish: None, usage: usage_of(parts), model: first.model.clone() })
}

fn renumbered<'a>(item: Members<'a>, place: usize) -> Result<Box<RawValue>, Failure> {
    let index = raw(&place)?;
    let mut item: Members<'_> = item;
    item.insert("index".into(), &index);
    raw(&item)
}

/// The sum of what was told; `None`: nothing was.
fn usage_of(parts: &[(Range<usize>, Whole)]) -> Option<Usage> {
    let told = parts.iter().filter_map(|(_, whole)| whole.usage);
    told.reduce(|sum, usage| Usage {
        input_tokens: sum.input_tokens.saturating_add(usage.input_tokens),
        output_tokens: sum.output_tokens.saturating_add(usage.output_tokens),
    })
}

fn raw(value: &impl Serialize) -> Result<Box<RawValue>, Failure> {
    to_raw_value(value).map_err(|error| unreadable(&error))
}

fn invalid(message: &str) -> Failure {
    Failure::new(ErrorKind::InvalidResponse, message)
}

fn unreadable(error: &serde_json::Error) -> Failure {
    invalid("the provider's answer could not be read").inside(error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn request(body: &'static str) -> Request {
        parse(Operation::Embed, Bytes::from_static(body.as_bytes())).unwrap()
    }

    fn whole(document: &Value, tokens: Option<u32>) -> Whole {
        let usage = tokens.map(|input_tokens| Usage { input_tokens, output_tokens: 0 });
        Whole { body: document.to_string().into(), finish: None, usage, model: Some("m".into()) }
    }

    #[test]
    fn a_part_is_the_same_request_with_fewer_inputs() {
        let body = r#"{"x":1.50,"input": [ "a", "b]\"," ,"[c","d" ] ,"model":"m","user":"u"}"#;
        let batch = Batch::of(&request(body)).unwrap();
        for (inputs, expected) in [
            (0..1, r#"{"x":1.50,"input": ["a"] ,"model":"m","user":"u"}"#),
            (1..3, r#"{"x":1.50,"input": ["b]\"," ,"[c"] ,"model":"m","user":"u"}"#),
            (3..4, r#"{"x":1.50,"input": ["d"] ,"model":"m","user":"u"}"#),
        ] {
            let part = batch.part(&inputs).unwrap();
            assert_eq!(part.body, expected.as_bytes());
            assert_eq!((part.choices as usize, part.model.as_str()), (inputs.len(), "m"));
            assert_eq!(part.body_for(Some("n"), None), expected.replace("\"m\"", "\"n\"").as_bytes());
        }
        assert_eq!((batch.part(&(4..5)), batch.part(&(1..1))), (None, None));
        assert!(Batch::of(&request(r#"{"input":"one text"}"#)).is_none());
    }

    #[test]
    fn answers_are_put_together_in_the_order_of_the_inputs() {
        let first = json!({"object": "list", "model": "m", "x": [1], "usage": {"prompt_tokens": 3, "total_tokens": 4},
            "data": [{"object": "embedding", "index": 1, "embedding": [1.5]}, {"index": 0, "embedding": "AAA="}]});
        let second = json!({"object": "list", "model": "other", "data": [{"embedding": [2.5], "y": null}],
            "usage": {"prompt_tokens": 5, "total_tokens": 6, "note": "none"}});
        let merged = together(&[(0..2, whole(&first, Some(3))), (2..3, whole(&second, Some(5)))]).unwrap();
        let expected = json!({"object": "list", "model": "m", "x": [1], "usage": {"prompt_tokens": 8, "total_tokens": 10},
            "data": [{"index": 0, "embedding": "AAA="}, {"object": "embedding", "index": 1, "embedding": [1.5]},
                     {"index": 2, "embedding": [2.5], "y": null}]});
        assert_eq!(serde_json::from_slice::<Value>(&merged.body).unwrap(), expected);
        assert_eq!(merged.usage, Some(Usage { input_tokens: 8, output_tokens: 0 }));
    }

    #[test]
    fn numbers_that_do_not_fit_are_no_answer() {
        let numbered = |indices: &[Value]| {
            let item = |index: &Value| json!({"index": index, "embedding": [1]});
            whole(&json!({"data": indices.iter().map(item).collect::<Vec<_>>()}), None)
        };
        for indices in [vec![json!(0), json!(0)], vec![json!(0), json!(2)], vec![json!(0)], vec![json!(-1), json!(0)]] {
            let failure = together(&[(0..2, numbered(&indices))]).unwrap_err();
            assert_eq!(failure.kind, ErrorKind::InvalidResponse, "{indices:?}");
        }
        let good = together(&[(0..2, numbered(&[json!(1), json!(0)]))]).unwrap();
        assert_eq!((good.usage, together(&[]).is_err()), (None, true));
    }
}
