//! What every store must do. A store's test file is `offload_stores::store_suite!(fresh);`, where
//! `fn fresh() -> Open` makes an empty deployment.
//!
//! The cases are plain functions that panic on the first thing that is wrong.

pub mod audit;
pub mod callbacks;
pub mod datasets;
pub mod hostile;
pub mod keys;
pub mod nodes;
pub mod signing;
pub mod tasks;
pub mod tenants;

use offload_api::Priority;
use offload_pipeline::records::{
    ApiKey, AuditRecord, Page, SigningKey, StoreError, Stores, Tenant, hash_key,
};
use std::sync::Arc;

/// Opens another handle to one deployment, as another node, or the same one after a restart, would.
pub type Open = Box<dyn Fn() -> Arc<dyn Stores> + Send + Sync>;

/// Makes one test of each case of the suite. The argument is a `fn() -> Open` that makes an empty deployment.
#[macro_export]
macro_rules! store_suite {
    ($fresh:ident) => {
        $crate::store_suite! { $fresh:
            tenants {
                created_tenants_are_read_back,
                ids_are_unique,
                an_update_needs_the_current_revision,
                a_deletion_needs_the_current_revision_and_takes_the_keys,
                paging_is_stable_under_inserts,
            }
            keys {
                created_keys_are_read_back,
                ids_and_hashes_are_unique_and_tenants_must_exist,
                paging_is_stable_under_inserts,
                revocation_is_idempotent_and_the_earliest_holds,
            }
            signing {
                the_last_stored_is_the_newest,
                rotation_needs_the_newest,
                expired_keys_are_removed,
            }
            audit {
                every_field_is_read_back,
                filters_choose,
                paging_is_stable_under_inserts,
                pruning_is_by_age_and_then_by_rows,
                a_batch_is_stored_whole_or_not_at_all,
            }
            tasks {
                a_task_is_read_back_at_every_stage,
                a_submission_under_a_key_is_made_once,
                a_tenants_queue_is_bounded,
                claims_are_by_class_then_by_turn_then_by_age,
                concurrent_claims_share_nothing,
                a_lost_claim_ends_nothing,
                a_node_that_starts_anew_leaves_its_claims,
                a_task_is_put_back,
                cancelling_is_for_what_is_not_final,
                a_dead_letter_is_retried,
                old_tasks_expire_and_are_pruned,
                listings_are_filtered_and_paged,
                a_deleted_tenant_takes_its_tasks,
            }
            callbacks {
                every_end_is_told_once_it_is_there,
                a_delivery_is_tried_until_it_is_recorded,
                a_callback_that_is_given_up_is_a_dead_letter,
                a_tenant_has_one_secret,
            }
            datasets {
                created_datasets_are_read_back,
                a_change_needs_the_current_version,
                versions_never_come_back,
                paging_is_stable_under_inserts,
                concurrent_changes_have_one_winner,
                segments_are_read_as_they_were_written,
            }
            hostile {
                texts_are_kept_or_refused,
                cursors_are_refused,
                limits_are_bounded,
            }
            nodes {
                two_handles_see_each_other,
                the_change_counter_moves_with_every_change_and_with_nothing_else,
                everything_is_there_after_reopening,
                concurrent_creations_of_an_id_have_one_winner,
                concurrent_updates_lose_nothing,
                concurrent_rotations_make_one_key,
            }
        }
    };
    ($fresh:ident: $($module:ident { $($case:ident,)* })*) => {
        $(
            mod $module {
                $(
                    #[test]
                    fn $case() {
                        $crate::suite::$module::$case(&super::$fresh());
                    }
                )*
            }
        )*
    };
}

/// A key for a tenant, whose text is its number.
fn api_key(number: u64, tenant_id: &str) -> ApiKey {
    ApiKey {
        key_id: format!("key_{number:016x}"),
        tenant_id: tenant_id.to_owned(),
        user_id: "ann".to_owned(),
        name: "etl".to_owned(),
        scopes: vec!["gpu:matrix".to_owned(), "gpu:vector".to_owned()],
        hash: hash_key(&number.to_string()),
        last_four: "wxyz".to_owned(),
        created_at: 100,
        expires_at: None,
        revoked_at: None,
        revision: 1,
    }
}

fn signing_key(kid: &str, expires_at: u64) -> SigningKey {
    SigningKey {
        kid: kid.to_owned(),
        private_pkcs8_der: vec![0, 1, 0xff],
        n: "AQAB_-".to_owned(),
        e: "AQAB".to_owned(),
        created_at: 1,
        not_before: 2,
        retire_at: 3,
        expires_at,
    }
}

fn audit_record(at_us: u64, tenant_id: &str) -> AuditRecord {
    AuditRecord {
        at_us,
        request_id: format!("r{at_us}"),
        tenant_id: tenant_id.to_owned(),
        user_id: "ann".to_owned(),
        key_id: "key_0123456789abcdef".to_owned(),
        workload_type: "matrix_multiply".to_owned(),
        workload_hash: "00ff".to_owned(),
        priority: Priority::Medium,
        status: 200,
        error: None,
        gpu_time_us: 250,
        total_time_us: 500,
        queue_us: 3,
        cache_hit: false,
        device_id: None,
        device: "cpu".to_owned(),
        bytes_in: 10,
        bytes_out: 20,
        node: "n1".to_owned(),
    }
}

/// Stores a tenant of that id.
fn tenant(stores: &dyn Stores, id: &str) -> Tenant {
    stores.tenants().create(&Tenant::new(id, 7)).expect("the tenant is created")
}

/// All pages, calling `between` after each.
fn all_pages<T>(
    list: impl Fn(Option<&str>) -> Result<Page<T>, StoreError>,
    mut between: impl FnMut(usize),
) -> Vec<T> {
    let (mut items, mut cursor, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = list(cursor.as_deref()).expect("the page is listed");
        items.extend(page.items);
        pages += 1;
        assert!(pages < 1000, "the listing has no end");
        between(pages);
        match page.next {
            Some(next) => cursor = Some(next),
            None => return items,
        }
    }
}
