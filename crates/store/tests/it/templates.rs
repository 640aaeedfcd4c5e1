//! Templates: each is one tenant's.

use borealis_store::testing::DatabaseKind;
use model::{Format, Template};
use rstest::rstest;

use crate::world::{World, is_conflict, is_not_found, other_tenant};

#[rstest]
#[tokio::test]
async fn templates_are_a_tenants_own(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres)] kind: DatabaseKind,
) {
    let world = World::new(kind).await;
    let (store, tenant, now) = (&world.store, &world.tenant, world.now());
    let name: model::TemplateName = "mine".parse().expect("a name");
    let template = Template { quality: Some(7.5), ..Template::new(name.clone(), Format::Hls) };
    is_not_found(store.update_template(tenant, &template).await);
    store.add_template(tenant, &template, now).await.expect("added");
    is_conflict(store.add_template(tenant, &template, now).await);
    let kept = store.template(tenant, &name).await.expect("found");
    assert_eq!((kept.template, kept.created), (template.clone(), now));

    let theirs = Template::new(name.clone(), Format::Flv);
    is_not_found(store.template(&other_tenant(), &name).await);
    is_not_found(store.update_template(&other_tenant(), &theirs).await);
    is_not_found(store.delete_template(&other_tenant(), &name).await);
    store.add_template(&other_tenant(), &theirs, now).await.expect("a name is a tenant's own");

    let replaced = Template::new(name.clone(), Format::Dash);
    store.update_template(tenant, &replaced).await.expect("replaced");
    let listed = store.templates(tenant).await.expect("listed");
    assert_eq!(listed.iter().map(|kept| &kept.template).collect::<Vec<_>>(), [&replaced]);
    store.delete_template(tenant, &name).await.expect("deleted");
    is_not_found(store.delete_template(tenant, &name).await);
    assert_eq!(store.template(&other_tenant(), &name).await.expect("untouched").template, theirs);
}
