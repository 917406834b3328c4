use super::*;

/// Takes so many bytes, then blocks.
struct Narrow(usize, Vec<u8>);

impl Write for Narrow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = bytes.len().min(self.0);
        if n == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.0 -= n;
        self.1.extend_from_slice(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_the_socket_refuses_is_kept_in_order() {
    let mut output = Output::new(64);
    output.buffer().extend_from_slice(b"hello world");
    let mut socket = Narrow(8, Vec::new());
    assert!(!output.write_to(&mut socket).unwrap());
    assert_eq!((output.len(), output.sent), (3, 0), "the sent majority is dropped");
    output.buffer().extend_from_slice(b"!");
    socket.0 = 100;
    assert!(output.write_to(&mut socket).unwrap());
    assert_eq!(socket.1, b"hello world!");
    assert!(output.is_empty());
}

#[test]
fn a_large_buffer_is_given_back() {
    let mut output = Output::new(64);
    output.buffer().extend_from_slice(&[7; 1000]);
    assert!(output.write_to(&mut Narrow(2000, Vec::new())).unwrap());
    assert_eq!(output.bytes.capacity(), 0);
}
