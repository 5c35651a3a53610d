//! Files for unit tests: one literal, a fresh copy for every test, time that stands still.
//!
//! `cargo run --release --example fixtures`
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;

use stratafs::{Container, Image, Layer, ManualClock, Result, Timestamp};

/// The code under test: counts a visit, and keeps the last log when it is full.
fn visit(fs: &Container) -> Result<()> {
    if fs.metadata("/var/log/visits")?.len() >= 12 {
        fs.rename("/var/log/visits", "/var/log/visits.1")?;
    }
    fs.append("/var/log/visits", "visit\n")
}

fn a_visit_is_noted_with_its_time(fs: &Container, clock: &ManualClock) -> Result<()> {
    clock.advance(5_000_000_000);
    visit(fs)?;
    assert_eq!(fs.read_to_string("/var/log/visits")?, "visit\n");
    assert_eq!(fs.metadata("/var/log/visits")?.modified(), Timestamp::new(5, 0));
    Ok(())
}

fn a_full_log_is_kept(fs: &Container, _: &ManualClock) -> Result<()> {
    (0..3).try_for_each(|_| visit(fs))?;
    assert_eq!(fs.read_to_string("/var/log/visits.1")?, "visit\nvisit\n");
    assert_eq!(
        fs.diff()?.to_string(),
        "C /\nC /var\nC /var/log\nC /var/log/visits\nA /var/log/visits.1\n"
    );
    Ok(())
}

fn main() -> Result<()> {
    // Made once, for all tests.
    let image = Image::from_layers([Layer::from([("var/log/visits", "")])])?;
    let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
    let fs = image.build_container().clock(clock.clone()).build()?;
    let fresh = fs.snapshot();

    for test in [a_visit_is_noted_with_its_time, a_full_log_is_kept] {
        test(&fs, &clock)?;
        fs.restore(&fresh)?; // no clean-up, no temporary directory, nothing that a failed test leaves behind
        assert!(fs.diff()?.is_empty());
    }

    // Tests that run at the same time take a container each: it costs less than a microsecond.
    let (one, two) = (image.container(), image.container());
    visit(&one)?;
    assert_eq!(two.read("/var/log/visits")?, "");
    println!("two tests passed, and {image:?} is as it was");
    Ok(())
}
