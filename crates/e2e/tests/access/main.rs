//! Who may do what: the whole matrix, and everything that people try who may not.

mod foreign;
mod forms;
mod guessing;
mod links;
mod matrix;
mod pages;
mod passkey;
mod person;
mod rights;
mod second_factor;
mod sessions;
