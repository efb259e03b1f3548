//! Shapes of JSON, as tables.

use super::*;

/// The table: its description, names, and rows with their cells or reasons.
fn check(text: &str, expected: &[&str]) {
    let open = || Ok(text.as_bytes());
    let got = match look(open).unwrap() {
        Err(why) => vec![why],
        Ok(Looked { form, rows, symbol }) => {
            let names = form.names.as_ref().map_or(form.width.to_string(), |names| names.join("/"));
            let symbol = symbol.map_or(String::new(), |symbol| format!(" of {symbol}"));
            let mut lines = vec![format!("{}: {names}{symbol}", form.describe())];
            let mut again = Vec::new();
            records(text.as_bytes(), &form, &mut |record| {
                again.push(Sampled::of(record));
                ControlFlow::Continue(())
            })
            .unwrap();
            assert_eq!(rows, again);
            lines.extend(rows.iter().map(|row| match &row.cells {
                Ok(cells) => {
                    let texts: Vec<_> = cells.iter().map(Cell::text).collect();
                    format!("{} {}", row.number, texts.join("/"))
                }
                Err(error) => format!("{} {}", row.number, error.reason),
            }));
            lines
        }
    };
    assert_eq!(got, expected, "{text}");
}

#[test]
fn arrays_hold_rows_as_objects_or_arrays() {
    check(
        r#"[{"ts":"2024-01-02","open":1.50,"x":null}, {"open":2e1,"ts":"é","late":true}]"#,
        &["JSON, an array of objects: ts/open/x/late", "1 2024-01-02/1.50//", "2 é/2e1//true"],
    );
    check(
        "[[1509836520000, 0.5],\n[1,2]]\n",
        &["JSON, an array of arrays: 2", "1 1509836520000/0.5", "2 1/2"],
    );
}

#[test]
fn rows_may_stand_one_a_line() {
    check(
        "{\"t\":1,\"p\":\"0.1\"}\n\n{\"t\":2}\n",
        &["JSON, objects one a line: t/p", "1 1/0.1", "3 2/"],
    );
    check("{\"t\":1}\n", &["JSON, objects one a line: t", "1 1"]);
    check("[1,2]\n[3,4]\n", &["JSON, arrays one a line: 2", "1 1/2", "2 3/4"]);
}

#[test]
fn what_is_no_row_is_refused_alone() {
    check(
        r#"[[1,2],[1],[1,2,3],7,{"a":1},[1,nope],[3,4]]"#,
        &[
            "JSON, an array of arrays: 2",
            "1 1/2",
            "2 too_few_fields",
            "3 too_many_fields",
            "4 unreadable",
            "5 unreadable",
            "6 unreadable",
            "7 3/4",
        ],
    );
    check(
        "{\"t\":1}\n{\"t\":2}\n{\"t\":",
        &["JSON, objects one a line: t", "1 1", "2 2", "3 unreadable"],
    );
    check("[[1,2],[3", &["JSON, an array of arrays: 2", "1 1/2", "2 unreadable"]);
}

#[test]
fn an_object_may_hold_columns() {
    check(
        r#"{"ts":[1,2],"open":[0.5,null]}"#,
        &["JSON, an object of columns: ts/open", "1 1/0.5", "2 2/"],
    );
    check(
        r#"{"ts":[1,2],"open":[0.5]}"#,
        &["its columns are not equally long: open is shorter than others"],
    );
    check(
        r#"{"open":{"1509836520000":0.5,"2":1},"close":{"1509836520000":3}}"#,
        &[
            "JSON, an object of columns by index, as pandas writes it: index/open/close",
            "1 1509836520000/0.5/3",
            "2 2/1/",
        ],
    );
    check(
        r#"{"columns":["o","c"],"index":[7,8],"data":[[1,2],[3]]}"#,
        &[
            "JSON, columns, index and data, as pandas writes it: index/o/c",
            "1 7/1/2",
            "2 \
           too_few_fields",
        ],
    );
}

#[test]
fn an_object_may_hold_rows() {
    check(
        r#"{"bars":[{"t":"2024-01-02","o":1},{"t":"2024-01-03","o":2}],"symbol":"AAPL",
           "next_page_token":null}"#,
        &["JSON, rows in one member of an object: t/o of AAPL", "1 2024-01-02/1", "2 2024-01-03/2"],
    );
    check(
        r#"{"Meta Data":{"1. Information":"x"},
           "Time Series (1min)":{"2017-12-18 16:00:00":{"1. open":"86.3"},"x":5}}"#,
        &[
            "JSON, rows by key in one member of an object: index/1. open",
            "1 2017-12-18 16:00:00/86.3",
            "2 unreadable",
        ],
    );
    check(
        r#"{"2024-01-02":{"open":1},"2024-01-03":{"open":2}}"#,
        &["JSON, an object of rows by key: index/open", "1 2024-01-02/1", "2 2024-01-03/2"],
    );
}

#[test]
fn what_is_not_understood_is_said() {
    check("", &["it is empty"]);
    check("7", &["it begins neither with [ nor with {"]);
    check("[]", &["it holds no rows"]);
    check("{\"a\":1,\n\"b\":2}", &["no rows are found in it; its members are a, b"]);
    check(
        r#"{"bars":[[1]],"quotes":[[2]]}"#,
        &["several members hold rows (bars, quotes): write a file of each"],
    );
}
