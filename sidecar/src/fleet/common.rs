//! What calls share across sidecars, and the loops that keep it: they go on as long as the process, whatever
//! configuration is in force.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::{Fleet, SharedRuns, desk::Desk};

/// All of it.
#[derive(Debug)]
pub struct Common {
    pub(super) fleet: Arc<Fleet>,
    pub(super) desk: Arc<Desk>,
    runs: Arc<SharedRuns>,
    _loops: JoinSet<()>,
}

impl Common {
    /// What calls share through `fleet`. Is called within a tokio runtime.
    #[must_use]
    pub fn open(fleet: &Arc<Fleet>) -> Arc<Self> {
        let runs = Arc::new(SharedRuns::new(Arc::clone(fleet)));
        let mut loops = JoinSet::new();
        loops.spawn(Arc::clone(&runs).tell());
        let (desk, at) = (Arc::new(Desk::new()), Arc::clone(fleet));
        let working = Arc::clone(&desk);
        loops.spawn(async move { working.work(&at).await });
        Arc::new(Self { fleet: Arc::clone(fleet), desk, runs, _loops: loops })
    }

    /// What agent runs have spent, here and elsewhere.
    #[must_use]
    pub const fn runs(&self) -> &Arc<SharedRuns> {
        &self.runs
    }

    /// The fleet that they are shared in.
    #[must_use]
    pub const fn fleet(&self) -> &Arc<Fleet> {
        &self.fleet
    }

    /// Answers, and ends of claims, that are yet to be told to the store.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.desk.waiting()
    }

    /// Tells the fleet what it has not heard yet: before the process ends.
    pub async fn end(&self) {
        self.runs.tell_rest().await;
        self.desk.empty().await;
    }
}
