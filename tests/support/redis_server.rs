//! A real redis-server (Debian's package of that name) as a child process.

use crate::support::process::PATIENCE;
use crate::support::tools::{Reserved, wait_until};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::{env, fs};

/// A redis-server in a directory of its own, on a port of its own, that stores nothing on disk;
/// killed when dropped.
pub struct Redis {
    child: Child,
    pub address: SocketAddr,
    directory: PathBuf,
}

impl Redis {
    /// One with these flags besides, which answers.
    pub fn start(flags: &[&str]) -> Redis {
        let place = Reserved::new();
        Redis::start_at(place.address, flags)
    }

    /// The same where another was before.
    pub fn start_at(address: SocketAddr, flags: &[&str]) -> Redis {
        let directory = env::temp_dir().join(format!("larder-redis-{address}"));
        fs::create_dir_all(&directory).expect("there is room");
        let mut command = Command::new("redis-server");
        command.args(["--port", &address.port().to_string(), "--bind", &address.ip().to_string()]);
        command.args(["--save", "", "--appendonly", "no", "--dir"]).arg(&directory);
        command.args(flags);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("redis-server is there: apt-get install redis-server");
        let mut redis = Redis { child, address, directory };
        wait_until("redis-server answers", || {
            let ended = redis.child.try_wait().expect("it is a child");
            assert!(ended.is_none(), "redis-server has ended: {ended:?}");
            redis.ask("PING").is_ok_and(|reply| reply.starts_with("+PONG"))
        });
        redis
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Tells it something directly.
    pub fn tell(&self, line: &str) {
        let reply = self.ask(line).expect("it answers");
        assert!(!reply.starts_with('-'), "{line}: {reply}");
    }

    fn ask(&self, line: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(format!("{line}\r\nQUIT\r\n").as_bytes())?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply)?;
        Ok(reply)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}
