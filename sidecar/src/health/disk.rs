//! How much room there is on a disk. A disk that does not answer, as a share over a dead network, holds up a thread of
//! its own and nothing else.

use std::{io, path::PathBuf, thread, time::Duration};

use tokio::{sync::oneshot, time::timeout};

/// How long a disk may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a disk says of itself, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) free: u64,
    pub(super) all: u64,
}

/// Asks a disk, one question at a time.
#[derive(Debug)]
pub(super) struct Disk {
    path: PathBuf,
    /// The answer that is still waited for.
    asked: Option<oneshot::Receiver<io::Result<Room>>>,
}

impl Disk {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path, asked: None }
    }

    /// What it says.
    ///
    /// # Errors
    /// It cannot be asked, or has not answered in time; the next look waits for the same answer.
    pub(super) async fn room(&mut self) -> io::Result<Room> {
        let mut answer = match self.asked.take() {
            Some(asked) => asked,
            None => self.ask()?,
        };
        match timeout(PATIENCE, &mut answer).await {
            Ok(Ok(room)) => room,
            Ok(Err(_)) => Err(io::Error::other("the thread that asked it died")),
            Err(_) => {
                self.asked = Some(answer);
                Err(io::Error::new(io::ErrorKind::TimedOut, "it does not answer"))
            }
        }
    }

    fn ask(&self) -> io::Result<oneshot::Receiver<io::Result<Room>>> {
        let (tell, answer) = oneshot::channel();
        let path = self.path.clone();
        // Not one of the runtime's threads: the process would wait for it at its end.
        thread::Builder::new().name("disk".into()).spawn(move || {
            let _ = tell.send(room_at(&path));
        })?;
        Ok(answer)
    }
}

fn room_at(path: &std::path::Path) -> io::Result<Room> {
    let disk = rustix::fs::statvfs(path)?;
    // What is kept back for the superuser is not free for us.
    let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
    Ok(Room { free: bytes(disk.f_bavail), all: bytes(disk.f_blocks) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_disk_has_no_more_free_than_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let mut disk = Disk::new(folder.path().to_path_buf());
        for _ in 0..2 {
            let room = disk.room().await.unwrap();
            assert!(room.all > 0 && room.free <= room.all, "{room:?}");
        }
        let mut nowhere = Disk::new(folder.path().join("nowhere"));
        assert_eq!(nowhere.room().await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[tokio::test(start_paused = true)]
    async fn a_disk_that_does_not_answer_is_not_asked_again_before_it_does() {
        let (tell, answer) = oneshot::channel();
        let mut disk = Disk { path: "/nowhere".into(), asked: Some(answer) };
        for _ in 0..3 {
            assert_eq!(disk.room().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        }
        let room = Room { free: 1, all: 2 };
        tell.send(Ok(room)).unwrap();
        assert_eq!(disk.room().await.unwrap(), room);
    }
}
