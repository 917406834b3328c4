//! The cluster layer under the simulator, with a service that is no database.

mod scenarios;
mod service;
