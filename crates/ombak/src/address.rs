//! Addresses as people write them: `HOST:PORT`.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use crate::error::CliError;

/// The address that a listener binds, or that a peer is dialled at. A name counts for the first address it has.
///
/// `option` is what the user would change.
pub fn resolve(option: &str, text: &str) -> Result<SocketAddr, CliError> {
    let wrong = |why: io::Error| {
        CliError::usage(format!(
            "{option} {text} is no address ({why}): give HOST:PORT, such as 127.0.0.1:8087"
        ))
    };
    let none = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut found = text.to_socket_addrs().map_err(wrong)?;
    found.next().ok_or_else(none).map_err(wrong)
}

/// Refuses to listen where strangers could connect, since nothing asks them who they are.
pub fn require_loopback(option: &str, address: SocketAddr, insecure: bool) -> Result<(), CliError> {
    if insecure || address.ip().is_loopback() {
        return Ok(());
    }
    Err(CliError::usage(format!(
        "{option} {address} can be reached by other machines, and Ombak has no authentication yet: use a loopback \
         address such as 127.0.0.1:{}, or say --insecure if the network is trusted",
        address.port()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_resolve_and_what_is_no_address_says_how_one_looks() {
        assert!(resolve("--pb", "localhost:8087").unwrap().ip().is_loopback());
        let CliError::Usage(text) = resolve("--pb", "8087").unwrap_err() else {
            panic!("not a usage error")
        };
        assert!(text.contains("--pb 8087") && text.contains("HOST:PORT"), "{text}");
    }

    #[test]
    fn only_loopback_is_safe_without_insecure() {
        for (text, safe) in [
            ("127.0.0.1:1", true),
            ("127.8.0.1:1", true),
            ("[::1]:1", true),
            ("0.0.0.0:1", false),
            ("[::]:1", false),
            ("192.0.2.7:1", false),
        ] {
            let address = text.parse().unwrap();
            assert_eq!(require_loopback("--pb", address, false).is_ok(), safe, "{text}");
            assert!(require_loopback("--pb", address, true).is_ok(), "{text}");
        }
    }
}
