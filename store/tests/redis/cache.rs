//! Answers that are kept for all, in memory and in Redis alike.

use std::time::Duration;

use fusebox_store::{
    body::{Body, MOST_BYTES, TooLarge},
    digest::SharedDigest,
    shared_cache::{Fetch, Keep},
};

use super::alike::Alike;

fn digest(byte: u8) -> SharedDigest {
    SharedDigest::new([byte; 32])
}

async fn keep(both: &Alike, byte: u8, body: &[u8], millis: u64) {
    let body = Body::try_new(body.to_vec()).unwrap();
    both.ask(&Keep { digest: digest(byte), body: &body, lasts: Duration::from_millis(millis) }).await;
}

async fn fetch(both: &Alike, byte: u8) -> Option<Vec<u8>> {
    both.ask(&Fetch { digest: digest(byte) }).await.map(Body::into_bytes)
}

#[tokio::test]
async fn an_answer_is_found_until_its_time_is_up_whatever_bytes_it_has() {
    let both = Alike::start().await;
    assert_eq!(fetch(&both, 1).await, None);
    let bytes: Vec<u8> = (0..=255).collect();
    keep(&both, 1, &bytes, 600_000).await;
    keep(&both, 2, b"", 600_000).await;
    keep(&both, 3, b" 12 ", 600_000).await;
    assert_eq!(fetch(&both, 1).await, Some(bytes));
    assert_eq!(fetch(&both, 2).await, Some(Vec::new()));
    assert_eq!(fetch(&both, 3).await, Some(b" 12 ".to_vec()));
    both.later(599_999);
    keep(&both, 3, b"newer", 600_000).await;
    assert_eq!(fetch(&both, 2).await, Some(Vec::new()));
    both.later(1);
    assert_eq!(fetch(&both, 2).await, None);
    assert_eq!(fetch(&both, 3).await, Some(b"newer".to_vec()));
}

#[tokio::test]
async fn the_largest_answer_is_kept_and_a_larger_one_is_none() {
    let both = Alike::start().await;
    let most = vec![b'x'; MOST_BYTES];
    keep(&both, 1, &most, 600_000).await;
    assert_eq!(fetch(&both, 1).await, Some(most));
    assert_eq!(Body::try_new(vec![0; MOST_BYTES + 1]), Err(TooLarge(MOST_BYTES + 1)));
}
