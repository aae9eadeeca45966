//! The one clock of the doors: papers of visitors are checked by it.

pub(crate) use trunk::system_time as now;
