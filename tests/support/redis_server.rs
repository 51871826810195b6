//! A real redis-server (Debian's package of that name) as a child process.

use crate::support::tools::{own_loopback, wait_until};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
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
    /// One with these flags besides.
    pub fn start(flags: &[&str]) -> Redis {
        let host: IpAddr = own_loopback();
        let place = TcpListener::bind(SocketAddr::new(host, 0)).expect("there is a port");
        let address = place.local_addr().expect("it is bound");
        drop(place);
        Redis::start_at(address, flags)
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
        let redis = Redis { child, address, directory };
        wait_until("redis-server listens", || TcpStream::connect(address).is_ok());
        redis
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Tells it something directly.
    pub fn tell(&self, line: &str) {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        stream.write_all(format!("{line}\r\nQUIT\r\n").as_bytes()).expect("it takes it");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).expect("it answers");
        assert!(!reply.starts_with('-'), "{line}: {reply}");
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}
