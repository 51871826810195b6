//! The programs need no root, and say so when they have it.

use crate::log::whole_log;
use crate::support::process::{Process, proxy, server};
use nix::unistd::Uid;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::{env, fs};

const WARNING: &str = "running as root";

/// Copies of the programs where every user can run them; deleted when dropped.
struct Copies(PathBuf);

impl Copies {
    fn new() -> Copies {
        let folder = env::temp_dir().join(format!("larder-programs-{}", std::process::id()));
        fs::create_dir(&folder).expect("there is room");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("it is ours");
        let copies = Copies(folder);
        for (name, program) in
            [("server", env!("CARGO_BIN_EXE_server")), ("proxy", env!("CARGO_BIN_EXE_proxy"))]
        {
            fs::copy(program, copies.path(name)).expect("there is room");
            let mode = fs::Permissions::from_mode(0o755);
            fs::set_permissions(copies.path(name), mode).expect("it is ours");
        }
        copies
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A program that nobody in particular runs, in front of `upstream` if it is a proxy.
fn run_by_nobody(copies: &Copies, name: &str, upstream: &str) -> Process {
    let program = copies.path(name);
    let program = program.to_str().expect("a name of ours");
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups", program];
    let flags = ["--listen", "127.0.0.1:0", "--upstream", upstream];
    let flags = if name == "proxy" { &flags[..] } else { &flags[..2] };
    Process::start("setpriv", &[&nobody[..], flags].concat(), 1)
}

#[test]
fn the_programs_run_without_root_and_complain_of_it_in_one_line() {
    let own = server(&[]);
    let upstream = own.address().to_string();
    let is_root = Uid::effective().is_root();
    if is_root {
        let copies = Copies::new();
        for name in ["server", "proxy"] {
            let process = run_by_nobody(&copies, name, &upstream);
            assert_eq!(process.client().ask("SET k v"), "OK");
            assert_eq!(process.client().ask("GET k"), "v");
            let log = whole_log(process);
            assert!(!log.contains(WARNING), "{log}");
        }
    } else {
        println!("this is not root: that root is warned of is not seen");
    }
    for process in [proxy(own.address(), &[]), own] {
        assert_eq!(process.client().ask("SET k v"), "OK");
        let log = whole_log(process);
        assert_eq!(log.matches(WARNING).count(), usize::from(is_root), "{log}");
    }
}
