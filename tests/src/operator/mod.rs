//! The operator's command as a child process, on a terminal or off one, and a control plane that follows a script.

mod command;
mod scripted;
mod terminal;

pub use self::{
    command::{Ended, Fusebox, Lines},
    scripted::{Asked, ControlPlane, Door},
    terminal::Terminal,
};
