//! Two principals, and everything that names something by an id: what belongs to the other principal, or to another
//! person, is answered like an id that nobody has, to the byte; what belongs to the installation is shown to who may.

mod kinds;
mod mentions;
mod routes;
mod world;
