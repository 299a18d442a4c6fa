//! A fleet of sidecars in virtual time: the real rules, the real store in memory, and a network, a provider and callers
//! by chance, from one seed. Shows what the shared breaker does at sizes that no test could start.
//!
//! Leaves out what is not about breakers: streams, rate limits, forced states, more than one provider, and the cost of
//! anything in a sidecar itself.

pub mod agenda;
pub mod dice;
pub mod figures;
pub mod gate;
pub mod plot;
pub mod provider;
pub mod redis;
pub mod report;
pub mod scenario;
pub mod sidecar;
pub mod watch;
pub mod world;
