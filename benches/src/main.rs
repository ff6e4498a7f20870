//! `comptoir-benches`: what `cargo xtask bench` runs.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "figures are its output")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use comptoir_benches::{BENCHES, Plan, Result};

/// Measures what our parts cost, beside what others cost.
#[derive(Parser)]
struct Args {
    /// Which benches; all of them when none is named. `relay FOLDER` is for the benches themselves.
    names: Vec<String>,
    /// Tiny sizes: shows that every bench still runs. The figures mean nothing.
    #[arg(long)]
    quick: bool,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// A folder on the disk to measure.
    #[arg(long, default_value = "target/bench", value_name = "FOLDER")]
    dir: PathBuf,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(code) => code,
        Err(why) => {
            eprintln!("comptoir-benches: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<ExitCode> {
    if let [relay, dir] = args.names.as_slice()
        && relay == "relay"
    {
        comptoir_benches::serve_relay(dir.as_ref())?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(unknown) = args.names.iter().find(|name| BENCHES.iter().all(|bench| bench.name != **name)) {
        let names: Vec<&str> = BENCHES.iter().map(|bench| bench.name).collect();
        eprintln!("comptoir-benches: there is no bench {unknown}; there are {}", names.join(", "));
        return Ok(ExitCode::from(2));
    }
    let program = std::env::current_exe()?;
    let comptoir = program.with_file_name("comptoir");
    let plan = Plan { quick: args.quick, dir: args.dir.clone(), relay: program, comptoir };
    let report = comptoir_benches::run(&plan, &args.names, |bench| eprintln!("{}: {}", bench.name, bench.about));
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{report}");
    }
    Ok(ExitCode::SUCCESS)
}
