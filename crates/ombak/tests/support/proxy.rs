//! A forwarder in front of a port, whose connections can be cut.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

pub struct Proxy {
    address: SocketAddr,
    connections: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    /// Listens on `from` and forwards to `to` as long as the test process runs.
    pub fn start(from: SocketAddr, to: SocketAddr) -> Proxy {
        let listener = TcpListener::bind(from).unwrap();
        let connections = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&connections);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // While nobody listens behind us, who connects here is turned away.
                let Ok(target) = TcpStream::connect(to) else { continue };
                let _ = (stream.set_nodelay(true), target.set_nodelay(true));
                forward(stream.try_clone().unwrap(), target.try_clone().unwrap());
                forward(target.try_clone().unwrap(), stream.try_clone().unwrap());
                kept.lock().unwrap().extend([stream, target]);
            }
        });
        Proxy { address: from, connections }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks all connections; new ones can be made at once.
    pub fn cut(&self) {
        for stream in self.connections.lock().unwrap().drain(..) {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(read) = from.read(&mut buffer) {
            if read == 0 || to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        // The end, or the break, of one direction ends both.
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    });
}
