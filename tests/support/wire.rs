//! A link to the upstream which can fall silent in one direction (what the proxy says arrives, what
//! it is told waits), be cut, and be refused.

use crate::support::process::read_once;
use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// A place that passes connections on to the upstream. Its threads live until the test program
/// ends.
pub struct Wire {
    pub address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    is_silent: Mutex<bool>,
    silence_ended: Condvar,
    is_refusing: AtomicBool,
    /// Both sides of all connections since the last cut.
    sides: Mutex<Vec<TcpStream>>,
}

impl Wire {
    pub fn to(upstream: SocketAddr) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
        let address = listener.local_addr().expect("it is bound");
        let state = Arc::new(State::default());
        let wire = Wire { address, state: Arc::clone(&state) };
        thread::spawn(move || {
            for proxy in listener.incoming().map_while(Result::ok) {
                if state.is_refusing.load(Ordering::SeqCst) {
                    continue;
                }
                // If there is no upstream, the proxy's connection ends at once.
                if let Ok(upstream) = TcpStream::connect(upstream) {
                    // A connection that ends while it is set up ends as any other.
                    let _ = pass(proxy, upstream, Arc::clone(&state));
                }
            }
        });
        wire
    }

    /// Whether what the upstream says has to wait.
    pub fn set_silent(&self, is_silent: bool) {
        *self.state.is_silent.lock().expect("nobody panicked with it") = is_silent;
        self.state.silence_ended.notify_all();
    }

    /// Whether new connections end at once.
    pub fn set_refusing(&self, is_refusing: bool) {
        self.state.is_refusing.store(is_refusing, Ordering::SeqCst);
    }

    /// Ends all connections, whatever is under way on them.
    pub fn cut(&self) {
        for side in self.state.sides.lock().expect("nobody panicked with it").drain(..) {
            // It may have ended by itself.
            let _ = side.shutdown(Shutdown::Both);
        }
    }
}

fn pass(proxy: TcpStream, upstream: TcpStream, state: Arc<State>) -> io::Result<()> {
    proxy.set_nodelay(true)?;
    upstream.set_nodelay(true)?;
    let sides = [proxy.try_clone()?, upstream.try_clone()?];
    state.sides.lock().expect("nobody panicked with it").extend(sides);
    let (mut from_proxy, mut to_upstream) = (proxy.try_clone()?, upstream.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut from_proxy, &mut to_upstream);
        let _ = to_upstream.shutdown(Shutdown::Write);
    });
    let (mut from_upstream, mut to_proxy) = (upstream, proxy);
    thread::spawn(move || {
        let mut bytes = vec![0; 1 << 16];
        loop {
            let read = read_once(&mut from_upstream, &mut bytes).unwrap_or(0);
            let is_silent = state.is_silent.lock().expect("nobody panicked with it");
            drop(state.silence_ended.wait_while(is_silent, |is_silent| *is_silent));
            if read == 0 || to_proxy.write_all(&bytes[..read]).is_err() {
                break;
            }
        }
        let _ = to_proxy.shutdown(Shutdown::Both);
        let _ = from_upstream.shutdown(Shutdown::Both);
    });
    Ok(())
}
