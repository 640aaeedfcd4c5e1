//! Lists of tasks, newest first, whose cost does not grow with the number of tasks.
//!
//! The counts of `counts` say on which days the wanted tasks were created. So the total is a sum,
//! and a piece is read from the few days that it lies in, however far down the list it is. What a
//! read costs at most is a day's tasks. Only batches and `custom_info` are not counted: they have an
//! index, and few tasks each.

use model::{BatchId, StorageId, Task, TaskStatus, TemplateName, TenantId, Timestamp};
use sea_orm::{
    ColumnTrait as _, Condition, EntityTrait as _, PaginatorTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, Select,
    sea_query::{Expr, ExprTrait as _, Func},
};

use crate::{
    Page, Result, Store, convert,
    entities::task,
    task_counts::{DAY, days},
    tasks,
};

/// As much of `custom_info`, in characters, as its index holds.
const INDEXED_INFO: usize = 200;

/// Which tasks are wanted; what is none is not asked about.
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
    /// With just this text, which is not empty.
    pub custom_info: Option<String>,
}

/// A piece of a list of tasks.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskPage {
    /// How many there are in all.
    pub total: u64,
    /// The piece, newest first.
    pub tasks: Vec<Task>,
}

/// From when to when, in milliseconds, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    from: i64,
    to: i64,
}

/// A time in which so many of the wanted tasks were created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    range: Range,
    n: u64,
}

/// Where a piece of a list is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) range: Range,
    /// How many of the range are newer than the piece.
    offset: u64,
    limit: u64,
}

impl Store {
    /// A piece of a tenant's tasks, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list_tasks(&self, tenant: &TenantId, filter: &TaskFilter, page: Page) -> Result<TaskPage> {
        let snapshot = self.snapshot().await?;
        let spans = filter.spans(&snapshot, tenant).await?;
        let rows = match piece(&spans, page) {
            Some(piece) => filter.rows(tenant, piece).all(&snapshot).await?,
            None => Vec::new(),
        };
        snapshot.commit().await?;
        let tasks = rows.into_iter().map(tasks::read).collect::<Result<_>>()?;
        Ok(TaskPage { total: spans.iter().map(|span| span.n).sum(), tasks })
    }
}

impl TaskFilter {
    /// When the wanted tasks were created, newest first.
    pub(crate) async fn spans(
        &self,
        database: &impl sea_orm::ConnectionTrait,
        tenant: &TenantId,
    ) -> Result<Vec<Span>> {
        let range = self.range();
        let mut parts = vec![(range, None)];
        if self.is_counted() {
            let days = days(database, &self.counted(tenant), range.from / DAY, range.to / DAY).await?;
            parts = days.into_iter().rev().map(|(day, n)| range.part_of(day, n)).collect();
        }
        let mut spans = Vec::with_capacity(parts.len());
        for (range, n) in parts {
            let n = match n {
                Some(n) => n,
                None => self.wanted(tenant, range).count(database).await?,
            };
            spans.push(Span { range, n });
        }
        Ok(spans)
    }

    /// The tasks of a piece.
    pub(crate) fn rows(&self, tenant: &TenantId, piece: Piece) -> Select<task::Entity> {
        self.wanted(tenant, piece.range)
            .order_by_desc(task::Column::Created)
            .order_by_desc(task::Column::Id)
            .offset(piece.offset)
            .limit(piece.limit)
    }

    /// The tasks of a time.
    pub(crate) fn wanted(&self, tenant: &TenantId, range: Range) -> Select<task::Entity> {
        use task::Column;
        let mut wanted = self
            .counted(tenant)
            .add(Column::Created.between(range.from, range.to))
            .add_option(self.batch_id.as_ref().map(|id| Column::BatchId.eq(id.as_str())));
        if let Some(info) = &self.custom_info {
            let info = convert::without_nul(info);
            let beginning: String = info.chars().take(INDEXED_INFO).collect();
            let substr = Func::cust("substr").arg(Expr::col("custom_info")).arg(Expr::cust("1"));
            let substr = substr.arg(Expr::cust(INDEXED_INFO.to_string()));
            wanted = wanted
                // said as they stand, so that the index is seen to fit
                .add(Expr::cust("custom_info <> ''"))
                .add(Expr::expr(substr).eq(beginning))
                .add(Column::CustomInfo.eq(info));
        }
        task::Entity::find().filter(wanted)
    }

    /// Whether the counts can tell how many are wanted.
    fn is_counted(&self) -> bool {
        self.batch_id.is_none() && self.custom_info.is_none()
    }

    /// What tasks and their counts have in common; the columns have the same names.
    pub(crate) fn counted(&self, tenant: &TenantId) -> Condition {
        Condition::all()
            .add(Expr::col("tenant_id").eq(tenant.as_str()))
            .add_option(self.status.map(|status| Expr::col("status").eq(status.as_str())))
            .add_option(self.storage_id.as_ref().map(|id| Expr::col("storage_id").eq(id.as_str())))
            .add_option(self.template_name.as_ref().map(|name| Expr::col("template_name").eq(name.as_str())))
    }

    fn range(&self) -> Range {
        let millis = |moment: Option<Timestamp>, or| Ord::max(moment.map_or(or, Timestamp::as_millis), 0);
        Range { from: millis(self.start, 0), to: millis(self.end, i64::MAX) }
    }
}

impl Range {
    /// The part of a day that is in the range, and how many tasks that is: `n`, if it is all of it.
    fn part_of(self, day: i64, n: u64) -> (Self, Option<u64>) {
        let (first, last) = (day * DAY, day * DAY + (DAY - 1));
        let part = Self { from: Ord::max(self.from, first), to: Ord::min(self.to, last) };
        (part, (part == Self { from: first, to: last }).then_some(n))
    }
}

/// Where a page is among the spans; none when it is beyond them.
pub(crate) fn piece(spans: &[Span], page: Page) -> Option<Piece> {
    let mut offset = page.offset;
    let begins = spans.iter().position(|span| {
        let before = span.n <= offset;
        offset -= if before { span.n } else { 0 };
        !before
    })?;
    let to = spans[begins].range.to;
    let (mut from, mut found) = (to, 0);
    for span in &spans[begins..] {
        from = span.range.from;
        found += span.n;
        if found >= offset + page.limit {
            break;
        }
    }
    Some(Piece { range: Range { from, to }, offset, limit: page.limit })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spans(counts: &[u64]) -> Vec<Span> {
        let days: Vec<(i64, &u64)> = (0..).zip(counts.iter().rev()).collect();
        let spans =
            days.into_iter().map(|(day, &n)| Span { range: Range { from: day * DAY, to: day * DAY + 9 }, n });
        spans.rev().collect()
    }

    proptest! {
        /// Each task is named by its place in the list; its span is known.
        #[test]
        fn a_piece_holds_its_page_and_skips_what_is_before(
            counts in prop::collection::vec(1..9_u64, 0..9),
            offset in 0..80_u64,
            limit in 1..20_u64,
        ) {
            let spans = spans(&counts);
            let of_task: Vec<Range> =
                spans.iter().flat_map(|span| std::iter::repeat_n(span.range, span.n as usize)).collect();
            let page: Vec<Range> =
                of_task.iter().copied().skip(offset as usize).take(limit as usize).collect();
            match piece(&spans, Page { offset, limit }) {
                None => prop_assert!(page.is_empty()),
                Some(piece) => {
                    let inside: Vec<Range> = of_task
                        .iter()
                        .copied()
                        .filter(|task| piece.range.from <= task.from && task.to <= piece.range.to)
                        .collect();
                    let read: Vec<Range> =
                        inside.iter().copied().skip(piece.offset as usize).take(limit as usize).collect();
                    prop_assert_eq!(read, page);
                    // nothing older than the page is looked at
                    prop_assert!(piece.offset < 9 && inside.len() < 9 + 9 + limit as usize);
                }
            }
        }
    }
}
