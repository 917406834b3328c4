//! The cluster layer under the simulator, with a service that is no database.

mod service;
mod scenarios;
