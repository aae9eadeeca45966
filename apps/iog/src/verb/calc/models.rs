//! Models as people name them: the one of the registry, or those that a word may mean.

use control::Parameters;
use market::Model;

use crate::failure::Failure;

/// How many models a refusal names.
const NAMED_MAX: usize = 8;

/// The model that `text` means. A part of a name will do where all models it fits agree in what `same` looks at.
pub(super) fn model<'a, K: PartialEq>(
    parameters: &'a Parameters,
    text: &str,
    same: impl Fn(&Model) -> K,
) -> Result<&'a Model, Failure> {
    let registry = &parameters.registry;
    if let Some(model) = registry.models.get(text).or_else(|| registry.find(text)) {
        return Ok(model);
    }
    let wanted = text.to_lowercase();
    let fits = |model: &&Model| model.name.to_lowercase().contains(&wanted);
    let fitting: Vec<&Model> = registry.models.values().filter(fits).collect();
    let Some(first) = fitting.first() else {
        let hint = "`iog prices` lists the models of a network";
        return Err(Failure::usage(format!("no model is called `{text}`"), hint));
    };
    if fitting.iter().all(|model| same(model) == same(first)) {
        return Ok(first);
    }
    let names: Vec<&str> =
        fitting.iter().take(NAMED_MAX).map(|model| model.name.as_str()).collect();
    let more = if fitting.len() > NAMED_MAX { ", …" } else { "" };
    let hint = format!("name one of them: {}{more}", names.join(", "));
    Err(Failure::usage(format!("`{text}` may be {} models that differ", fitting.len()), hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_name_will_do_where_nothing_depends_on_the_rest() {
        let parameters = Parameters::default();
        let counts = |text| model(&parameters, text, |model| model.multiplier);
        let costs = |text| model(&parameters, text, |model| model.hour);
        assert_eq!(counts("H100").unwrap().multiplier.to_string(), "10.00");
        assert_eq!(costs("NVIDIA H100 PCIe").unwrap().name, "H100 PCIe");
        assert_eq!(costs("h100-pcie").unwrap().name, "H100 PCIe");
        let failure = costs("H100").unwrap_err().text(crate::screen::Screen::PLAIN);
        assert!(failure.contains("differ") && failure.contains("H100 PCIe"), "{failure}");
        assert!(counts("Voodoo").unwrap_err().exit().number() == 2);
    }
}
