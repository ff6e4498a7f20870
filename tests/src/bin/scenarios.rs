//! Plays the scenarios with a driver in another language: `scenarios DRIVER [ARGUMENT…]`. Without a driver it lists them; with
//! `example PROGRAM [ARGUMENT…]` it runs the example of a language's documentation instead.
#![allow(clippy::print_stdout, reason = "what it finds is its output")]

use std::process::ExitCode;

use comptoir_tests::scenario::{Driver, all, example, play};

#[tokio::main]
async fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let scenarios = match all() {
        Ok(scenarios) => scenarios,
        Err(why) => {
            println!("{why}");
            return ExitCode::FAILURE;
        }
    };
    let Some(program) = args.next() else {
        for (name, _) in scenarios {
            println!("{name}");
        }
        return ExitCode::SUCCESS;
    };
    if program == "example" {
        let Some(program) = args.next() else {
            println!("which program?");
            return ExitCode::from(2);
        };
        return match example(&Driver { program: program.into(), args: args.collect() }).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => {
                println!("{why}");
                ExitCode::FAILURE
            }
        };
    }
    let driver = Driver { program: program.into(), args: args.collect() };
    let only = std::env::var("COMPTOIR_SCENARIO").ok();
    let (mut passed, mut failed) = (0, 0);
    for (name, path) in scenarios {
        if only.as_ref().is_some_and(|only| *only != name) {
            continue;
        }
        match play(&path, &driver).await {
            Ok(()) => {
                passed += 1;
                println!("scenario {name} ... ok");
            }
            Err(why) => {
                failed += 1;
                println!("scenario {name} ... FAILED\n    {why}");
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
