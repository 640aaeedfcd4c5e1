//! Lists of tasks: right for every filter, and read by index however long they are.

use std::time::Duration;

use borealis_store::{
    Page, TaskFilter,
    testing::{DatabaseKind, add_ended_tasks, add_queued_tasks, claim_plans, list_plans, task_plan},
};
use model::{BatchId, Storage, Task, TaskStatus, Timestamp};
use rstest::rstest;

use crate::world::{World, failed};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The tasks are created over four days, so that pages and filters begin and end within days and at their
/// edges.
#[rstest]
#[tokio::test]
async fn totals_and_pieces_are_those_of_a_look_at_every_task(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
    #[values(false, true)] folded: bool,
) {
    let world = World::new(kind).await;
    let (storage, other) = (world.add_storage().await, world.add_storage().await);
    let mut tasks = Vec::new();
    for step in 0..24_u32 {
        let task = world.create_task(if step % 3 == 0 { &other } else { &storage }).await;
        if step % 4 == 0 {
            let claim = world.claim().await;
            world.store.finish_task(&claim, failed()).await.expect("finished");
        }
        tasks.push(task);
        world.clock.advance(DAY / 6);
        if folded && step == 20 {
            world.store.fold_counts().await.expect("folded");
        }
    }
    let mut tasks = {
        let mut stored = Vec::new();
        for task in &tasks {
            stored.push(world.store.task(&world.tenant, &task.id).await.expect("found"));
        }
        stored
    };
    tasks.reverse();
    let moments = [None, Some(tasks[20].created), Some(tasks[9].created + Duration::from_millis(1))];
    for status in [None, Some(TaskStatus::Pending), Some(TaskStatus::Failed), Some(TaskStatus::Running)] {
        for storage_id in [None, Some(other.id.clone())] {
            for start in moments {
                for end in [None, Some(tasks[5].created)] {
                    let filter = TaskFilter {
                        status,
                        storage_id: storage_id.clone(),
                        start,
                        end,
                        ..TaskFilter::default()
                    };
                    compare(&world, &tasks, &filter).await;
                }
            }
        }
    }
}

async fn compare(world: &World, tasks: &[Task], filter: &TaskFilter) {
    let matches = |task: &&Task| {
        filter.status.is_none_or(|status| task.state.status() == status)
            && filter.storage_id.as_ref().is_none_or(|id| task.spec.storage_id == *id)
            && filter.start.is_none_or(|start| task.created >= start)
            && filter.end.is_none_or(|end| task.created <= end)
    };
    let matching: Vec<&Task> = tasks.iter().filter(matches).collect();
    for (offset, limit) in [(0, 100), (0, 3), (4, 5), (matching.len(), 7)] {
        let page = Page { offset: offset as u64, limit };
        let found = world.store.list_tasks(&world.tenant, filter, page).await.expect("listed");
        assert_eq!(found.total, matching.len() as u64, "{filter:?}");
        let expected = matching.iter().skip(offset).take(limit as usize);
        assert!(found.tasks.iter().eq(expected.copied()), "{filter:?} {page:?}");
    }
}

#[rstest]
#[tokio::test]
async fn every_list_and_every_claim_is_read_by_index(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let (storage, other) = (world.add_storage().await, world.add_storage().await);
    let example = world.task(&storage);
    add_ended_tasks(&world.store, &example, &other.id, 20_000).await.expect("filled");
    for (index, filter) in filters(&storage, example.created) {
        let few = filter.batch_id.is_some() || filter.custom_info.is_some() || filter.status.is_some();
        let deep = Page { offset: if few { 0 } else { 15 }, limit: 20 };
        let plans = list_plans(&world.store, &world.tenant, &filter, deep).await.expect("explained");
        // PostgreSQL reads a small table as a whole
        let small = kind == DatabaseKind::Postgres;
        assert!(small || is_by_index(&plans[0], "task_count"), "{filter:?}: {}", plans[0]);
        assert!(is_by_index(&plans[0], "task"), "{filter:?}: {}", plans[0]);
        for plan in &plans[1..] {
            assert!(plan.contains(index), "{filter:?}: {plan}");
            assert!(is_by_index(plan, "task"), "{filter:?}: {plan}");
        }
        let sorts = plans[2].contains("Sort") || plans[2].contains("TEMP B-TREE");
        assert!(!sorts || filter.batch_id.is_some(), "{filter:?}: {}", plans[2]);
    }
    let one = task_plan(&world.store, &example.id).await.expect("explained");
    assert!(is_by_index(&one, "task"), "{one}");
}

/// However many jobs wait, a claim reads a few rows.
#[rstest]
#[tokio::test]
async fn the_next_job_is_found_by_index(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let storage = world.add_storage().await;
    add_queued_tasks(&world.store, &world.task(&storage), 20_000).await.expect("queued");
    let [turn, claim] = claim_plans(&world.store, &world.tenant).await.expect("explained");
    // those that run are few, and that index holds no others
    let waiting = turn.replace("SCAN job USING INDEX job_running", "");
    assert!(turn.contains("job_due") && is_by_index(&waiting, "job"), "{turn}");
    assert!(claim.contains("job_ready") && is_by_index(&claim, "job"), "{claim}");
    for plan in [turn, claim] {
        assert!(!plan.contains("JIT") && !plan.contains("TEMP B-TREE FOR ORDER BY job"), "{plan}");
    }
    assert_eq!(world.claim().await.task.tenant, world.tenant);
}

/// Whether the plan reads the table by indexes alone.
fn is_by_index(plan: &str, table: &str) -> bool {
    let scans = [format!("SCAN {table}"), format!("Seq Scan on {table}")];
    !plan
        .lines()
        .any(|line| scans.iter().any(|scan| line.ends_with(scan) || line.contains(&format!("{scan} "))))
}

/// Each filter, with the index that its list is to be read by.
fn filters(storage: &Storage, created: Timestamp) -> Vec<(&'static str, TaskFilter)> {
    let any = TaskFilter::default;
    let batch: BatchId = "20231114221320000000000000000007".parse().expect("an id");
    vec![
        ("task_newest", any()),
        ("task_newest", TaskFilter { start: Some(created - DAY * 9), end: Some(created - DAY * 2), ..any() }),
        ("task_status", TaskFilter { status: Some(TaskStatus::Failed), ..any() }),
        ("task_storage", TaskFilter { storage_id: Some(storage.id.clone()), ..any() }),
        (
            "task_storage_status",
            TaskFilter { status: Some(TaskStatus::Failed), storage_id: Some(storage.id.clone()), ..any() },
        ),
        ("task_template", TaskFilter { template_name: Some("rare".parse().expect("a name")), ..any() }),
        ("task_batch", TaskFilter { batch_id: Some(batch), ..any() }),
        ("task_custom_info", TaskFilter { custom_info: Some("order 77".to_owned()), ..any() }),
    ]
}
