//! Measurement by measurement: what a GPU measured against what its manifests say.

use std::collections::BTreeMap;

use crate::opaque::Opaque;
use crate::reference::{Golden, Manifest, References, driver_id, vbios_id};
use crate::report::Report;
use crate::verdict::{Doubt, NotAttested, Refusal};

/// The measurement of the first video decoder's firmware, which is only there when the decoder is on.
pub const NVDEC0_INDEX: u8 = 35;

/// What comparing found, when it found nothing wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Compared {
    pub(crate) board: Option<String>,
    pub(crate) compared: usize,
    pub(crate) excepted: Vec<u8>,
}

pub(crate) fn compare(
    report: &Report,
    chip: &str,
    references: &References,
) -> Result<Compared, NotAttested> {
    let Opaque { driver, .. } = &report.opaque;
    let driver = find(references, driver_id(chip, driver))?;
    let vbios = find(references, vbios_id(&report.opaque))?;
    let golden = join(driver, vbios)?;
    let is_excepted = |index: u8| index == NVDEC0_INDEX && !report.opaque.nvdec0;
    let differs = |index: u8, values: &[Golden]| {
        !report.measurements.get(&index).is_some_and(|is| values.contains(&Golden(*is)))
    };
    let (mut indexes, mut excepted) = (Vec::new(), Vec::new());
    for (index, values) in &golden {
        match (is_excepted(*index), differs(*index, values)) {
            (true, true | false) => excepted.push(*index),
            (false, true) => indexes.push(*index),
            (false, false) => {}
        }
    }
    match indexes.is_empty() {
        false => Err(Refusal::Measurements { indexes }.into()),
        true => Ok(Compared {
            board: vbios.board.clone(),
            compared: golden.len() - excepted.len(),
            excepted,
        }),
    }
}

fn find(references: &References, id: String) -> Result<&Manifest, Doubt> {
    references.find(&id).ok_or(Doubt::NoReference { id })
}

/// A measurement has one owner: two manifests that both claim it would each excuse what the other forbids.
fn join<'a>(
    driver: &'a Manifest,
    vbios: &'a Manifest,
) -> Result<BTreeMap<u8, &'a [Golden]>, NotAttested> {
    let twice = driver.measurements.keys().find(|index| vbios.measurements.contains_key(index));
    if let Some(index) = twice {
        return Err(Doubt::References { index: *index }.into());
    }
    let both = driver.measurements.iter().chain(&vbios.measurements);
    Ok(both.map(|(index, values)| (*index, values.as_slice())).collect())
}
