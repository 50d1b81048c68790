//! What is done to a table beside its commits, one thing at a time: no acknowledgement waits
//! for it. That it fails harms no row.

use deltalake_core::DeltaTableError;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::maintain::{Maintained, Maintenance};
use super::upkeep::{Merge, Merged, SmallFile};

/// Something to do.
pub(super) enum Chore {
    Merge(Box<Merge>),
    Maintain(Maintenance),
}

/// How it has ended.
pub(super) enum Done {
    Merged(Box<Merged>),
    Maintained(Maintained),
    /// With the files that were to be merged, if any.
    Failed(Vec<SmallFile>),
}

/// Something being done.
pub(super) struct UnderWay {
    files: Vec<SmallFile>,
    job: JoinHandle<Result<Done, DeltaTableError>>,
}

impl Chore {
    /// Starts it on a thread that may block.
    pub(super) fn start(self) -> UnderWay {
        let files = match &self {
            Self::Merge(merge) => merge.files.clone(),
            Self::Maintain(_) => Vec::new(),
        };
        let handle = Handle::current();
        let job = tokio::task::spawn_blocking(move || handle.block_on(self.run()));
        UnderWay { files, job }
    }

    async fn run(self) -> Result<Done, DeltaTableError> {
        Ok(match self {
            Self::Merge(merge) => Done::Merged(Box::new(merge.run().await?)),
            Self::Maintain(maintenance) => Done::Maintained(maintenance.run().await?),
        })
    }
}

impl UnderWay {
    pub(super) fn has_ended(&self) -> bool {
        self.job.is_finished()
    }

    /// Waits for its end, once.
    pub(super) async fn end(&mut self) -> Done {
        match (&mut self.job).await {
            Ok(Ok(done)) => done,
            Ok(Err(_)) | Err(_) => Done::Failed(std::mem::take(&mut self.files)),
        }
    }
}
