use tonic_types::StatusExt as _;

use super::*;
use crate::call::outcome::{Attempt, Source, WaitReason};

fn how(attempts: usize) -> Outcome {
    let attempt = Attempt {
        provider: "vllm".into(),
        started_after: Duration::from_millis(1),
        took: Duration::from_millis(20),
        error: Some(ErrorKind::NetworkError),
        waited: Duration::from_millis(10),
        wait_reason: WaitReason::Backoff,
    };
    Outcome {
        source: None,
        quality: crate::call::outcome::Quality::Unavailable,
        limited: false,
        level: fusebox_rules::degradation::Level::Full,
        age: None,
        provider: None,
        provider_model: None,
        warnings: Vec::new(),
        attempts: vec![attempt; attempts],
        correlation_id: "id-1".into(),
        image: fusebox_rules::image::Measure::default(),
    }
}

fn told(failure: Failure) -> Status {
    refused(&Refused { failure, outcome: how(2) })
}

fn outcome_in(status: &Status) -> v1::Outcome {
    let rpc = pb::Status::decode(status.details()).unwrap();
    assert_eq!((rpc.code, rpc.message.as_str()), (i32::from(status.code()), status.message()));
    let any = rpc.details.iter().find(|any| any.type_url == "type.googleapis.com/fusebox.v1.Outcome").unwrap();
    v1::Outcome::decode(&*any.value).unwrap()
}

fn pushback_in(status: &Status) -> Option<&str> {
    status.metadata().get(PUSHBACK).map(|value| value.to_str().unwrap())
}

#[test]
fn every_kind_is_told_as_the_table_has_it() {
    for kind in ErrorKind::ALL {
        let status = told(Failure::new(kind, "words").by(&"vllm".into()));
        let row = kind.row();
        assert_eq!(i32::from(status.code()), row.grpc as i32, "{kind}");
        assert_ne!(status.code(), Code::Unknown, "{kind}");
        assert_eq!(status.message(), "words");
        let info = status.get_details_error_info().unwrap();
        assert_eq!((info.reason, info.domain.as_str()), (row.name.to_uppercase(), "fusebox"), "{kind}");
        let expected = [
            ("provider", "vllm"),
            ("correlation_id", "id-1"),
            ("retryable", if row.retryable { "true" } else { "false" }),
        ];
        assert_eq!(info.metadata, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into(), "{kind}");
        assert!(status.get_details_retry_info().is_none() && status.get_details_bad_request().is_none(), "{kind}");
        assert_eq!(outcome_in(&status).attempts.len(), 2, "{kind}");
        assert_eq!(status.metadata().get("x-correlation-id").unwrap(), "id-1", "{kind}");
        assert_eq!(pushback_in(&status), (!row.retryable).then_some("-1"), "{kind}");
    }
}

#[test]
fn a_known_wait_is_told_to_people_and_to_transports() {
    let table = [
        (Duration::from_millis(1500), "1500"),
        (Duration::from_micros(1_500_001), "1501"),
        (Duration::ZERO, "0"),
        (Duration::MAX, "2147483647"),
    ];
    for (wait, millis) in table {
        let status = told(Failure::new(ErrorKind::RateLimited, "later").wait(Some(wait)));
        assert_eq!(pushback_in(&status), Some(millis), "{wait:?}");
        assert!(status.get_details_retry_info().is_some(), "{wait:?}");
    }
    let status = told(Failure::new(ErrorKind::RateLimited, "later").wait(Some(Duration::from_millis(1500))));
    assert_eq!(status.get_details_retry_info().unwrap().retry_delay, Some(Duration::from_millis(1500)));
    let spent = told(Failure::new(ErrorKind::BudgetExceeded, "spent").wait(Some(Duration::from_secs(9))));
    assert_eq!(pushback_in(&spent), Some("-1"), "a wait does not make it worth a retry");
}

#[test]
fn each_fault_is_a_field_violation() {
    let faults = ["messages", "sampling.top_p"].map(|path| FieldFault { path: path.into(), message: "wrong".into() });
    let status = told(Failure::fields(faults.into()));
    assert_eq!(status.code(), Code::InvalidArgument);
    let violations = status.get_details_bad_request().unwrap().field_violations;
    let told: Vec<_> = violations.iter().map(|one| (one.field.as_str(), one.description.as_str())).collect();
    assert_eq!(told, [("messages", "wrong"), ("sampling.top_p", "wrong")]);
}

#[test]
fn facts_are_told_beside_the_kind_and_never_the_providers_own_words() {
    let failure =
        Failure::new(ErrorKind::ContextLengthExceeded, "too long").detail("limit", 8192).inside("raw 10.0.0.7");
    let status = told(failure);
    assert_eq!(status.code(), Code::OutOfRange);
    assert_eq!(status.get_details_error_info().unwrap().metadata["limit"], "8192");
    assert!(!String::from_utf8_lossy(status.details()).contains("10.0.0.7"));
}

#[test]
fn the_longest_story_still_fits_a_trailer() {
    let fault = FieldFault { path: "p".repeat(300), message: "m".repeat(300) };
    let mut failure = Failure { message: "é".repeat(4000), ..Failure::fields(vec![fault; 64]) }
        .by(&"p".repeat(500).into())
        .wait(Some(Duration::from_secs(1)));
    for _ in 0..20 {
        failure = failure.detail("tried", "t".repeat(1000));
    }
    let outcome = Outcome {
        source: Some(Source::Fallback),
        warnings: vec!["w".repeat(3000)],
        correlation_id: "c".repeat(128).into(),
        ..how(500)
    };
    let status = refused(&Refused { failure, outcome });
    let mut trailers = http::HeaderMap::new();
    status.add_header(&mut trailers).unwrap();
    let bytes: usize = trailers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
    assert!(bytes < 8192, "{bytes} bytes");
    let violations = status.get_details_bad_request().unwrap().field_violations;
    let last = violations.last().unwrap();
    assert_eq!(last.description, format!("{} more faults are not listed", 64 - (violations.len() - 1)));
    assert_eq!(outcome_in(&status).correlation_id.len(), 128);
}

#[test]
fn the_last_attempts_are_the_ones_kept() {
    let mut outcome = how(200);
    outcome.attempts.push(Attempt { provider: "last".into(), ..outcome.attempts[0].clone() });
    let status = refused(&Refused { failure: Failure::new(ErrorKind::NetworkError, "gone"), outcome });
    let told = outcome_in(&status);
    assert!(told.attempts.len() > 5, "{}", told.attempts.len());
    assert_eq!(told.attempts.last().unwrap().provider, "last");
}

#[test]
fn the_librarys_own_errors_are_completed_and_keep_their_code() {
    let id = Arc::from("id-2");
    let table = [
        (Code::OutOfRange, "INVALID_INPUT"),
        (Code::Internal, "INVALID_INPUT"),
        (Code::Unimplemented, "INVALID_INPUT"),
        (Code::Cancelled, "CANCELLED"),
        (Code::Unknown, "CANCELLED"),
    ];
    for (code, reason) in table {
        let status = unasked_as(code, &cause_of(&Status::new(code, "words")), &id);
        assert_eq!((status.code(), status.message()), (code, "words"));
        assert_eq!(status.get_details_error_info().unwrap().reason, reason);
        assert_eq!(outcome_in(&status).correlation_id, "id-2");
        assert_eq!(pushback_in(&status), Some("-1"));
    }
}
