//! `tidy`: rules about the house as a whole. Each is a function from what it looks at to what it finds; a finding is a
//! sentence that says what to do.

mod arrows;
mod facade;
mod lock;
mod migrations;
mod paths;
mod proof;
mod sources;

use crate::house::{House, Result};

/// Says what is untidy.
pub(crate) fn run(house: &House) -> Result<bool> {
    report(&findings(house)?)
}

/// Writes down migrations that are new, then says what is untidy.
pub(crate) fn bless(house: &House) -> Result<bool> {
    migrations::write_new(&house.root)?;
    run(house)
}

fn report(findings: &[String]) -> Result<bool> {
    for finding in findings {
        println!("tidy: {finding}");
    }
    match findings.len() {
        0 => println!("xtask: tidy"),
        count => println!("xtask: {count} untidy"),
    }
    Ok(findings.is_empty())
}

fn findings(house: &House) -> Result<Vec<String>> {
    let mut findings = arrows::findings(&house.metadata);
    findings.extend(facade::findings(&house.root)?);
    findings.extend(lock::findings(&house.root)?);
    findings.extend(paths::findings(&house.root)?);
    findings.extend(proof::findings(&house.root)?);
    findings.extend(sources::findings(&house.root)?);
    findings.extend(migrations::findings(&house.root)?);
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_house_is_tidy() {
        let house = House::find().unwrap();
        assert_eq!(findings(&house).unwrap(), Vec::<String>::new());
    }
}
