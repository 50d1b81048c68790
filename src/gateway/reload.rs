//! Other tables while the gateway runs, and what becomes of those before them.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::{Entry, Gateway, Served, Setup, Tables, Upstream, openapi};

/// A table that nobody may use any more is looked at so often.
const UNUSED_POLL: Duration = Duration::from_millis(50);

impl Entry {
    /// Waits until no request uses the table. None outlives its deadline.
    async fn unused(&self) {
        // This one, and that of the list.
        while Arc::strong_count(&self.user) > 2 {
            tokio::time::sleep(UNUSED_POLL).await;
        }
    }
}

impl Gateway {
    /// Serves other tables from now on. One that is what it was keeps its stream; of one that
    /// is not, what was accepted is sent as it was to be.
    ///
    /// # Errors
    /// A spool cannot be made; nothing has changed.
    pub(super) fn reload(self: &Arc<Self>, setup: Setup) -> Result<(), String> {
        let before = self.tables();
        let upstream = Upstream {
            sdk: setup.sdk,
            credentials: setup.credentials,
        };
        let openapi = openapi::document(&setup.tables);
        // The same service for somebody else: all that is there goes on, as them.
        let is_same = upstream.sdk == before.upstream.sdk;
        let kept = |served: &Served| {
            let same = before.entries.iter().find(|e| e.table.is(served));
            same.filter(|_| is_same).cloned()
        };
        let mut entries = Vec::new();
        for served in setup.tables {
            entries.push(match kept(&served) {
                Some(entry) => {
                    if entry.token.is_some() && served.token.is_none() {
                        let table = &entry.table.key;
                        tracing::warn!(table, "callers need no token any more");
                    }
                    Entry {
                        token: served.token,
                        ..entry
                    }
                }
                None => self.entry(served, &upstream, None)?,
            });
        }
        if is_same {
            let there = before.entries.iter().chain(&entries).cloned();
            for entry in there.chain(self.retired()) {
                entry.table.keeper.move_to(&upstream);
            }
        }
        let is_kept = |entry: &Entry| entries.iter().any(|e| Arc::ptr_eq(&e.table, &entry.table));
        let gone = before.entries.iter().filter(|entry| !is_kept(entry));
        let gone: Vec<_> = gone.cloned().collect();
        let count = entries.len();
        let tables = Tables {
            entries,
            upstream,
            openapi,
        };
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        retired.extend(gone.iter().cloned());
        drop(retired);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(tables);
        drop(current);
        tracing::info!("serving {count} tables");
        for entry in gone {
            let table = &entry.table.key;
            tracing::info!(
                table,
                "it has changed or gone; what was accepted is sent as it was to be"
            );
            self.see_off(entry);
        }
        Ok(())
    }

    /// Sends what a table has that is not served any more, in the background.
    pub(super) fn see_off(self: &Arc<Self>, entry: Entry) {
        let gateway = Arc::clone(self);
        tokio::spawn(async move {
            entry.unused().await;
            // However long that takes.
            entry.table.settled().await;
            let table = &entry.table.key;
            match entry.close(std::future::ready(())).await {
                Ok(()) => tracing::info!(table, "all that was accepted before is settled"),
                Err(error) => tracing::error!(table, error, "not all that was accepted is durable"),
            }
            entry.table.count(&entry.table.health());
            let retired = &gateway.retired;
            let mut retired = retired.lock().unwrap_or_else(PoisonError::into_inner);
            retired.retain(|other| !Arc::ptr_eq(&other.table, &entry.table));
        });
    }
}
