//! The explorer on protocols whose numbers of states are known from elsewhere, and on machines with bugs.

mod bounds;
mod machines;
mod orders;
mod paxos;
mod paxos_machines;
mod symmetry;
mod two_phase;
mod walks;
