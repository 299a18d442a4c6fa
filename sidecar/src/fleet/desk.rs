//! What calls leave behind for the store, and do not wait for: answers to be kept, claims to be ended. Bounded in number
//! and in bytes; what there is no room for is left, and the store forgets the claim by itself.

use std::{sync::Arc, time::Duration};

use fusebox_store::{
    body::Body,
    claims::{Finish, Release},
    digest::SharedDigest,
    shared_cache::Keep,
};
use futures_util::StreamExt as _;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use super::Fleet;

/// Things that wait.
const MOST: usize = 4_096;
/// KiB that they may hold together.
const MOST_KIB: u32 = 32 * 1_024;
/// Things that are done at a time.
const AT_ONCE: usize = 16;

/// One thing to be done.
#[derive(Debug)]
pub(super) enum Job {
    /// Keeps an answer for those who ask the same, for so long.
    Keep(SharedDigest, Body, Duration),
    /// Tells what came of a claimed call, for so long.
    Finish(SharedDigest, Body, Duration),
    /// Gives a claim back, of this holder.
    Release(SharedDigest, String),
}

/// Takes what is to be done.
#[derive(Debug)]
pub(super) struct Desk {
    jobs: mpsc::Sender<(Job, OwnedSemaphorePermit)>,
    room: Arc<Semaphore>,
    /// For the one loop that does it.
    waiting: Mutex<Option<mpsc::Receiver<(Job, OwnedSemaphorePermit)>>>,
}

impl Desk {
    pub(super) fn new() -> Self {
        let (jobs, waiting) = mpsc::channel(MOST);
        let room = Arc::new(Semaphore::new(MOST_KIB as usize));
        Self { jobs, room, waiting: Mutex::new(Some(waiting)) }
    }

    /// Takes `job`, if there is room for it.
    pub(super) fn take(&self, job: Job) -> bool {
        let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(job.kib()) else { return false };
        self.jobs.try_send((job, room)).is_ok()
    }

    /// What is taken and not yet begun.
    pub(super) fn waiting(&self) -> usize {
        MOST - self.jobs.capacity()
    }

    /// Does what is taken, for the first who asks. Does not end.
    pub(super) async fn work(&self, fleet: &Fleet) {
        let Some(waiting) = self.waiting.lock().take() else { return };
        let work = |(job, room): (Job, OwnedSemaphorePermit)| async move {
            job.done(fleet).await;
            drop(room);
        };
        ReceiverStream::new(waiting).for_each_concurrent(AT_ONCE, work).await;
    }

    /// Waits until all is done that was taken.
    pub(super) async fn empty(&self) {
        drop(self.room.acquire_many(MOST_KIB).await);
    }
}

impl Job {
    fn kib(&self) -> u32 {
        let bytes = match self {
            Self::Keep(_, body, _) | Self::Finish(_, body, _) => body.as_bytes().len(),
            Self::Release(..) => 0,
        };
        u32::try_from(bytes / 1_024).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// What the store does not answer is not asked again: an answer more to be kept is no loss, and claims end.
    async fn done(&self, fleet: &Fleet) {
        match self {
            Self::Keep(digest, body, lasts) => {
                let _ = fleet.ask(&Keep { digest: *digest, body, lasts: *lasts }).await;
            }
            Self::Finish(digest, body, lasts) => {
                let _ = fleet.ask(&Finish { digest: *digest, body, lasts: *lasts }).await;
            }
            Self::Release(digest, holder) => {
                let _ = fleet.ask(&Release { digest: *digest, holder }).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(bytes: usize) -> Job {
        let body = Body::try_new(vec![0; bytes]).unwrap();
        Job::Keep(SharedDigest::new([0; 32]), body, Duration::from_secs(1))
    }

    #[test]
    fn no_more_is_taken_than_there_is_room_for() {
        let desk = Desk::new();
        let large = (0..).take_while(|_| desk.take(keep(512 * 1_024))).count();
        assert_eq!((large, desk.waiting()), (63, 63), "each takes its own room");
        let desk = Desk::new();
        let small = (0..).take_while(|_| desk.take(Job::Release(SharedDigest::new([0; 32]), "h".to_owned()))).count();
        assert_eq!((small, desk.waiting()), (MOST, MOST));
    }
}
