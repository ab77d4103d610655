//! The bundle as a whole: made from a small registry, read back, damaged, interrupted.

mod damage;
mod gather;
mod interrupt;
mod signed;
mod whole;
