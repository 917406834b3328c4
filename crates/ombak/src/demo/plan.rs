//! What the demo is about to start: names, ports, directories.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use crate::error::CliError;

use super::DemoArgs;

/// Between two nodes' ports.
const PORT_STEP: usize = 10;
/// From a node's HTTP port to the one for other nodes.
const PEER_AFTER_HTTP: usize = 1;

/// One node that is to be started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlannedNode {
    /// `dev1@127.0.0.1`, …
    pub name: String,
    /// Protocol Buffers.
    pub pb: SocketAddr,
    /// HTTP.
    pub http: SocketAddr,
    /// Other nodes.
    pub peer: SocketAddr,
    /// Its data.
    pub dir: PathBuf,
    /// What it logs.
    pub log: PathBuf,
}

/// Node k, from 1, has the Protocol Buffers port `pb + 10(k−1)`, the HTTP port `http + 10(k−1)`, and for other nodes the
/// port above that.
pub fn plan(args: &DemoArgs, root: &Path) -> Result<Vec<PlannedNode>, CliError> {
    let nodes: Vec<PlannedNode> =
        (0..usize::from(args.nodes)).map(|at| planned(args, root, at)).collect::<Result<_, _>>()?;
    check_distinct(&nodes)?;
    Ok(nodes)
}

fn planned(args: &DemoArgs, root: &Path, at: usize) -> Result<PlannedNode, CliError> {
    let local = |option: &str, first: u16, more: usize| {
        let port = usize::from(first) + at * PORT_STEP + more;
        let port = u16::try_from(port).map_err(|_| {
            CliError::usage(format!(
                "node {} would need port {port}, and ports end at 65535: give a lower {option} or fewer --nodes",
                at + 1
            ))
        })?;
        Ok::<_, CliError>(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    };
    let number = at + 1;
    Ok(PlannedNode {
        name: format!("dev{number}@127.0.0.1"),
        pb: local("--pb-port", args.pb_port, 0)?,
        http: local("--http-port", args.http_port, 0)?,
        peer: local("--http-port", args.http_port, PEER_AFTER_HTTP)?,
        dir: root.join(format!("dev{number}")),
        log: root.join(format!("dev{number}.log")),
    })
}

fn ports(node: &PlannedNode) -> [(&'static str, &'static str, SocketAddr); 3] {
    [
        ("Protocol Buffers", "--pb-port", node.pb),
        ("HTTP", "--http-port", node.http),
        ("other nodes", "--http-port", node.peer),
    ]
}

fn check_distinct(nodes: &[PlannedNode]) -> Result<(), CliError> {
    let mut taken = BTreeMap::new();
    for node in nodes {
        for (what, _, address) in ports(node) {
            if let Some((other, its)) = taken.insert(address.port(), (&node.name, what)) {
                return Err(CliError::usage(format!(
                    "port {} would be both {other}'s for {its} and {}'s for {what}: keep the last digits of \
                     --pb-port, of --http-port, and of the one above it apart",
                    address.port(),
                    node.name
                )));
            }
        }
    }
    Ok(())
}

/// Finds out that a port is taken while nothing has been started.
pub fn check_ports(nodes: &[PlannedNode]) -> Result<(), CliError> {
    for node in nodes {
        for (what, option, address) in ports(node) {
            // Closed again at once: what was never accepted leaves nothing behind on the port.
            TcpListener::bind(address).map_err(|error| {
                CliError::failed(format!(
                    "{} cannot listen on {address} for {what} ({error}): stop what uses the port, or choose others \
                     with {option}",
                    node.name
                ))
            })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: DemoArgs,
    }

    fn planned(line: &str) -> Result<Vec<PlannedNode>, CliError> {
        let args = Command::parse_from(format!("demo {line}").split_whitespace()).args;
        plan(&args, Path::new("root"))
    }

    #[test]
    fn three_nodes_have_the_documented_ports() {
        let nodes = planned("").unwrap();
        let ports: Vec<_> =
            nodes.iter().map(|node| [node.pb.port(), node.http.port(), node.peer.port()]).collect();
        assert_eq!(ports, [[8087, 8098, 8099], [8097, 8108, 8109], [8107, 8118, 8119]]);
        assert_eq!(nodes[2].name, "dev3@127.0.0.1");
        assert_eq!(nodes[2].dir, Path::new("root/dev3"));
    }

    #[test]
    fn ports_that_would_meet_are_refused() {
        for line in ["--pb-port 9000 --http-port 9000", "--pb-port 9011 --http-port 9000"] {
            let error = planned(line).unwrap_err();
            assert!(error.to_string().contains("--pb-port"), "{error}");
        }
        assert!(planned("--nodes 1 --pb-port 9011 --http-port 9000").is_ok());
    }

    #[test]
    fn there_is_no_port_above_the_last() {
        assert!(planned("--pb-port 65530 --nodes 1").is_ok());
        let error = planned("--pb-port 65530").unwrap_err();
        assert!(error.to_string().contains("65535"), "{error}");
        assert!(planned("--http-port 65535 --nodes 1").is_err(), "no port for other nodes");
    }

    #[test]
    fn a_port_in_use_is_found_and_a_free_one_is_left_free() {
        let nodes = planned("--nodes 1").unwrap();
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let free = || SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let node = PlannedNode { pb: free(), http: free(), peer: free(), ..nodes[0].clone() };
        check_ports(std::slice::from_ref(&node)).unwrap();
        let node = PlannedNode { http: taken.local_addr().unwrap(), ..node };
        let error = check_ports(&[node]).unwrap_err().to_string();
        assert!(error.contains("HTTP") && error.contains("--http-port"), "{error}");
    }
}
