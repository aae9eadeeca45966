//! Sessions from end to end: honest ones, cheats, and transcripts that somebody else re-checks.

#[cfg(test)]
mod cheats;
#[cfg(test)]
mod honest;
#[cfg(test)]
mod log;
#[cfg(test)]
mod plain;
#[cfg(test)]
mod python;
#[cfg(test)]
mod table;
#[cfg(test)]
mod transcripts;
