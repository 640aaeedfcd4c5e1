//! Wake-ups: whoever waits for work is poked as soon as a transaction that made some is committed.
//!
//! A wake-up makes it quick, never certain: it may be lost or come for nothing, so its receivers
//! poll as well and look for work until there is none. On PostgreSQL it crosses processes: `NOTIFY`
//! goes with the transaction, and one connection listens.

use std::{sync::Arc, time::Duration};

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, Statement};
use sqlx::postgres::PgListener;
use tokio::{sync::Notify, task::JoinHandle};

const JOBS: &str = "borealis_jobs";
const CALLBACKS: &str = "borealis_callbacks";

/// How long to wait before a lost connection is tried again.
const RECONNECT: Duration = Duration::from_secs(1);

/// The two things that are waited for.
#[derive(Default)]
pub(crate) struct Wakeups {
    pub(crate) jobs_ready: Notify,
    pub(crate) callbacks_due: Notify,
}

/// What a transaction made ready.
#[derive(Clone, Copy, Default)]
pub(crate) struct Made {
    pub(crate) jobs: bool,
    pub(crate) callbacks: bool,
}

impl Wakeups {
    pub(crate) fn wake(&self, made: Made) {
        if made.jobs {
            poke(&self.jobs_ready);
        }
        if made.callbacks {
            poke(&self.callbacks_due);
        }
    }
}

/// Wakes all that wait, and the next one that will.
fn poke(notify: &Notify) {
    notify.notify_waiters();
    notify.notify_one();
}

/// Tells the other processes, when and only when the transaction is committed.
pub(crate) async fn announce(tx: &DatabaseTransaction, made: Made) -> Result<(), DbErr> {
    for (channel, wanted) in [(JOBS, made.jobs), (CALLBACKS, made.callbacks)] {
        if wanted {
            let notify = "SELECT pg_notify($1, '')";
            tx.execute_raw(Statement::from_sql_and_values(
                tx.get_database_backend(),
                notify,
                [channel.into()],
            ))
            .await?;
        }
    }
    Ok(())
}

/// Listens until the handle is aborted.
pub(crate) async fn listen(url: &str, wakeups: Arc<Wakeups>) -> Result<JoinHandle<()>, sqlx::Error> {
    let mut listener = PgListener::connect(url).await?;
    listener.listen_all([JOBS, CALLBACKS]).await?;
    Ok(tokio::spawn(async move {
        loop {
            match listener.try_recv().await {
                Ok(Some(notification)) => wakeups.wake(Made {
                    jobs: notification.channel() == JOBS,
                    callbacks: notification.channel() == CALLBACKS,
                }),
                // the connection was lost and is there again: anything may have been missed
                Ok(None) => wakeups.wake(Made { jobs: true, callbacks: true }),
                Err(error) => {
                    tracing::warn!(%error, "wake-ups from the database are late: the connection is lost");
                    tokio::time::sleep(RECONNECT).await;
                }
            }
        }
    }))
}
