//! Clients whose sockets are not the usual ones.

use super::process::{Client, PATIENCE};
use socket2::{Domain, SockRef, Socket, Type};
use std::net::{Ipv4Addr, SocketAddr};

/// A client whose receive buffer does not grow beyond this; 1 stands for the smallest that there
/// can be, some 2 KB.
pub fn with_receive_buffer(address: SocketAddr, bytes: usize) -> Client {
    connected(address, |socket| socket.set_recv_buffer_size(bytes).expect("it is a socket"))
}

/// A client that comes from another address of this machine, for there to be ports enough.
pub fn from_source(source: Ipv4Addr, address: SocketAddr) -> Client {
    connected(address, |socket| {
        socket.bind(&SocketAddr::from((source, 0)).into()).expect("all of 127 is ours");
    })
}

fn connected(address: SocketAddr, prepare: impl FnOnce(&Socket)) -> Client {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a descriptor");
    prepare(&socket);
    socket.connect_timeout(&address.into(), PATIENCE).expect("it listens");
    Client::over(socket.into())
}

/// Sends bytes with an urgent one in their midst, which is none of them. The one before must have
/// been read past, else that one counts as theirs.
pub fn send_with_urgent_byte(client: &mut Client, bytes: &[u8], at: usize) {
    client.send(&bytes[..at]);
    SockRef::from(client.stream()).send_out_of_band(b"!").expect("it is connected");
    client.send(&bytes[at..]);
}
