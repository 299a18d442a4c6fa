//! How much room there is on a disk.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use super::aside::Aside;

/// How long a disk may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a disk says of itself, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) free: u64,
    pub(super) all: u64,
}

/// A disk that is asked.
#[derive(Debug)]
pub(super) struct Disk {
    path: PathBuf,
    aside: Aside<io::Result<Room>>,
}

impl Disk {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path, aside: Aside::new("disk") }
    }

    /// What it says.
    ///
    /// # Errors
    /// It cannot be asked, or has not answered in time; the next look waits for the same answer.
    pub(super) async fn room(&mut self) -> io::Result<Room> {
        let path = self.path.clone();
        self.aside.ask(PATIENCE, move || room_at(&path)).await?
    }
}

fn room_at(path: &Path) -> io::Result<Room> {
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
}
