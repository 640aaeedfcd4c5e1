//! Queue time: what leases, due times and waits are compared with, the same for every process on a database
//! whatever their own clocks say.
//!
//! On PostgreSQL it is the database's time, and so is every other time that is stored. It is read from the
//! database when the store is opened and at each [`Store::sync_clock`], and counted by the machine's uptime
//! in between. SQLite has the clock of its one machine, which somebody may set: there queue time goes on
//! with the machine's uptime, from a time that the first process after a boot writes down. Times that
//! people see (created, finished) are those of the machine's clock; the two differ when it was set.
//!
//! A process that was frozen has an old time for a moment, and an old time takes nothing from anybody: it
//! finds fewer leases expired, and gives itself shorter ones.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use model::{Clock, Timestamp};
use sea_orm::{ConnectionTrait, DbBackend, Statement};

use crate::{error::Result, store::Store};

const MINUTE_MILLIS: i64 = 60_000;

const READ_POSTGRES: &str = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint) AS now";

/// The anchor of queue time on SQLite: the time of the row belongs to the uptime in it. After a boot ($1 is
/// another boot, or $2 a shorter uptime) the first process writes a new one, with its own time ($3); queue
/// time never goes back, so not with an earlier one than was written last.
const ANCHOR_SQLITE: &str = "\
    INSERT INTO clock (id, boot, uptime, time) VALUES (1, $1, $2, $3) \
    ON CONFLICT (id) DO UPDATE SET \
        time = CASE WHEN boot = excluded.boot AND uptime <= excluded.uptime \
            THEN time + excluded.uptime - uptime ELSE max(time, excluded.time) END, \
        uptime = excluded.uptime, boot = excluded.boot \
    RETURNING time - uptime AS start";

/// Queue time, and the time that is stored for people.
pub(crate) struct DatabaseClock {
    /// The machine's.
    machine: Arc<dyn Clock>,
    backend: DbBackend,
    /// The queue time at uptime 0, in milliseconds.
    start: AtomicI64,
}

impl DatabaseClock {
    /// A clock that still has to be synchronized.
    pub(crate) fn new(machine: Arc<dyn Clock>, backend: DbBackend) -> Self {
        Self { machine, backend, start: AtomicI64::new(i64::MIN) }
    }

    /// Queue time.
    pub(crate) fn queue_time(&self) -> Timestamp {
        let start = self.start.load(Ordering::Relaxed);
        Timestamp::from_millis(start.saturating_add(self.uptime_millis()))
    }

    fn uptime_millis(&self) -> i64 {
        i64::try_from(self.machine.uptime().as_millis()).unwrap_or(i64::MAX)
    }

    async fn sync_with_server(&self, database: &impl ConnectionTrait) -> Result<()> {
        let asked = self.uptime_millis();
        let row = database.query_one_raw(Statement::from_string(self.backend, READ_POSTGRES)).await?;
        let Some(row) = row else { return Ok(()) };
        let (now, answered): (i64, i64) = (row.try_get("", "now")?, self.uptime_millis());
        // it was read somewhere between the question and the answer; what fits that is left as it is
        let (least, most) = (now.saturating_sub(answered), now.saturating_sub(asked));
        let start = self.start.load(Ordering::Relaxed);
        self.start.store(start.clamp(least, most.max(least)), Ordering::Relaxed);
        Ok(())
    }

    async fn sync_with_machine(&self, database: &impl ConnectionTrait) -> Result<()> {
        let values = [boot_id().into(), self.uptime_millis().into(), self.machine.now().as_millis().into()];
        let anchor = Statement::from_sql_and_values(self.backend, ANCHOR_SQLITE, values);
        if let Some(row) = database.query_one_raw(anchor).await? {
            self.start.store(row.try_get("", "start")?, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Clock for DatabaseClock {
    fn now(&self) -> Timestamp {
        match self.backend {
            DbBackend::Postgres => self.queue_time(),
            _ => self.machine.now(),
        }
    }

    fn uptime(&self) -> Duration {
        self.machine.uptime()
    }
}

impl Store {
    /// Takes the database's time again: its clock and this machine's drift apart.
    ///
    /// # Errors
    /// When the database fails; then time goes on as it was counted.
    pub async fn sync_clock(&self) -> Result<()> {
        let clock = self.database_clock();
        if clock.backend == DbBackend::Postgres {
            return clock.sync_with_server(self.database()).await;
        }
        let tx = self.unsynced_transaction().await?;
        clock.sync_with_machine(&tx.db).await?;
        tx.commit().await
    }

    /// Queue time: what leases and due times are compared with.
    pub fn queue_time(&self) -> Timestamp {
        self.database_clock().queue_time()
    }

    /// The clock that all processes on this database agree on, as far as there is one: on PostgreSQL the
    /// database's, on SQLite the machine's.
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.database_clock()
    }

    /// The latest moment that is this long ago by both clocks: what is older has outlived its retention,
    /// even if one of them is far ahead.
    pub fn ago(&self, age: Duration) -> Timestamp {
        self.now().min(self.queue_time()) - age
    }

    /// A queue time as the clock for people shows it: they differ by what that clock was set by. To whole
    /// minutes, so that a time is always shown as the same one.
    pub(crate) fn shown(&self, time: Timestamp) -> Timestamp {
        let set_by = self.now().as_millis().saturating_sub(self.queue_time().as_millis());
        let half = MINUTE_MILLIS / 2 * set_by.signum();
        let minutes = set_by.saturating_add(half) / MINUTE_MILLIS;
        Timestamp::from_millis(time.as_millis().saturating_add(minutes.saturating_mul(MINUTE_MILLIS)))
    }
}

/// Which boot of the machine this is; the same in all its processes.
fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default()
}
