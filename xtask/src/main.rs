//! The few commands people type. CI runs the same ones.
#![allow(clippy::print_stdout, reason = "what a command finds is its output")]

mod bench;
mod bindings;
mod check;
mod fuzz;
mod house;
mod python;
mod shells;
mod storm;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::Parser;
use house::House;

/// The few commands people type in this repository.
#[derive(Parser)]
#[command(name = "cargo xtask", disable_help_subcommand = true)]
enum Command {
    /// Runs every test: installs what they need, checks that the house is tidy, tests the whole workspace, then what it
    /// is on phones. A filtered run leaves the phones out.
    Test {
        /// Runs only this step of those for phones, and no other test.
        #[arg(long, value_name = "NAME", value_parser = shells::names())]
        step: Vec<String>,
        /// Runs the core's own tests on an emulated 64-bit ARM processor, and no other test.
        #[arg(long, conflicts_with = "step")]
        arm: bool,
        /// Handed on to `cargo test`, such as `--test payments` or `-- a_late_receipt_still_pays`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        cargo_args: Vec<String>,
    },
    /// Checks what no test sees: formatting, lints, tidiness, and the licences and origins of all dependencies.
    Check,
    /// Checks the arrows between our crates, and other rules about the house as a whole.
    Tidy,
    /// Runs the tests and writes golden files anew where they differ. Look at the difference before you commit it.
    Bless {
        /// Handed on to `cargo test`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        cargo_args: Vec<String>,
    },
    /// Generates Kotlin, Swift and Python for the library, makes packages of them in `target/bindings`, and says where what
    /// is public there differs from `bindings/api`.
    Bindings {
        /// From the library as people get it. Otherwise from the one that the tests build.
        #[arg(long)]
        release: bool,
        /// Writes the listings of `bindings/api` anew. Look at the difference before you commit it.
        #[arg(long)]
        bless: bool,
        /// Builds the wheel too, and installs it into an environment of its own.
        #[arg(long)]
        wheel: bool,
    },
    /// Plays storms: people, devices, a till, a relay and a provider in one thread, with everything that can go wrong between
    /// them. A seed that breaks a promise is printed with the fewest steps that still break it.
    #[command(after_help = "Example: cargo xtask storm --from 4711 --seeds 1")]
    Storm {
        /// The first seed.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// How many.
        #[arg(long, default_value_t = 1_000)]
        seeds: u64,
        /// Threads.
        #[arg(long, default_value_t = 2)]
        jobs: u64,
        /// Steps of each.
        #[arg(long, default_value_t = 120)]
        steps: u64,
    },
    /// Tries whatever comes at everything that can be sent to us, with a fuzzer behind each door of `tests/src/fuzz.rs`. What
    /// was tried and found stays in `target/fuzz`, and the next run goes on from there.
    #[command(after_help = "Example: cargo xtask fuzz wire content --minutes 10 --keep")]
    Fuzz {
        /// Which doors; all of them when none is named.
        names: Vec<String>,
        /// How long for each.
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        minutes: u32,
        /// How many at once.
        #[arg(long, default_value_t = 1)]
        jobs: usize,
        /// Adds to `fuzz/corpus` what reaches code that nothing in it reaches. The tests play it from then on.
        #[arg(long)]
        keep: bool,
        /// Prints JSON instead of sentences: one object for each door, on a line.
        #[arg(long)]
        json: bool,
    },
    /// Measures speed, memory and sizes, beside others that do the same. No figure fails it.
    Bench {
        /// Which benches; all of them when none is named.
        names: Vec<String>,
        /// Tiny sizes: shows that every bench still runs.
        #[arg(long)]
        quick: bool,
        /// Prints JSON instead of a table.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let command = Command::parse();
    let done = House::find().and_then(|house| match command {
        Command::Test { step, .. } if !step.is_empty() => test::steps(&house, &step),
        Command::Test { arm: true, cargo_args, .. } => test::arm(&house, &cargo_args),
        Command::Test { cargo_args, .. } => test::run(&house, &cargo_args, false),
        Command::Bless { cargo_args } => test::run(&house, &cargo_args, true),
        Command::Bindings { release, bless, wheel } => bindings::run(&house, release, bless, wheel),
        Command::Bench { names, quick, json } => bench::run(&house, &names, quick, json),
        Command::Fuzz { names, minutes, jobs, keep, json } => {
            fuzz::run(&house, &fuzz::Wish { names, minutes, jobs, keep, json })
        }
        Command::Storm { from, seeds, jobs, steps } => storm::run(&house, from, seeds, jobs, steps),
        Command::Check => check::run(&house),
        Command::Tidy => tidy::run(&house),
    });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            println!("xtask: {why}");
            ExitCode::FAILURE
        }
    }
}
