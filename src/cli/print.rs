//! What goes to standard output: aligned tables, lists of fields, and the API's own JSON.

use std::{
    fmt,
    io::{self, Write as _},
};

use chrono::DateTime;
use clap::ValueEnum;
use serde_json::{Value, json};

/// How a result is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Shape {
    /// for people
    #[default]
    Table,
    /// the `data` of the API's answer
    Json,
}

/// The choice of it.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(super) struct Shown {
    /// How to print the result
    #[arg(long = "output", value_enum, default_value_t, value_name = "SHAPE")]
    pub(super) shape: Shape,
}

impl Shown {
    /// Prints the answer itself, or what `table` makes of it.
    pub(super) fn print(self, data: &Value, table: impl FnOnce(&Value) -> String) -> super::Result {
        match self.shape {
            Shape::Table => match table(data) {
                nothing if nothing.is_empty() => Ok(()),
                text => line(&text),
            },
            Shape::Json => line(&format!("{data:#}")),
        }
    }

    /// Says what was done to a thing: in words, or as an object with the name of its field.
    pub(super) fn done(self, what: &str, field: &str, name: &str) -> super::Result {
        self.print(&json!({field: name}), |_| format!("{what} {name}"))
    }
}

/// Writes a line to standard output.
pub(super) fn line(text: &str) -> super::Result {
    writeln!(io::stdout(), "{}", text.trim_end_matches('\n'))?;
    Ok(())
}

/// Rows below a head, in columns as wide as they need to be.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with nothing below its head.
    pub(super) fn new(head: &[&str]) -> Self {
        Self { rows: vec![head.iter().map(|&title| title.to_owned()).collect()] }
    }

    /// A table of one row for each item of `list`, its cells the named fields.
    pub(super) fn of(list: &Value, columns: &[(&str, &str)]) -> Self {
        let titles: Vec<&str> = columns.iter().map(|(title, _)| *title).collect();
        let mut table = Self::new(&titles);
        for item in list.as_array().into_iter().flatten() {
            table.row(columns.iter().map(|(_, field)| text(field, &item[field])));
        }
        table
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let cell_width =
            |row: &Vec<String>, column: usize| row.get(column).map_or(0, |cell| cell.chars().count());
        let widths: Vec<usize> = (0..columns)
            .map(|column| self.rows.iter().map(|row| cell_width(row, column)).max().unwrap_or(0))
            .collect();
        for row in &self.rows {
            let line: Vec<String> =
                row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
            writeln!(f, "{}", line.join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// Every field that says something, one a line: 0 is "not set", warnings were told already.
pub(super) fn fields(data: &Value) -> String {
    let mut table = Table { rows: Vec::new() };
    for (name, value) in data.as_object().into_iter().flatten() {
        let shown = text(name, value);
        if !shown.is_empty() && value.as_f64() != Some(0.0) && name != "warnings" {
            table.row([name.clone(), shown]);
        }
    }
    table.to_string()
}

/// A field's value as people read it; times, which the API gives in Unix seconds, as UTC.
fn text(field: &str, value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Number(number) if is_time(field) => match number.as_i64() {
            Some(0) | None => String::new(),
            Some(seconds) => moment(seconds),
        },
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

fn is_time(field: &str) -> bool {
    field.ends_with("_until")
        || (field.ends_with("_time") && field != "spend_time" && field != "seg_time")
        || ["created_at", "time"].contains(&field)
}

/// A moment in UTC: `2026-01-31 23:59:59`.
fn moment(seconds: i64) -> String {
    DateTime::from_timestamp(seconds, 0)
        .map_or_else(|| seconds.to_string(), |time| time.format("%Y-%m-%d %H:%M:%S").to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_aligned() {
        let list = json!([
            {"task_id": "1", "status": "succeeded", "created_time": 1_650_453_342},
            {"task_id": "22", "status": "é", "created_time": 0},
        ]);
        let table =
            Table::of(&list, &[("TASK", "task_id"), ("STATUS", "status"), ("CREATED", "created_time")]);
        assert_eq!(
            table.to_string(),
            "TASK  STATUS     CREATED\n\
             1     succeeded  2022-04-20 11:15:42\n\
             22    é\n"
        );
    }

    #[test]
    fn fields_that_say_nothing_are_left_out() {
        let data = json!({"task_id": "1", "message": "", "code": 0, "duration": 0.0, "spend_time": 2.5, "output_groups": [],
            "task_ids": ["1", "2"], "old_secret_until": 1_650_453_342});
        assert_eq!(
            fields(&data),
            "task_id           1\nspend_time        2.5\ntask_ids          1, 2\nold_secret_until  2022-04-20 11:15:42\n"
        );
    }
}
