//! A forwarder in front of a port, whose connections can be cut, and held.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use super::process::PATIENCE;

pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    connections: Vec<TcpStream>,
    held: bool,
}

impl Proxy {
    /// Serves `listener`, and forwards to `to` as long as the test process runs.
    pub fn start(listener: TcpListener, to: SocketAddr) -> Proxy {
        let from = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let kept = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // While nobody listens behind us, who connects here is turned away.
                let Ok(target) = TcpStream::connect(to) else { continue };
                let _ = (stream.set_nodelay(true), target.set_nodelay(true));
                forward(&kept, stream.try_clone().unwrap(), target.try_clone().unwrap());
                forward(&kept, target.try_clone().unwrap(), stream.try_clone().unwrap());
                kept.change(|state| state.connections.extend([stream, target]));
            }
        });
        Proxy { address: from, shared }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks all connections, of which there is at least one; new ones can be made at once.
    pub fn cut(&self) {
        let none = |state: &mut State| state.connections.is_empty();
        let state = self.shared.state.lock().unwrap();
        let waited = self.shared.changed.wait_timeout_while(state, PATIENCE, none);
        let (mut state, waited) = waited.unwrap();
        assert!(!waited.timed_out(), "nobody connects to {}", self.address);
        for stream in state.connections.drain(..) {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Reads nothing more from anybody: the connections stand, and fill.
    pub fn hold(&self) {
        self.shared.change(|state| state.held = true);
    }

    /// Goes on where it was held.
    pub fn release(&self) {
        self.shared.change(|state| state.held = false);
    }
}

impl Shared {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }

    fn wait_until_released(&self) {
        let state = self.state.lock().unwrap();
        drop(self.changed.wait_while(state, |state| state.held).unwrap());
    }
}

fn forward(shared: &Arc<Shared>, mut from: TcpStream, mut to: TcpStream) {
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(read) = from.read(&mut buffer) {
            shared.wait_until_released();
            if read == 0 || to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        // The end, or the break, of one direction ends both.
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    });
}
