//! Standard streams that are closed, full, or that nobody reads.

use crate::support::process::{Client, server};
use crate::support::tools::{own_loopback, wait_until};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

const SERVER: &str = env!("CARGO_BIN_EXE_server");
const PROXY: &str = env!("CARGO_BIN_EXE_proxy");

/// A child whose words go nowhere; killed when dropped.
struct Mute(Child);

impl Drop for Mute {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs both programs with these redirections of the shell, and both pipes closed at our end.
fn check_lives_on(redirections: &str) {
    let upstream = server(&[]);
    let upstream = upstream.address().to_string();
    for (program, own) in [(SERVER, &[][..]), (PROXY, &["--upstream", &upstream])] {
        // It cannot say where it listens.
        let free = TcpListener::bind((own_loopback(), 0)).expect("there is a port");
        let place = free.local_addr().expect("it is bound");
        drop(free);
        let mut command = Command::new("sh");
        command.args(["-c", &format!("exec \"$0\" \"$@\" {redirections}"), program]);
        command.args(["--listen", &place.to_string()]).args(own);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Mute(command.spawn().expect("sh is there"));
        drop((process.0.stdout.take(), process.0.stderr.take()));
        wait_until("it listens", || TcpStream::connect(place).is_ok());
        let id = process.0.id().to_string();
        let signal = |name: &str| {
            let status = Command::new("kill").args([name, &id]).status();
            assert!(status.expect("kill is there").success(), "{redirections}");
        };
        for _ in 0..20 {
            signal("-HUP");
            assert_eq!(Client::connect(place).ask("SET k v"), "OK", "{redirections}");
        }
        signal("-TERM");
        let mut status = None;
        wait_until("it ends", || {
            status = process.0.try_wait().expect("it is a child");
            status.is_some()
        });
        assert!(status.is_some_and(|status| status.success()), "{redirections}: {status:?}");
    }
}

#[test]
fn closed_or_full_outputs_do_not_end_the_programs() {
    for redirections in ["", ">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full 2>/dev/full"] {
        check_lives_on(redirections);
    }
}
