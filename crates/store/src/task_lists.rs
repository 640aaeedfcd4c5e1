//! Lists of tasks, newest first, whose cost does not grow with the number of tasks.
//!
//! SQL's OFFSET reads all rows that it skips. The counts of `task_counts` say how many of the tasks that a
//! filter selects were created on each day: so the total is a sum, and a page is read from the few days
//! that it lies in, however far down the list it is. At most, a list reads the tasks of one day more than
//! its page. Batches and `custom_info` are not counted: they have an index, and few tasks each.

use model::{
    BatchId, StorageId, Task, TaskStatus, TemplateName, TenantId, Timestamp, limits::MAX_LIST_BYTES,
};
use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait, EntityTrait as _, PaginatorTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, Select,
    sea_query::{Expr, ExprTrait as _, Func},
};

use crate::{
    convert,
    entities::task,
    error::Result,
    page::Page,
    store::Store,
    task_counts::{DAY_MILLIS, count_by_day},
    tasks,
};

/// Tasks of a page that are read at once.
const LIST_STEP: u64 = 50;

/// What an answer says of a task beside its texts, in bytes.
const REPORT_BYTES: usize = 1000;

/// How much of `custom_info` its index holds, in characters.
const INDEXED_INFO_CHARS: usize = 200;

/// Which tasks to list; a field that is none does not restrict them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskFilter {
    /// Of this status.
    pub status: Option<TaskStatus>,
    /// Created at this moment or later.
    pub start: Option<Timestamp>,
    /// Created at this moment or earlier.
    pub end: Option<Timestamp>,
    /// Of this storage.
    pub storage_id: Option<StorageId>,
    /// Made with this template.
    pub template_name: Option<TemplateName>,
    /// Of this batch.
    pub batch_id: Option<BatchId>,
    /// With exactly this text, which is not empty.
    pub custom_info: Option<String>,
}

/// One page of a list of tasks.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskPage {
    /// How many tasks the filter matches in all.
    pub total: u64,
    /// The tasks of the page, newest first.
    pub tasks: Vec<Task>,
}

/// A range of creation times, in milliseconds since the epoch, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeRange {
    from: i64,
    to: i64,
}

/// How many tasks that a filter selects were created in a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RangeCount {
    range: TimeRange,
    count: u64,
}

/// Where the tasks of a page are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageWindow {
    /// The range that holds all of them.
    pub(crate) range: TimeRange,
    /// How many tasks of the range are newer than the page.
    offset: u64,
    limit: u64,
}

impl Store {
    /// One page of a tenant's tasks, newest first. A page with more than [`MAX_LIST_BYTES`] ends early.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list_tasks(&self, tenant: &TenantId, filter: &TaskFilter, page: Page) -> Result<TaskPage> {
        let snapshot = self.snapshot().await?;
        let counts = filter.range_counts(&snapshot, tenant).await?;
        let tasks = match locate_page(&counts, page) {
            Some(window) => filter.read_window(&snapshot, tenant, window).await?,
            None => Vec::new(),
        };
        snapshot.commit().await?;
        Ok(TaskPage { total: counts.iter().map(|counted| counted.count).sum(), tasks })
    }
}

impl TaskFilter {
    /// Ranges that together hold all tasks that the filter selects, newest first, with their counts: one
    /// for each day; or the whole, when the filter is of a kind that is not counted by day.
    pub(crate) async fn range_counts(
        &self,
        database: &impl ConnectionTrait,
        tenant: &TenantId,
    ) -> Result<Vec<RangeCount>> {
        let whole = self.range();
        if !self.is_counted() {
            let count = self.select(tenant, whole).count(database).await?;
            return Ok(vec![RangeCount { range: whole, count }]);
        }
        let (from_day, to_day) = (whole.from / DAY_MILLIS, whole.to / DAY_MILLIS);
        let days = count_by_day(database, &self.counted_condition(tenant), from_day, to_day).await?;
        let mut counts = Vec::with_capacity(days.len());
        for (day, count_of_day) in days.into_iter().rev() {
            let day = TimeRange::of_day(day);
            let range = whole.intersection(day);
            let count = if range == day {
                count_of_day
            } else {
                // a day that is cut by the filter's start or end
                self.select(tenant, range).count(database).await?
            };
            counts.push(RangeCount { range, count });
        }
        Ok(counts)
    }

    /// The tasks of a page, up to [`MAX_LIST_BYTES`]; in steps, because that is known only when they are read.
    async fn read_window(
        &self,
        database: &impl ConnectionTrait,
        tenant: &TenantId,
        window: PageWindow,
    ) -> Result<Vec<Task>> {
        let (mut tasks, mut bytes) = (Vec::new(), 0);
        let mut query =
            self.select_window(tenant, PageWindow { limit: Ord::min(window.limit, LIST_STEP), ..window });
        loop {
            let rows = query.all(database).await?;
            let (is_last_step, last) = ((rows.len() as u64) < LIST_STEP, rows.last());
            let Some(last) = last.map(|row| (row.created, row.id.clone())) else { return Ok(tasks) };
            for row in rows {
                bytes += answered_bytes(&row);
                if bytes > MAX_LIST_BYTES && !tasks.is_empty() {
                    return Ok(tasks);
                }
                tasks.push(tasks::read(row)?);
            }
            let missing = window.limit - tasks.len() as u64;
            if is_last_step || missing == 0 {
                return Ok(tasks);
            }
            query = self.select_older(tenant, window.range, &last).limit(Ord::min(missing, LIST_STEP));
        }
    }

    /// The query for the tasks of a range that follow one in the list.
    fn select_older(
        &self,
        tenant: &TenantId,
        range: TimeRange,
        (created, id): &(i64, String),
    ) -> Select<task::Entity> {
        use task::Column;
        let is_older = Condition::any().add(Column::Created.lt(*created)).add(Column::Id.lt(id.as_str()));
        self.select(tenant, TimeRange { to: *created, ..range })
            .filter(is_older)
            .order_by_desc(Column::Created)
            .order_by_desc(Column::Id)
    }

    /// The query for the tasks of a page.
    pub(crate) fn select_window(&self, tenant: &TenantId, window: PageWindow) -> Select<task::Entity> {
        self.select(tenant, window.range)
            .order_by_desc(task::Column::Created)
            .order_by_desc(task::Column::Id)
            .offset(window.offset)
            .limit(window.limit)
    }

    /// The query for the tasks that were created in a range.
    pub(crate) fn select(&self, tenant: &TenantId, range: TimeRange) -> Select<task::Entity> {
        use task::Column;
        let mut condition = self
            .counted_condition(tenant)
            .add(Column::Created.between(range.from, range.to))
            .add_option(self.batch_id.as_ref().map(|id| Column::BatchId.eq(id.as_str())));
        if let Some(info) = &self.custom_info {
            let info = convert::without_nul(info);
            let beginning: String = info.chars().take(INDEXED_INFO_CHARS).collect();
            // the expressions of the partial index, as literals: with bound parameters neither database
            // sees that the index fits
            let substr = Func::cust("substr").arg(Expr::col("custom_info")).arg(Expr::cust("1"));
            let substr = substr.arg(Expr::cust(INDEXED_INFO_CHARS.to_string()));
            condition = condition
                .add(Expr::cust("custom_info <> ''"))
                .add(Expr::expr(substr).eq(beginning))
                .add(Column::CustomInfo.eq(info));
        }
        task::Entity::find().filter(condition)
    }

    /// Whether `task_counts` can tell how many tasks the filter selects.
    fn is_counted(&self) -> bool {
        self.batch_id.is_none() && self.custom_info.is_none()
    }

    /// The part of the filter that tasks are counted by. It fits the table `task` and the tables of its
    /// counts, whose columns have the same names.
    pub(crate) fn counted_condition(&self, tenant: &TenantId) -> Condition {
        Condition::all()
            .add(Expr::col("tenant_id").eq(tenant.as_str()))
            .add_option(self.status.map(|status| Expr::col("status").eq(status.as_str())))
            .add_option(self.storage_id.as_ref().map(|id| Expr::col("storage_id").eq(id.as_str())))
            .add_option(self.template_name.as_ref().map(|name| Expr::col("template_name").eq(name.as_str())))
    }

    fn range(&self) -> TimeRange {
        TimeRange {
            from: Ord::max(self.start.map_or(0, Timestamp::as_millis), 0),
            to: Ord::max(self.end.map_or(i64::MAX, Timestamp::as_millis), 0),
        }
    }
}

impl TimeRange {
    /// A day, which is counted since the epoch.
    fn of_day(day: i64) -> Self {
        let first = day * DAY_MILLIS;
        Self { from: first, to: first + (DAY_MILLIS - 1) }
    }

    fn intersection(self, other: Self) -> Self {
        Self { from: Ord::max(self.from, other.from), to: Ord::min(self.to, other.to) }
    }
}

/// How much of a page a task takes.
fn answered_bytes(row: &task::Model) -> usize {
    let texts = [Some(&row.spec), Some(&row.output_uri), row.source.as_ref(), row.outcome.as_ref()];
    REPORT_BYTES + texts.into_iter().flatten().map(String::len).sum::<usize>()
}

/// Finds the ranges that a page lies in; none when it is beyond the end of the list.
pub(crate) fn locate_page(counts: &[RangeCount], page: Page) -> Option<PageWindow> {
    let mut offset = page.offset;
    let mut range: Option<TimeRange> = None;
    let mut found = 0;
    for counted in counts {
        if let Some(range) = &mut range {
            if found >= offset + page.limit {
                break;
            }
            range.from = counted.range.from;
        } else if counted.count <= offset {
            // all of its tasks are newer than the page
            offset -= counted.count;
            continue;
        } else {
            range = Some(counted.range);
        }
        found += counted.count;
    }
    range.map(|range| PageWindow { range, offset, limit: page.limit })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One range for each count, newest first.
    fn range_counts(counts: &[u64]) -> Vec<RangeCount> {
        let mut ranges = Vec::new();
        for (day, &count) in (0..).zip(counts.iter().rev()) {
            let range = TimeRange { from: day * DAY_MILLIS, to: day * DAY_MILLIS + 9 };
            ranges.push(RangeCount { range, count });
        }
        ranges.reverse();
        ranges
    }

    proptest! {
        /// Each task of the list is known by the range that it lies in.
        #[test]
        fn a_piece_holds_its_page_and_skips_what_is_before(
            counts in prop::collection::vec(1..9_u64, 0..9),
            offset in 0..80_u64,
            limit in 1..20_u64,
        ) {
            let counts = range_counts(&counts);
            let tasks: Vec<TimeRange> = counts
                .iter()
                .flat_map(|counted| std::iter::repeat_n(counted.range, counted.count as usize))
                .collect();
            let page: Vec<TimeRange> =
                tasks.iter().copied().skip(offset as usize).take(limit as usize).collect();
            match locate_page(&counts, Page { offset, limit }) {
                None => prop_assert!(page.is_empty()),
                Some(window) => {
                    let inside: Vec<TimeRange> = tasks
                        .iter()
                        .copied()
                        .filter(|task| window.range.from <= task.from && task.to <= window.range.to)
                        .collect();
                    let read: Vec<TimeRange> =
                        inside.iter().copied().skip(window.offset as usize).take(limit as usize).collect();
                    prop_assert_eq!(read, page);
                    // no range before the page or after it is read
                    prop_assert!(window.offset < 9 && inside.len() < 9 + 9 + limit as usize);
                }
            }
        }
    }
}
