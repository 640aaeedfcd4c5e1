//! What goes to standard output: aligned tables, lists of fields, and the API's own JSON.

use std::{
    fmt,
    io::{self, Write as _},
};

use chrono::DateTime;
use clap::ValueEnum;
use serde_json::{Value, json};

/// In which format results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum PrintFormat {
    /// for people
    #[default]
    Table,
    /// the `data` of the API's answer
    Json,
}

/// Prints results, in the format that was asked for.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(super) struct Printer {
    /// How to print the result
    #[arg(long = "output", value_enum, default_value_t, value_name = "FORMAT")]
    pub(super) format: PrintFormat,
}

impl Printer {
    /// Prints the API's answer as it is, or the text that `table` makes of it.
    pub(super) fn print(self, data: &Value, table: impl FnOnce(&Value) -> String) -> super::Result {
        match self.format {
            PrintFormat::Table => {
                let text = table(data);
                if text.is_empty() { Ok(()) } else { print_line(&text) }
            }
            PrintFormat::Json => print_line(&format!("{data:#}")),
        }
    }

    /// Prints what was done to a thing: in words, or as an object with the thing's id in `id_field`.
    pub(super) fn print_done(self, what: &str, id_field: &str, id: &str) -> super::Result {
        self.print(&json!({id_field: id}), |_| format!("{what} {id}"))
    }
}

/// Writes a line to standard output.
pub(super) fn print_line(text: &str) -> super::Result {
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

    /// A table with a row for each object of a JSON `list`; a column is a title and the field it shows.
    pub(super) fn from_list(list: &Value, columns: &[(&str, &str)]) -> Self {
        let titles: Vec<&str> = columns.iter().map(|(title, _)| *title).collect();
        let mut table = Self::new(&titles);
        for item in list.as_array().into_iter().flatten() {
            table.add_row(columns.iter().map(|(_, field)| format_value(field, &item[field])));
        }
        table
    }

    /// Adds a row.
    pub(super) fn add_row(&mut self, cells: impl IntoIterator<Item = String>) {
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

/// The fields of an object, one a line, but those that are not set: 0 means that, too. The client has
/// printed the warnings already.
pub(super) fn format_fields(data: &Value) -> String {
    let mut table = Table { rows: Vec::new() };
    for (name, value) in data.as_object().into_iter().flatten() {
        let text = format_value(name, value);
        if !text.is_empty() && value.as_f64() != Some(0.0) && name != "warnings" {
            table.add_row([name.clone(), text]);
        }
    }
    table.to_string()
}

/// A field's value as people read it; times, which the API gives in Unix seconds, as UTC.
fn format_value(field: &str, value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Number(number) if is_time(field) => match number.as_i64() {
            Some(0) | None => String::new(),
            Some(seconds) => format_time(seconds),
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

/// A time in UTC: `2026-01-31 23:59:59`.
fn format_time(seconds: i64) -> String {
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
        let table = Table::from_list(
            &list,
            &[("TASK", "task_id"), ("STATUS", "status"), ("CREATED", "created_time")],
        );
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
            format_fields(&data),
            "task_id           1\nspend_time        2.5\ntask_ids          1, 2\nold_secret_until  2022-04-20 11:15:42\n"
        );
    }
}
