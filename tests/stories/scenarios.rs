//! The scenarios that every language plays, here through the Rust driver. `cargo xtask test` plays them in the others.

use std::path::Path;

use comptoir_tests::scenario::{Driver, all, play};

macro_rules! scenarios {
    ($($name:ident),+ $(,)?) => {
        const NAMES: &[&str] = &[$(stringify!($name)),+];

        $(#[tokio::test]
        async fn $name() {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(concat!(stringify!($name), ".json"));
            let driver = Driver { program: env!("CARGO_BIN_EXE_driver").into(), args: Vec::new() };
            if let Err(why) = play(&path, &driver).await {
                panic!("{why}");
            }
        })+
    };
}

scenarios!(
    a_forged_receipt_is_refused,
    a_quick_reply_is_tapped_once,
    a_receipt_is_verified_by_anybody,
    a_second_process_is_told_that_it_is_in_use,
    a_tablet_is_linked_by_codes,
    a_wait_can_be_canceled,
    a_wrong_key_changes_nothing,
    an_order_is_paid,
    offline_and_back,
    paired_by_a_code_in_a_picture,
    suspended_and_resumed,
    the_core_is_killed_while_paying,
    the_provider_is_away,
    two_people_talk,
    two_taps_on_pay_make_one_payment,
);

#[test]
fn every_scenario_is_played() {
    let there: Vec<String> = all().unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(there, NAMES);
}
