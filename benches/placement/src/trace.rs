//! Nodes and tasks of a cluster, read from files in the openb format.
//!
//! Columns are found by the names in a file's first line; those not named here are not looked at.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use scheduler::packing::{Host, Model, Models, Need, WHOLE_MILLI};

/// A cluster of which nothing is taken, and the tasks that are sampled.
#[derive(Clone, Debug)]
pub struct Trace {
    /// In the order of their file.
    pub hosts: Vec<Host>,
    /// In the order of their names.
    pub tasks: Vec<Need>,
}

impl Trace {
    /// Reads both files.
    pub fn read(nodes: &Path, tasks: &Path) -> Result<Self> {
        let text = |path: &Path| {
            std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
        };
        let in_file = |path: &Path| format!("in {}", path.display());
        let mut models = Names::default();
        let hosts = hosts(&text(nodes)?, &mut models).with_context(|| in_file(nodes))?;
        let tasks = orders(&text(tasks)?, &models).with_context(|| in_file(tasks))?;
        ensure!(!hosts.is_empty() && !tasks.is_empty(), "a trace has nodes and tasks");
        Ok(Self { hosts, tasks })
    }

    /// All cards, in thousandths of one.
    pub fn capacity_milli(&self) -> u64 {
        self.hosts.iter().map(|host| u64::from(host.cards.sum_milli())).sum()
    }
}

/// Names of models, numbered as they come.
#[derive(Debug, Default)]
pub(crate) struct Names(BTreeMap<String, Model>);

impl Names {
    fn number(&mut self, name: &str) -> Result<Model> {
        if let Some(model) = self.0.get(name) {
            return Ok(*model);
        }
        let model = u8::try_from(self.0.len()).ok().and_then(Model::of);
        let model = model.context("there are more models than a set of them holds")?;
        self.0.insert(name.to_owned(), model);
        Ok(model)
    }

    /// `A|B` is either. A model that no node has is none of them.
    fn set(&self, names: &str) -> Models {
        if names.is_empty() {
            return Models::ANY;
        }
        let known = names.split('|').filter_map(|name| self.0.get(name));
        known.fold(Models::NONE, |models, model| models.and(*model))
    }
}

pub(crate) fn hosts(text: &str, models: &mut Names) -> Result<Vec<Host>> {
    let table = Table::of(text)?;
    let host = |row: &Row<'_>| -> Result<Host> {
        let cards = u8::try_from(row.number("gpu")?).context("read gpu")?;
        let model = models.number(row.text("model").unwrap_or_default())?;
        Ok(Host::new(row.number("cpu_milli")?, row.number("memory_mib")?, cards, model)?)
    };
    table.rows(host)
}

fn orders(text: &str, models: &Names) -> Result<Vec<Need>> {
    let table = Table::of(text)?;
    let named = |row: &Row<'_>| -> Result<(String, Need)> {
        Ok((row.text("name").context("a task has a name")?.to_owned(), need(row, models)?))
    };
    let mut tasks = table.rows(named)?;
    tasks.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(tasks.into_iter().map(|(_, need)| need).collect())
}

pub(crate) fn need(row: &Row<'_>, models: &Names) -> Result<Need> {
    let need = Need::of_processors(row.number("cpu_milli")?, row.number("memory_mib")?);
    let (cards, milli) = (row.number("num_gpu")?, row.number("gpu_milli")?);
    let accepted = models.set(row.text("gpu_spec").unwrap_or_default());
    Ok(match cards {
        0 => need,
        1 if milli < u32::from(WHOLE_MILLI) => need.with_share(milli, accepted)?,
        cards => need.with_cards(cards, accepted)?,
    })
}

/// Lines of fields with commas between them; there are no quotes in the format.
pub(crate) struct Table<'a> {
    columns: Vec<&'a str>,
    lines: Vec<(usize, &'a str)>,
}

pub(crate) struct Row<'a> {
    columns: &'a [&'a str],
    fields: Vec<&'a str>,
}

impl<'a> Table<'a> {
    pub(crate) fn of(text: &'a str) -> Result<Self> {
        let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
        let (_, first) = lines.next().context("the file is empty")?;
        Ok(Self { columns: first.trim().split(',').collect(), lines: lines.collect() })
    }

    pub(crate) fn rows<T>(&self, mut read: impl FnMut(&Row<'_>) -> Result<T>) -> Result<Vec<T>> {
        let row = |(number, line): &(usize, &'a str)| {
            let fields = line.trim_end().split(',').collect();
            read(&Row { columns: &self.columns, fields })
                .with_context(|| format!("read line {number}"))
        };
        self.lines.iter().map(row).collect()
    }
}

impl Row<'_> {
    /// The field of that column; none if the file has no such column, or the line ends before it.
    pub(crate) fn text(&self, column: &str) -> Option<&str> {
        let place = self.columns.iter().position(|name| *name == column)?;
        self.fields.get(place).map(|field| field.trim())
    }

    pub(crate) fn number(&self, column: &str) -> Result<u32> {
        let text = self.text(column).with_context(|| format!("there is no {column}"))?;
        text.parse().with_context(|| format!("read {text:?} as {column}"))
    }
}
