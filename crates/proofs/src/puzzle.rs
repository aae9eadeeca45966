//! Numbers that hash to leading zeros.
