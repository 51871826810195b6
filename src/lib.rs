//! Larder.
pub mod buffer;
pub mod command;
pub mod config;
pub mod connection;
pub mod handler;
pub mod index;
pub mod limits;
pub mod program;
pub mod protocol;
pub mod proxy;
pub mod reactor;
pub mod server;
pub mod session;
pub mod stats;
pub mod timer_wheel;
