//! Many threads on one container: nothing is lost, torn, seen half or waited for without end.
#![expect(
    clippy::unwrap_used,
    reason = "what the threads do is test code, though not in a test function"
)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use stratafs::{Container, Error, ErrorKind, Image, Layer, Volume};

use crate::random::Random;

/// How long the threads run: `STRATAFS_SECONDS`, 3.
fn running_time() -> Duration {
    let seconds = std::env::var("STRATAFS_SECONDS").ok().and_then(|value| value.parse().ok());
    Duration::from_secs_f64(seconds.unwrap_or(3.0))
}

/// Runs `test` and ends the process if it takes a minute longer than it is to run: a deadlock would hang for ever.
fn watched(test: impl FnOnce()) {
    let (done, wait) = mpsc::channel::<()>();
    let patience = running_time() + Duration::from_secs(60);
    #[expect(clippy::print_stdout, reason = "nothing else is left to say it with")]
    let dog = thread::spawn(move || {
        if wait.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout) {
            println!("a deadlock: the threads did not come to an end");
            std::process::abort();
        }
    });
    test();
    drop(done);
    dog.join().expect("because it only waits");
}

/// What all threads of a test know.
struct Shared {
    container: Container,
    stop: AtomicBool,
    appended: AtomicU64,
}

impl Shared {
    fn new() -> Self {
        let layer = Layer::from([
            ("log", ""),
            ("moving/a", "I am always somewhere"),
            ("accounts/anna", "100"),
            ("accounts/ben", "0"),
            ("tree/x/y/z", "lower"),
        ]);
        let image = Image::from_layers([layer]).expect("because it is one layer");
        Self {
            container: image.container(),
            stop: AtomicBool::new(false),
            appended: AtomicU64::new(0),
        }
    }

    fn until_stopped(&self, seed: u64, mut act: impl FnMut(&Container, &mut Random)) {
        let mut random = Random::new(seed);
        while !self.stop.load(Ordering::Relaxed) {
            act(&self.container, &mut random);
        }
    }

    /// Lines of a fixed length, by path and by handle.
    fn append(&self, seed: u64) {
        let file = {
            let mut options = stratafs::OpenOptions::new();
            self.container.open_with("/log", options.append(true)).expect("because it is there")
        };
        self.until_stopped(seed, |container, random| {
            let line = format!("{seed:02} line\n");
            if random.one_in(2) {
                container.append("/log", line).expect("because it is there");
            } else {
                file.write_at(line.as_bytes(), 0).expect("because it is open");
            }
            self.appended.fetch_add(1, Ordering::Relaxed);
        });
    }

    /// Moves one file between two names.
    fn rename(&self, seed: u64) {
        self.until_stopped(seed, |container, _| {
            container.rename("/moving/a", "/moving/b").expect("because only this thread moves it");
            container.rename("/moving/b", "/moving/a").expect("because only this thread moves it");
        });
    }

    /// Moves money, and sometimes changes its mind.
    fn transact(&self, seed: u64) {
        self.until_stopped(seed, |container, random| {
            let changes_mind = random.one_in(3);
            let amount = random.below(101);
            let result = container.transaction(|bank| {
                bank.write("/accounts/anna", amount.to_string())?;
                if changes_mind {
                    bank.read("/nowhere")?;
                }
                bank.write("/accounts/ben", (100 - amount).to_string())
            });
            assert_eq!(result.is_err(), changes_mind, "only a change of mind fails");
        });
    }

    /// Makes and removes whatever comes: any of these may find that another thread was faster.
    fn churn(&self, seed: u64) {
        self.until_stopped(seed, |container, random| {
            let mut path = || format!("/tree/{}/{}", random.below(3), random.below(4));
            let (a, b) = (path(), path());
            let results = [
                container.create_dir_all(format!("/tree/{}", seed % 3)),
                container.write(&a, "churned"),
                container.rename(&a, &b),
                container.hard_link(&b, &a),
                container.remove_file(&b),
                container.remove_dir_all(format!("/tree/{}", (seed + 1) % 3)),
            ];
            for error in results.into_iter().filter_map(Result::err) {
                assert!(is_race(&error), "{error:?}");
            }
        });
    }

    /// Takes views, and holds each against everything that must be true of it.
    fn look(&self, seed: u64) {
        let mut lines = 0;
        self.until_stopped(seed, |container, random| {
            let view = container.view();
            let names = ["/moving/a", "/moving/b"].map(|path| view.exists(path).unwrap());
            assert!(names[0] != names[1], "a renamed file has exactly one of its names: {names:?}");
            let money = |path| view.read_to_string(path).unwrap().parse::<u64>().unwrap();
            assert_eq!(
                money("/accounts/anna") + money("/accounts/ben"),
                100,
                "no half transaction"
            );
            let log = view.metadata("/log").unwrap().len();
            assert!(log >= lines && log % 8 == 0, "a log only grows, by whole lines: {log}");
            lines = log;
            if random.one_in(8) {
                assert_eq!(view.check(), Vec::<String>::new());
                assert!(container.walk("/").unwrap().all(|entry| entry.is_ok()));
            }
        });
    }

    /// Forks and takes snapshots, which go their own ways.
    fn fork(&self, seed: u64) {
        self.until_stopped(seed, |container, _| {
            let (fork, snapshot) = (container.fork(), container.snapshot());
            fork.write("/log", "forked").unwrap();
            fork.restore(&snapshot).unwrap();
            assert_ne!(fork.read("/log").unwrap(), "forked");
            fork.reset();
            assert!(fork.diff().unwrap().is_empty());
            assert_eq!(fork.check(), Vec::<String>::new());
        });
    }
}

/// The errors that one of several threads can run into.
fn is_race(error: &Error) -> bool {
    use ErrorKind::{AlreadyExists, DirectoryNotEmpty, NotADirectory, NotFound};
    matches!(error.kind(), AlreadyExists | DirectoryNotEmpty | NotADirectory | NotFound)
}

#[test]
fn threads_of_one_container_lose_and_tear_nothing() {
    watched(|| {
        let shared = Shared::new();
        let work: [fn(&Shared, u64); 8] = [
            Shared::append,
            Shared::append,
            Shared::rename,
            Shared::transact,
            Shared::churn,
            Shared::churn,
            Shared::look,
            Shared::fork,
        ];
        thread::scope(|scope| {
            let shared = &shared;
            for (seed, work) in (10..).zip(work) {
                scope.spawn(move || {
                    let _stop = StopOthers(&shared.stop);
                    work(shared, seed);
                });
            }
            wait(&shared.stop);
        });
        let log = shared.container.read_to_string("/log").unwrap();
        assert_eq!(log.lines().count() as u64, shared.appended.load(Ordering::Relaxed));
        assert!(log.lines().all(|line| line.len() == 7), "no line is torn");
        assert_eq!(shared.container.check(), Vec::<String>::new());
    });
}

/// Lets the others stop when one fails.
struct StopOthers<'a>(&'a AtomicBool);

impl Drop for StopOthers<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn wait(stop: &AtomicBool) {
    let end = Instant::now() + running_time();
    while Instant::now() < end && !stop.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(5));
    }
    stop.store(true, Ordering::Relaxed);
}

#[test]
fn containers_that_share_a_volume_see_each_other_and_lose_nothing() {
    watched(|| {
        let volume = Volume::memory();
        volume.write("/log", "").unwrap();
        let (stop, appended) = (AtomicBool::new(false), AtomicU64::new(0));
        thread::scope(|scope| {
            for number in 0..4 {
                let (volume, stop, appended) = (&volume, &stop, &appended);
                scope.spawn(move || {
                    let _stop = StopOthers(stop);
                    let container = Image::scratch()
                        .build_container()
                        .volume("/shared", volume)
                        .build()
                        .unwrap();
                    while !stop.load(Ordering::Relaxed) {
                        use_volume(&container, number);
                        appended.fetch_add(1, Ordering::Relaxed);
                    }
                    assert!(
                        container
                            .diff()
                            .unwrap()
                            .layer()
                            .entries()
                            .all(|entry| { !entry.path.starts_with("/shared/") })
                    );
                    assert_eq!(container.check(), Vec::<String>::new());
                });
            }
            wait(&stop);
        });
        let log = volume.read("/log").unwrap();
        assert_eq!(log.len() as u64, 2 * appended.load(Ordering::Relaxed));
        assert_eq!(volume.check(), Vec::<String>::new());
    });
}

/// One line into the shared log, and a round of changes of one's own and of each other's.
fn use_volume(container: &Container, number: u64) {
    container.append("/shared/log", format!("{number}\n")).unwrap();
    container.create_dir_all(format!("/shared/{number}/deep")).unwrap();
    container.write(format!("/shared/{number}/deep/file"), "mine").unwrap();
    container.write("/own", "not shared").unwrap();
    let next = (number + 1) % 4;
    let moved = container.rename(format!("/shared/{next}/deep/file"), "/shared/taken");
    let linked = container.hard_link("/shared/taken", format!("/shared/{number}/link"));
    for error in [moved, linked].into_iter().filter_map(Result::err) {
        assert!(is_race(&error), "{error:?}");
    }
    let crossing = container.rename("/own", "/shared/own").unwrap_err();
    assert_eq!(crossing.kind(), ErrorKind::CrossesDevices);
    container.remove_dir_all(format!("/shared/{number}")).unwrap();
}
