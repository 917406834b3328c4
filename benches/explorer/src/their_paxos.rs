//! Single-decree Paxos, as stateright's example has it.

#![allow(unused_imports, dead_code)]

include!(concat!(env!("OUT_DIR"), "/paxos.rs"));

pub fn model(clients: usize) -> impl crate::Theirs {
    let network = Network::new_unordered_nonduplicating([]);
    PaxosModelCfg { client_count: clients, server_count: 3, network }.into_model()
}
