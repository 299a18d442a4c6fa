//! Places and the line for them, alone and contended.

use std::thread;

use super::*;

const BOUNDS: Settings = Settings { min: 1, max: 2 };

fn limiter(settings: &Settings) -> Arc<Limiter> {
    let limiter = Arc::<Limiter>::default();
    limiter.set(Some(settings));
    limiter
}

#[test]
fn without_bounds_everyone_has_a_place() {
    let limiter = Arc::<Limiter>::default();
    let slots: Vec<_> = (0..5_000).map(|_| limiter.try_take(Class::Batch).unwrap()).collect();
    assert_eq!(limiter.places(), Places { limit: None, taken: 5_000, waiting: 0 });
    drop(slots);
    assert_eq!(limiter.places().taken, 0);
}

#[test]
fn one_call_more_than_the_limit_has_none_until_another_ends() {
    let limiter = limiter(&BOUNDS);
    let (first, _second) = (limiter.try_take(Class::Interactive), limiter.try_take(Class::Interactive));
    assert!(first.is_some() && limiter.try_take(Class::Interactive).is_none() && !limiter.has_room(Class::Interactive));
    drop(first);
    assert!(limiter.try_take(Class::Batch).is_none(), "the last place is not for batch calls");
    assert!(limiter.try_take(Class::Interactive).is_some());
}

#[tokio::test]
async fn a_place_that_falls_free_goes_to_the_first_interactive_call_in_the_line() {
    let limiter = limiter(&BOUNDS);
    let (first, second) =
        (limiter.try_take(Class::Interactive).unwrap(), limiter.try_take(Class::Interactive).unwrap());
    let mut batch = limiter.wait(Class::Batch, 4).unwrap();
    let mut waiting = limiter.wait(Class::Interactive, 4).unwrap();
    assert!(!limiter.has_room(Class::Interactive));
    drop(first);
    let slot = waiting.called().await.unwrap();
    assert!(slot.is_at(&limiter) && !slot.is_at(&Arc::default()));
    drop(slot);
    assert!(batch.called.try_recv().is_err(), "one of two places is left to others");
    drop(second);
    drop(batch.called().await.unwrap());
    assert_eq!(limiter.places(), Places { limit: Some(2), taken: 0, waiting: 0 });
}

#[tokio::test]
async fn a_batch_call_that_waits_keeps_no_interactive_call_from_a_place_that_is_free() {
    let limiter = limiter(&BOUNDS);
    let first = limiter.take_anyway();
    let mut batch = limiter.wait(Class::Batch, 1).unwrap();
    assert!(limiter.has_room(Class::Interactive) && !limiter.has_room(Class::Batch));
    let second = limiter.try_take(Class::Interactive).unwrap();
    assert_eq!(limiter.places(), Places { limit: Some(2), taken: 2, waiting: 1 });
    drop((first, second));
    batch.called().await.unwrap();
}

#[tokio::test]
async fn a_batch_call_gives_way_in_a_full_line_and_hears_of_it() {
    let limiter = limiter(&BOUNDS);
    let _both = [limiter.take_anyway(), limiter.take_anyway()];
    let mut batch = limiter.wait(Class::Batch, 1).unwrap();
    assert_eq!(limiter.wait(Class::Batch, 1).unwrap_err(), NoRoom);
    let _interactive = limiter.wait(Class::Interactive, 1).unwrap();
    assert_eq!(batch.called().await.unwrap_err(), NoRoom);
    assert_eq!(limiter.wait(Class::Interactive, 1).unwrap_err(), NoRoom);
    drop(batch);
    assert_eq!(limiter.places().waiting, 1);
}

#[tokio::test]
async fn whoever_goes_away_leaves_neither_a_place_nor_a_wait_behind() {
    let limiter = limiter(&BOUNDS);
    let both = [limiter.take_anyway(), limiter.take_anyway()];
    drop(limiter.wait(Class::Interactive, 4).unwrap());
    let called = limiter.wait(Class::Interactive, 4).unwrap();
    drop(both);
    drop(called);
    assert_eq!(limiter.places(), Places { limit: Some(2), taken: 0, waiting: 0 });
}

#[tokio::test]
async fn lifting_the_limit_lets_everyone_in() {
    let limiter = limiter(&BOUNDS);
    let _both = [limiter.take_anyway(), limiter.take_anyway()];
    let mut batch = limiter.wait(Class::Batch, 4).unwrap();
    limiter.set(None);
    batch.called().await.unwrap();
}

#[test]
fn windows_are_counted_and_begun_anew() {
    let limiter = limiter(&Settings { min: 1, max: 30 });
    let second = |seconds| Moment::ZERO + Duration::from_secs(seconds);
    let window = |millis: u64, end| {
        let slots: Vec<_> = (0..20).map(|_| limiter.try_take(Class::Interactive).unwrap()).collect();
        (0..20).for_each(|_| limiter.first_token(Duration::from_millis(millis)));
        drop(slots);
        limiter.close_window(None, second(end));
    };
    window(100, 1);
    assert_eq!(limiter.places().limit, Some(30));
    assert_eq!(limiter.expected_wait(Class::Batch), Some(Duration::from_millis(50)), "twenty fell free in a second");
    window(400, 2);
    assert_eq!(limiter.places().limit, Some(10), "half of what was in flight");
    limiter.close_window(None, second(10));
    assert_eq!(limiter.places().limit, Some(10), "nothing more happened");
    assert_eq!(limiter.expected_wait(Class::Batch), None, "an idle time says nothing of how fast places fall free");
}

#[test]
fn a_server_that_refuses_for_overload_is_sent_less() {
    let limiter = limiter(&Settings { min: 1, max: 100 });
    let slots: Vec<_> = (0..20).map(|_| limiter.try_take(Class::Interactive).unwrap()).collect();
    (0..5).for_each(|_| limiter.failed(ErrorKind::RateLimited));
    limiter.close_window(None, Moment::ZERO + Duration::from_secs(1));
    assert_eq!(limiter.places().limit, Some(100), "a quota is not a lack of room");
    (0..5).for_each(|_| limiter.failed(ErrorKind::ModelOverloaded));
    limiter.close_window(None, Moment::ZERO + Duration::from_secs(2));
    assert_eq!(limiter.places().limit, Some(16));
    drop(slots);
}

/// Threads take places, some after a wait, while the limit moves: nobody is left waiting beside a free place, no place is
/// lost, and there are never many more taken than were ever allowed.
#[test]
fn under_contention_no_wake_up_and_no_place_is_lost() {
    const THREADS: u32 = 4;
    let limiter = limiter(&Settings { min: 3, max: 3 });
    let most = AtomicU32::new(0);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (limiter, most) = (&limiter, &most);
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                runtime.block_on(async {
                    for round in 0..500 {
                        let class = if (thread + round) % 3 == 0 { Class::Batch } else { Class::Interactive };
                        let slot = match limiter.try_take(class) {
                            Some(slot) => slot,
                            None => {
                                let mut waiting = limiter.wait(class, 64).unwrap();
                                if round % 7 == 0 {
                                    continue;
                                }
                                let called = tokio::time::timeout(Duration::from_secs(20), waiting.called());
                                called.await.expect("called in time").unwrap()
                            }
                        };
                        most.fetch_max(limiter.places().taken, Relaxed);
                        tokio::task::yield_now().await;
                        drop(slot);
                    }
                });
            });
        }
    });
    assert_eq!((limiter.places().taken, limiter.places().waiting), (0, 0));
    assert!(most.into_inner() <= 3 + THREADS, "at most one too many for each thread that was just then taking one");
}
