//! The device registry.

use market::Registry;

#[test]
fn the_list_that_is_there_from_the_start_makes_sense() {
    let registry = Registry::default();
    assert_eq!(registry.check(), Ok(()));
    assert_eq!(registry.models.len(), 58);
}
