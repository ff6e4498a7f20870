//! A hundred storms. Any number of others: `cargo xtask storm`.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use comptoir_tests::storm::steps::{Fate, Step};
use comptoir_tests::storm::{Dawn, STEPS, Weather, steps};

const SEEDS: u64 = 100;
const THREADS: u64 = 2;

#[test]
fn a_hundred_storms_break_no_promise() {
    let storms = |first: u64| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let (dawn, mut total) = (Dawn::new().await, Weather::default());
            for seed in (first..SEEDS).step_by(THREADS as usize) {
                match dawn.play(&steps::steps(seed, STEPS)).await {
                    Ok(weather) => total.add(weather),
                    Err(failure) => {
                        let smallest = dawn.shrink(failure).await;
                        panic!("seed {seed}: {}\n{:#?}", smallest.broken, smallest.steps);
                    }
                }
            }
            total
        })
    };
    let threads: Vec<_> = (0..THREADS).map(|first| std::thread::spawn(move || storms(first))).collect();
    let mut total = Weather::default();
    for thread in threads {
        match thread.join() {
            Ok(weather) => total.add(weather),
            Err(failure) => std::panic::resume_unwind(failure),
        }
    }
    // Storms in which nothing happens prove nothing.
    let rough =
        total.texts >= 500 && total.orders >= 20 && total.charges >= 5 && total.kills >= 50 && total.restores >= 10;
    assert!(rough, "{total:?}");
}

/// What storms found once, made as small as it goes.
#[tokio::test]
async fn what_broke_a_promise_once_breaks_none_any_more() {
    let storms: [&[Step]; 12] = [
        &[
            Step::Say { device: 3, to: 0 },
            Step::Lull,
            Step::Pass { minutes: 1 },
            Step::Say { device: 3, to: 0 },
            Step::Lull,
            Step::Copied { device: 3 },
            Step::RelayCopied,
            Step::Say { device: 3, to: 0 },
            Step::Say { device: 3, to: 0 },
            Step::Lull,
            Step::Restored { device: 3 },
            Step::RelayRestored,
            Step::Say { device: 3, to: 0 },
        ],
        &[
            Step::Copied { device: 3 },
            Step::RelayCopied,
            Step::Say { device: 3, to: 0 },
            Step::Lull,
            Step::Restored { device: 3 },
            Step::Say { device: 3, to: 0 },
            Step::Lull,
            Step::Pass { minutes: 2 },
            Step::Tick { device: 3 },
            Step::Lull,
            Step::Restored { device: 3 },
            Step::RelayRestored,
            Step::Say { device: 3, to: 0 },
        ],
        &[
            Step::Copied { device: 3 },
            Step::RelayCopied,
            Step::Say { device: 3, to: 0 },
            Step::Lull,
            Step::Restored { device: 3 },
            Step::RelayRestored,
            Step::Say { device: 3, to: 0 },
        ],
        &[
            Step::RelayCopied,
            Step::PowerCut { place: 4, operation: 5, seed: 288_775 },
            Step::Say { device: 1, to: 2 },
            Step::Lull,
            Step::PowerCut { place: 5, operation: 26, seed: 567_210 },
            Step::Lull,
            Step::Say { device: 0, to: 2 },
            Step::RelayRestored,
        ],
        &[
            Step::Say { device: 3, to: 2 },
            Step::Kill { device: 3, point: 1 },
            Step::Lull,
            Step::PowerCut { place: 5, operation: 3, seed: 485_224 },
            Step::Read { device: 3 },
        ],
        &[
            Step::Say { device: 0, to: 2 },
            Step::Lull,
            Step::Tap { device: 1, product: 0 },
            Step::Say { device: 1, to: 2 },
            Step::Lull,
            Step::Pay { device: 1 },
            Step::Copied { device: 0 },
            Step::Tap { device: 1, product: 0 },
            Step::Lull,
            Step::Copied { device: 1 },
            Step::Restored { device: 0 },
            Step::Pay { device: 1 },
            Step::Lull,
            Step::Pass { minutes: 60 },
            Step::Work { fate: Fate::Arrives },
            Step::Lull,
        ],
        &[
            Step::Copied { device: 1 },
            Step::Say { device: 3, to: 0 },
            Step::Lull,
            Step::PowerCut { place: 1, operation: 22, seed: 97_534 },
            Step::Restored { device: 1 },
        ],
        &[
            Step::Say { device: 2, to: 2 },
            Step::Lull,
            Step::Tap { device: 2, product: 0 },
            Step::Lull,
            Step::Pay { device: 2 },
            Step::Lull,
            Step::Card { device: 2, card: 7 },
            Step::Webhook { fate: Fate::Arrives },
            Step::Work { fate: Fate::Arrives },
            Step::Refund { amount_minor: Some(40) },
            Step::Work { fate: Fate::AnswerLost },
            Step::ProviderDown { down: true },
            Step::Lull,
        ],
        &[
            Step::Say { device: 1, to: 2 },
            Step::Lull,
            Step::Tap { device: 1, product: 0 },
            Step::Lull,
            Step::Pay { device: 0 },
            Step::Skew { device: 4, minutes: -10 },
            Step::Pay { device: 1 },
            Step::Lull,
        ],
        &[
            Step::Say { device: 1, to: 2 },
            Step::Lull,
            Step::Tap { device: 0, product: 0 },
            Step::Lull,
            Step::Pay { device: 0 },
            Step::Lull,
            Step::Card { device: 0, card: 2 },
            Step::Skew { device: 4, minutes: -10 },
            Step::Bank { device: 0, approves: true },
            Step::Close { device: 0, hint: 2 },
            Step::Lull,
        ],
        &[
            Step::Say { device: 1, to: 2 },
            Step::Lull,
            Step::Tap { device: 0, product: 1 },
            Step::RelayCopied,
            Step::Lull,
            Step::PowerCut { place: 1, operation: 37, seed: 325_293 },
            Step::Read { device: 1 },
            Step::Pay { device: 0 },
            Step::Pass { minutes: 1560 },
            Step::Carry { device: 1, frames: 2, fate: Fate::Arrives },
            Step::Lull,
            Step::PowerCut { place: 0, operation: 21, seed: 834_085 },
            Step::RelayRestored,
            Step::Lull,
        ],
        &[
            Step::Kill { device: 3, point: 2 },
            Step::Say { device: 2, to: 0 },
            Step::Lull,
            Step::Say { device: 1, to: 0 },
            Step::PowerCut { place: 1, operation: 11, seed: 7_770 },
            Step::Lull,
            Step::Carry { device: 2, frames: 4, fate: Fate::Arrives },
            Step::PowerCut { place: 1, operation: 22, seed: 756_971 },
            Step::PowerCut { place: 5, operation: 32, seed: 844_899 },
            Step::Say { device: 0, to: 0 },
            Step::Lull,
        ],
    ];
    let dawn = Dawn::new().await;
    let mut broken = Vec::new();
    for (number, steps) in storms.into_iter().enumerate() {
        if let Err(failure) = dawn.play(steps).await {
            broken.push((number, failure.broken));
        }
    }
    assert!(broken.is_empty(), "storms and what they broke: {broken:#?}");
}

#[tokio::test]
async fn a_seed_is_the_same_storm_every_time() {
    let dawn = Dawn::new().await;
    let steps = steps::steps(2, STEPS);
    let once = dawn.play(&steps).await.expect("no promise is broken");
    let again = dawn.play(&steps).await.expect("no promise is broken");
    assert_eq!((once.texts, once.orders, once.charges), (again.texts, again.orders, again.charges));
}
