//! Who may do what: the whole matrix, and everything that people try who may not.

mod corpus;
mod foreign;
mod forms;
mod guessing;
mod injection;
mod links;
mod matrix;
mod pages;
mod passkey;
mod person;
mod rights;
mod scripts;
mod second_factor;
mod sessions;
