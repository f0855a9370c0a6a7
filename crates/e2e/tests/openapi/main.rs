//! The API against its own description: every route is described, every answer fits, everything wrong is refused in words.

mod answers;
mod fuzz;
mod refusals;
mod rig;
mod routes;
