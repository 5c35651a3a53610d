//! A thousand game servers from one image, on top of a real directory of this machine.
//!
//! `cargo run --release --example game_server [DIRECTORY]`, by default `/etc`.
//!
//! (The feature `host` is on here: the crate is a dev-dependency of itself, see `Cargo.toml`. So the command works as it
//! stands, and who depends on stratafs does not get the feature with it.)
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::time::{Duration, Instant};

use stratafs::{ChangeKind, Container, Digest, Image, Layer, Volume};

const SERVERS: u32 = 1_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut costs = Costs::default();

    // Three layers; the two upper ones could as well be shared with other images.
    let directory = std::env::args_os().nth(1).unwrap_or_else(|| "/etc".into());
    let (base, unreadable) = costs.time("import the base layer", 1, || import(&directory))?;
    println!("base     {} entries of {}, {unreadable} unreadable", base.len(), directory.display());
    let runtime = Layer::builder().dir("/opt/jre").file("/opt/jre/release", "21.0.4\n").build()?;
    let game = Layer::from([
        ("srv/game/server.toml", "max_players = 8\n"),
        ("srv/game/world/level.dat", "a new world"),
        ("srv/game/maps/spawn.map", "#####\n#...#\n#####\n"),
        ("srv/game/first-run", ""),
    ]);
    let image =
        costs.time("merge three layers", 1, || Image::from_layers([base, runtime, game]))?;
    let (chain, layers) = (image.chain_id()?, diff_ids(&image)?);
    println!("image    {}\n", chain.ok_or("an image of three layers has a chain id")?);

    // A thousand containers. Two of them share a list of players, which lies outside of all of them.
    let players = Volume::memory();
    let servers = costs.time("start a container", SERVERS, || start(&image, &players))?;
    costs.time("play: five changes", SERVERS, || {
        (0..).zip(&servers).try_for_each(|(number, server)| play(server, number))
    })?;
    for (number, server) in (0..).zip(&servers) {
        assert_eq!(server.read_to_string("/srv/game/world/level.dat")?, format!("world {number}"));
        assert!(!server.exists(format!("/srv/game/maps-{}", number + 1))?, "another one's maps");
    }
    assert_eq!(image.view().read("/srv/game/world/level.dat")?, "a new world");
    assert!(image.view().exists("/srv/game/first-run")?);
    assert_eq!((image.chain_id()?, diff_ids(&image)?), (chain, layers.clone()));

    // What one of them changed, as `docker diff` tells it.
    let server = &servers[7];
    let diff = costs.time("diff", 1, || server.diff())?;
    assert_eq!(diff.kind("/srv/game/first-run"), Some(ChangeKind::Deleted));
    assert_eq!(diff.kind("/srv/game/maps-7"), Some(ChangeKind::Added));
    println!("diff of server 7\n{diff}");

    // Another one in mid-game is two from now on.
    let original = &servers[8];
    let fork = costs.time("fork in mid-game", 1, || original.fork());
    fork.write("/srv/game/world/level.dat", "what if?")?;
    assert_eq!(original.read("/srv/game/world/level.dat")?, "world 8");

    // One starts anew.
    costs.time("reset", 1, || servers[9].reset());
    assert!(servers[9].diff()?.is_empty());
    assert_eq!(servers[9].read("/srv/game/world/level.dat")?, "a new world");

    // The volume is the same for both, and in neither one's diff.
    servers[0].append("/srv/players/list", "anna\n")?;
    servers[1].append("/srv/players/list", "ben\n")?;
    assert_eq!(servers[0].read_to_string("/srv/players/list")?, "anna\nben\n");
    assert_eq!(servers[0].diff()?.kind("/srv/players/list"), None);

    // One is worth keeping: an image of four layers, of which it shares three.
    let saved = costs.time("commit", 1, || server.commit())?;
    assert_eq!(diff_ids(&saved)?[..3], layers);
    assert_eq!(saved.layers().len(), 4);
    println!("commit   {}", diff_ids(&saved)?[3]);

    costs.time("drop a container", SERVERS, || drop(servers));
    assert_eq!(saved.container().read("/srv/game/world/level.dat")?, "world 7");
    assert_eq!(players.read_to_string("/list")?, "anna\nben\n");
    costs.print();
    Ok(())
}

/// The base layer, and how much of the directory this user may not read.
#[cfg(unix)]
fn import(directory: &std::ffi::OsStr) -> stratafs::Result<(Layer, usize)> {
    let options = stratafs::host::ImportOptions::new().one_file_system(true);
    let imported = options.collect_unreadable(true).import(directory)?;
    Ok((imported.layer, imported.unreadable.len()))
}

#[cfg(not(unix))]
fn import(_: &std::ffi::OsStr) -> stratafs::Result<(Layer, usize)> {
    Ok((Layer::from([("hosts", "127.0.0.1 localhost\n")]), 0))
}

fn start(image: &Image, players: &Volume) -> stratafs::Result<Vec<Container>> {
    let shared = || image.build_container().volume("/srv/players", players).build();
    (0..SERVERS).map(|number| if number < 2 { shared() } else { Ok(image.container()) }).collect()
}

/// Whatever a server does to its world. The files and directories that it changes come from the image.
fn play(server: &Container, number: u32) -> stratafs::Result<()> {
    server.write("/srv/game/world/level.dat", format!("world {number}"))?;
    server.append("/srv/game/server.toml", format!("port = {}\n", 25_565 + number))?;
    server.create_dir_all("/srv/game/world/region")?;
    server.rename("/srv/game/maps", format!("/srv/game/maps-{number}"))?;
    server.remove_file("/srv/game/first-run")
}

fn diff_ids(image: &Image) -> stratafs::Result<Vec<Digest>> {
    image.layers().iter().map(Layer::diff_id).collect()
}

/// What each step cost.
#[derive(Default)]
struct Costs(Vec<(&'static str, u32, Duration, Option<i64>)>);

impl Costs {
    fn time<R>(&mut self, step: &'static str, times: u32, act: impl FnOnce() -> R) -> R {
        let (memory, start) = (resident(), Instant::now());
        let result = act();
        let time = start.elapsed();
        let grown = resident().zip(memory).map(|(after, before)| after - before);
        self.0.push((step, times, time, grown));
        result
    }

    fn print(&self) {
        println!("\n{:24}{:>7}{:>13}{:>14}", "step", "times", "µs each", "bytes each");
        for &(step, times, time, grown) in &self.0 {
            let micros = time.as_secs_f64() * 1e6 / f64::from(times);
            let bytes = grown.filter(|_| times > 1 || step.contains("layer"));
            let bytes = bytes.map_or_else(String::new, |all| (all / i64::from(times)).to_string());
            println!("{step:24}{times:7}{micros:13.2}{bytes:>14}");
        }
    }
}

/// Bytes of memory that this process takes, where the system tells (Linux).
fn resident() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<i64>().ok()? * 1024)
}
