//! When to load a configuration anew. What is done about it is the caller's decision.

use std::{
    marker::PhantomData,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Interval, MissedTickBehavior, interval},
};

use super::{Document, Faults, Sources, load};

/// Between two looks at the files.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Watches what a configuration was read from.
pub struct Watch<C> {
    sources: Sources,
    files: Vec<Watched>,
    looks: Interval,
    hangups: Option<Signal>,
    makes: PhantomData<fn() -> C>,
}

/// Why to load it anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// SIGHUP.
    Hangup,
    /// This file changed, came or went.
    File(PathBuf),
}

struct Watched {
    path: PathBuf,
    /// As it was when last loaded.
    loaded: Option<Stamp>,
    /// As it was when last looked at. A change is told of once two looks agree, so that a file half written is not read.
    seen: Option<Stamp>,
}

/// What tells one version of a file from another. The inode is that behind all symbolic links: Kubernetes
/// changes a mounted ConfigMap by turning a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    seconds: i64,
    nanos: i64,
}

impl<C: Document> Watch<C> {
    /// Loads the configuration, and watches its file and those it names from then on. To be called in a runtime.
    ///
    /// # Errors
    ///
    /// As [`load`].
    pub fn begin(sources: Sources) -> Result<(C, Self), Faults> {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Without the signal, which only an exhausted system denies, files are still watched.
        let hangups = signal(SignalKind::hangup()).ok();
        let mut watch = Self { files: Vec::new(), sources, looks, hangups, makes: PhantomData };
        watch.watch_all(&[]);
        let config = watch.reload()?;
        Ok((config, watch))
    }

    /// Waits until the configuration should be loaded anew. May be dropped and called again without losing a cause.
    pub async fn changed(&mut self) -> Cause {
        loop {
            let hangup = async {
                let heard = match &mut self.hangups {
                    Some(hangups) => hangups.recv().await.is_some(),
                    None => false,
                };
                if !heard {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = hangup => return Cause::Hangup,
                _ = self.looks.tick() => {}
            }
            if let Some(file) = self.look() {
                return Cause::File(file);
            }
        }
    }

    /// Loads the configuration anew, and watches the files that it names now. A change between the two is not lost: it
    /// is told of by the next [`Self::changed`].
    ///
    /// # Errors
    ///
    /// As [`load`]. The files watched stay the same, so that mending one of them is noticed.
    pub fn reload(&mut self) -> Result<C, Faults> {
        for file in &mut self.files {
            file.seen = Stamp::of(&file.path);
            file.loaded = file.seen;
        }
        let config: C = load(&self.sources)?;
        if self.watch_all(&config.files()) {
            // Files named for the first time were not watched while they were read: read them again now that they are.
            return load(&self.sources);
        }
        Ok(config)
    }

    /// Watches the configuration's own file and `named`, and says whether there is a new one among them.
    fn watch_all(&mut self, named: &[PathBuf]) -> bool {
        let wanted: Vec<_> = self.sources.file.iter().chain(named).collect();
        let new: Vec<_> = wanted.iter().filter(|path| self.files.iter().all(|file| file.path != ***path)).collect();
        let new: Vec<_> = new.into_iter().map(|path| Watched::from(path.as_path())).collect();
        let any_new = !new.is_empty();
        self.files.retain(|file| wanted.contains(&&file.path));
        self.files.extend(new);
        any_new
    }

    /// Looks at each file once; the first that has changed and has since stayed as it is, if any.
    fn look(&mut self) -> Option<PathBuf> {
        let mut changed = None;
        for file in &mut self.files {
            let now = Stamp::of(&file.path);
            let settled = now == file.seen;
            file.seen = now;
            if settled && now != file.loaded && changed.is_none() {
                file.loaded = now;
                changed = Some(file.path.clone());
            }
        }
        changed
    }
}

impl From<&Path> for Watched {
    fn from(path: &Path) -> Self {
        let stamp = Stamp::of(path);
        Self { path: path.to_owned(), loaded: stamp, seen: stamp }
    }
}

impl Stamp {
    /// `None`: there is no such file, or it may not be looked at. A look takes microseconds and is not worth a thread.
    fn of(path: &Path) -> Option<Self> {
        let data = std::fs::metadata(path).ok()?;
        Some(Self {
            device: data.dev(),
            inode: data.ino(),
            bytes: data.size(),
            seconds: data.mtime(),
            nanos: data.mtime_nsec(),
        })
    }
}

#[cfg(test)]
mod tests;
