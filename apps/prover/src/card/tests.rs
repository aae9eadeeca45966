//! What holds for every driver.
