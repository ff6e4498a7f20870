//! Plays storms: as many seeds as one likes, on as many threads. A seed that fails is made smaller and printed.
#![allow(clippy::expect_used, clippy::print_stdout, reason = "a program for a terminal")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use comptoir_tests::storm::{Dawn, STEPS, Weather, steps};

const HELP: &str = "usage: storm [--from SEED] [--seeds COUNT] [--jobs THREADS] [--steps COUNT]\n\n\
    Plays COUNT storms (1000) from SEED (0) on, each of so many steps. A seed that fails is printed with the fewest\n\
    steps that still fail, and the program ends with 1.\n\nexample: storm --from 4711 --seeds 1";

fn main() {
    // Cores that are cut off complain; RUST_LOG=warn shows what they say.
    let quiet = tracing_subscriber::filter::LevelFilter::OFF.into();
    let filter = tracing_subscriber::EnvFilter::builder().with_default_directive(quiet).from_env_lossy();
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
    let (mut from, mut seeds, mut jobs, mut count) = (0u64, 1_000u64, 2u64, STEPS);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().and_then(|value| value.parse::<u64>().ok());
        match (word.as_str(), value) {
            ("--from", Some(value)) => from = value,
            ("--seeds", Some(value)) => seeds = value,
            ("--jobs", Some(value)) => jobs = value.max(1),
            ("--steps", Some(value)) => count = usize::try_from(value).unwrap_or(STEPS),
            _ => {
                println!("{HELP}");
                std::process::exit(2);
            }
        }
    }
    let (next, failed) = (Arc::new(AtomicU64::new(from)), Arc::new(AtomicU64::new(0)));
    let total = Arc::new(Mutex::new(Weather::default()));
    let begun = Instant::now();
    let threads: Vec<_> = (0..jobs)
        .map(|_| {
            let (next, failed, total) = (next.clone(), failed.clone(), total.clone());
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(async {
                    let dawn = Dawn::new().await;
                    loop {
                        let seed = next.fetch_add(1, Ordering::SeqCst);
                        if seed >= from + seeds {
                            return;
                        }
                        let failure = match dawn.play(&steps::steps(seed, count)).await {
                            Ok(weather) => {
                                total.lock().unwrap_or_else(PoisonError::into_inner).add(weather);
                                None
                            }
                            Err(failure) => Some(failure),
                        };
                        if let Some(failure) = failure {
                            failed.fetch_add(1, Ordering::SeqCst);
                            println!("seed {seed}: {}", failure.broken);
                            let smallest = dawn.shrink(failure).await;
                            println!("seed {seed}, {} steps: {}", smallest.steps.len(), smallest.broken);
                            for step in &smallest.steps {
                                println!("    {step:?}");
                            }
                        }
                        let done = seed - from + 1;
                        if done.is_multiple_of(1_000) {
                            println!("{done} of {seeds} seeds in {} s", begun.elapsed().as_secs());
                        }
                    }
                });
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("a thread that ends");
    }
    let failed = failed.load(Ordering::SeqCst);
    println!("{:?}", total.lock().unwrap_or_else(PoisonError::into_inner));
    println!("{seeds} seeds from {from} in {} s, {failed} failed", begun.elapsed().as_secs());
    std::process::exit(i32::from(failed > 0));
}
