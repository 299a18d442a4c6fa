use proptest::{collection::vec, prelude::*};

use super::*;

type Said = (Option<String>, Vec<u8>);

fn said(events: &Events) -> Vec<Said> {
    events.iter().map(|event| (event.name.map(str::to_owned), event.data.into_owned())).collect()
}

/// Reads `text` in frames that end at `cuts`; what was said, and the bytes handed on.
fn read(text: &[u8], cuts: &[usize]) -> (Vec<Said>, Vec<u8>, Reader) {
    let mut reader = Reader::new(1 << 20);
    let (mut all, mut bytes) = (Vec::new(), Vec::new());
    let mut from = 0;
    for to in cuts.iter().copied().chain([text.len()]) {
        let events = reader.push(Bytes::copy_from_slice(&text[from..to])).unwrap();
        all.extend(said(&events));
        bytes.extend_from_slice(events.bytes());
        from = to;
    }
    (all, bytes, reader)
}

/// The specification's own algorithm, line by line, with no thought for speed.
fn naive(text: &[u8]) -> Vec<Said> {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    let mut lines = vec![Vec::new()];
    let mut bytes = text.iter().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' => {
                bytes.next_if(|next| **next == b'\n');
                lines.push(Vec::new());
            }
            b'\n' => lines.push(Vec::new()),
            other => lines.last_mut().unwrap().push(*other),
        }
    }
    lines.pop();
    let (mut events, mut name, mut data) = (Vec::new(), Vec::new(), Vec::new());
    for line in lines {
        if line.is_empty() {
            let name = String::from_utf8(std::mem::take(&mut name)).ok().filter(|name| !name.is_empty());
            if data.pop().is_some() {
                events.push((name, std::mem::take(&mut data)));
            }
            continue;
        }
        let mut halves = line.splitn(2, |byte| *byte == b':');
        let field = halves.next().unwrap();
        let value = halves.next().unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => data.extend([value, b"\n"].concat()),
            b"event" => name = value.to_vec(),
            _ => {}
        }
    }
    events
}

fn event(name: Option<&str>, data: &str) -> Said {
    (name.map(str::to_owned), data.as_bytes().to_vec())
}

#[test]
fn every_shape_of_event_is_read_however_it_is_cut() {
    let table: &[(&str, Vec<Said>)] = &[
        ("data: a\n\n", vec![event(None, "a")]),
        ("data:a\n\n", vec![event(None, "a")]),
        ("data:  a\n\n", vec![event(None, " a")]),
        ("data\n\n", vec![event(None, "")]),
        ("data:\n\n", vec![event(None, "")]),
        ("data: a\ndata: b\n\n", vec![event(None, "a\nb")]),
        ("event: ping\ndata: {}\n\n", vec![event(Some("ping"), "{}")]),
        ("data: {}\nevent: late\n\ndata: x\n\n", vec![event(Some("late"), "{}"), event(None, "x")]),
        ("event: nothing\n\ndata: x\n\n", vec![event(None, "x")]),
        ("id: 7\nretry: 10\ndata: x\nunknown: y\n\n", vec![event(None, "x")]),
        ("data: a\r\n\r\ndata: b\r\rdata: c\n\r\n", vec![event(None, "a"), event(None, "b"), event(None, "c")]),
        ("data: a\r\ndata: b\rdata: c\n\n", vec![event(None, "a\nb\nc")]),
        (": keep-alive\n\n", vec![]),
        (": keep-alive\n\n\n\ndata: a\n: and\n\n", vec![event(None, "a")]),
        ("\u{feff}data: a\n\n", vec![event(None, "a")]),
        ("data: a\n\n\u{feff}data: b\n\n", vec![event(None, "a")]),
        ("data: a\n\ndata: unfinished\n", vec![event(None, "a")]),
        ("", vec![]),
    ];
    for (text, expected) in table {
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let (all, ..) = read(text.as_bytes(), &[first, second]);
                assert_eq!(&all, expected, "{text:?} cut at {first} and {second}");
            }
        }
    }
}

#[test]
fn whole_events_in_one_frame_are_not_copied() {
    let frame = Bytes::from_static(b"data: a\n\n: b\n\ndata: c\n\n");
    let events = Reader::new(100).push(frame.clone()).unwrap();
    assert_eq!(events.bytes().as_ptr(), frame.as_ptr());
    assert_eq!(events.bytes().len(), frame.len());
    assert!(events.iter().all(|event| matches!(event.data, Cow::Borrowed(_))));
}

#[test]
fn a_span_holds_the_event_and_its_comments_only() {
    let events = Reader::new(100).push(Bytes::from_static(b"\n: x\n\n: y\ndata: a\n\ndata: b\r\n\r\n")).unwrap();
    let spans: Vec<_> = events.iter().map(|event| &events.bytes()[event.span]).collect();
    assert_eq!(spans, [&b": y\ndata: a\n\n"[..], b"data: b\r\n\r\n"]);
}

#[test]
fn the_last_event_is_given_without_its_blank_line_unless_it_was_cut() {
    let table: &[(&str, &[&str])] = &[
        ("data: [DONE]", &["[DONE]"]),
        ("data: [DONE]\n", &["[DONE]"]),
        ("data: [DONE]\r", &["[DONE]"]),
        ("data: {\"a\":1}", &["{\"a\":1}"]),
        ("event: x\ndata: {\"a\":1}", &["{\"a\":1}"]),
        ("data: {\"a\":", &[]),
        ("data: [DO", &[]),
        ("data: any words\n", &["any words"]),
        ("data: any words", &[]),
        ("event: x\n", &[]),
        (": comment", &[]),
        ("da", &[]),
        ("", &[]),
    ];
    for (text, expected) in table {
        let (_, _, mut reader) = read(text.as_bytes(), &[]);
        let last = reader.finish();
        let data: Vec<_> = last.iter().map(|event| String::from_utf8(event.data.into_owned()).unwrap()).collect();
        assert_eq!(&data, expected, "{text:?}");
        assert!(last.is_empty() || last_end(last.bytes(), 0) == last.bytes().len(), "{text:?} ends whole");
        assert!(reader.finish().is_empty(), "{text:?} is given once");
    }
}

#[test]
fn an_event_past_the_limit_is_refused_whether_whole_or_not() {
    let mut reader = Reader::new(10);
    assert!(reader.push(Bytes::from_static(b"data: 12\n\ndata: 34\n\n")).is_ok(), "two short ones are no long one");
    assert_eq!(reader.push(Bytes::from_static(b"data: 12345\n\n")), Err(TooLong { max_event: 10 }));
    let mut reader = Reader::new(10);
    assert!(reader.push(Bytes::from_static(b"data: 1234")).is_ok());
    assert_eq!(reader.push(Bytes::from_static(b"5")), Err(TooLong { max_event: 10 }));
}

/// Text in which the bytes that mean something are as likely as those that do not.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => Just(b"\n".to_vec()),
        3 => Just(b"\r".to_vec()),
        2 => Just(b"\r\n".to_vec()),
        3 => Just(b"data:".to_vec()),
        1 => Just(b"data".to_vec()),
        1 => Just(b"event: ".to_vec()),
        1 => Just(b"id: 1".to_vec()),
        1 => Just(b"\xEF\xBB\xBF".to_vec()),
        2 => Just(b":".to_vec()),
        2 => Just(b" ".to_vec()),
        2 => vec(any::<u8>(), 0..6),
    ];
    vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_split_says_what_the_whole_text_says(text in text(), cuts in vec(any::<prop::sample::Index>(), 0..12)) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        cuts.sort_unstable();
        let (all, mut bytes, reader) = read(&text, &cuts);
        prop_assert_eq!(all, naive(&text));
        bytes.extend_from_slice(&reader.held);
        prop_assert!(text.ends_with(&bytes), "no byte is lost or moved");
        prop_assert!(text.len() - bytes.len() == 0 || text.starts_with(b"\xEF\xBB\xBF"));
    }

    #[test]
    fn spans_follow_each_other_and_hold_what_was_said(text in text()) {
        let events = Reader::new(usize::MAX).push(Bytes::from(text)).unwrap();
        let mut at = 0;
        for event in events.iter() {
            prop_assert!(at <= event.span.start && event.span.end <= events.bytes().len());
            at = event.span.end;
            let alone = Events { bytes: events.bytes().slice(event.span.clone()) };
            prop_assert_eq!(said(&alone), vec![(event.name.map(str::to_owned), event.data.into_owned())]);
        }
    }
}
