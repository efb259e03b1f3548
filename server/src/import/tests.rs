//! From text to Arrow, and the real files by their recipes.

use std::path::Path;

use super::*;
use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch, TimestampSecondArray};
use arrow::ipc::writer::FileWriter;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use clap::Parser;

#[derive(Debug, Parser)]
struct Program {
    #[command(flatten)]
    options: ImportOptions,
}

fn options(arguments: &[&str]) -> ImportOptions {
    let words = ["import"].into_iter().chain(arguments.iter().copied());
    Program::try_parse_from(words).unwrap().options
}

/// A file of that name and text, in a folder that lasts as long as the test.
fn file(name: &str, text: impl AsRef<[u8]>) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn plans(name: &str, text: &str, arguments: &[&str]) -> Vec<Plan> {
    let (_folder, path) = file(name, text);
    let table = Table::look(&path, &Reading::default()).unwrap().unwrap();
    Plan::make(&path, &table, &options(arguments).said().unwrap()).unwrap()
}

fn plan(name: &str, text: &str, arguments: &[&str]) -> Plan {
    plans(name, text, arguments).remove(0)
}

/// The parts of a text, each as lines of `name=value`, nulls left out.
fn shown(text: &str, plan: &Plan, rows_max: usize) -> Vec<Vec<String>> {
    let mut parts = Vec::new();
    let rows = |sink: &mut table::Sink<'_>| read::text(text.as_bytes(), &plan.form, sink);
    read::cut(rows, plan, rows_max * part::ROW_BYTES, |part, _| {
        let (batch, schema) = (&part.batch, part.batch.schema());
        let line = |row: usize| {
            let values =
                batch.columns().iter().zip(schema.fields()).filter_map(|(column, field)| {
                    let column = crate::cli::table::with_offset(column);
                    let formatter =
                        ArrayFormatter::try_new(&column, &FormatOptions::default()).unwrap();
                    let name = field.name();
                    (!column.is_null(row)).then(|| format!("{name}={}", formatter.value(row)))
                });
            values.collect::<Vec<_>>().join(" ")
        };
        parts.push((0..batch.num_rows()).map(line).collect());
        true
    })
    .unwrap();
    parts
}

const DAYS: &str = "\
symbol,date,open,high,low,close,volume
A,2024-01-02,1,2.5,0.5,1.25,100
B,2024-01-02,1e1,10,10,10,
A,2024-01-03,x,2,1,1,5
A,2024-01-04,1,2

\"A\",2024-01-05,1,2,1,1,5
";

#[test]
fn lines_become_rows_and_what_cannot_be_read_keeps_its_line() {
    let plan = plan("a.csv", DAYS, &["--timeframe", "1d"]);
    let expected = [
        "symbol=A ts=2024-01-02T00:00:00Z open=1.0 high=2.5 low=0.5 close=1.25 volume=100.0 \
         _line=2",
        "symbol=B ts=2024-01-02T00:00:00Z open=10.0 high=10.0 low=10.0 close=10.0 _line=3",
        "symbol=A ts=2024-01-03T00:00:00Z _line=4 _reject=bad_number: open 'x' is not a number \
         _raw=A,2024-01-03,x,2,1,1,5",
        "_line=5 _reject=too_few_fields: 4 fields where there are 7 _raw=A,2024-01-04,1,2",
        "symbol=A ts=2024-01-05T00:00:00Z open=1.0 high=2.0 low=1.0 close=1.0 volume=5.0 _line=7",
    ];
    assert_eq!(shown(DAYS, &plan, 100), [expected]);
}

#[test]
fn parts_are_cut_in_order_and_never_inside_one_symbol_and_time() {
    let text = "\
symbol,ts,open,high,low,close
A,2024-01-02,1,1,1,1
A,2024-01-03,1,1,1,1
A,2024-01-03,2,2,2,2
A,2024-01-03,3,3,3,3
A,2024-01-04,1,1,1,1
";
    let plan = plan("a.csv", text, &["--timeframe", "1d"]);
    let lengths = |rows_max| shown(text, &plan, rows_max).iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(lengths(1), [1, 3, 1]);
    assert_eq!(lengths(2), [4, 1]);
    assert_eq!(lengths(100), [5]);
    assert_eq!(shown(text, &plan, 2).concat(), shown(text, &plan, 100).concat());
}

#[test]
fn texts_of_ticks_are_columns_of_their_own() {
    let text = "\
symbol,ts,price,size,exchange,cond,id
A,2024-01-02T09:30:00Z,1.5,100,N,@F,17
A,2024-01-02T09:30:00Z,1.5,,P,,18
A,2024-01-02T09:30:00Z,1.5,0,,null,
";
    let plan = plan("a.csv", text, &[]);
    let expected = [
        "symbol=A ts=2024-01-02T09:30:00Z price=1.5 size=100.0 venue=N conditions=@F trade_id=17 \
         _line=2",
        "symbol=A ts=2024-01-02T09:30:00Z _line=3 _reject=missing_value: size is empty \
         _raw=A,2024-01-02T09:30:00Z,1.5,,P,,18",
        "symbol=A ts=2024-01-02T09:30:00Z price=1.5 size=0.0 _line=4",
    ];
    assert_eq!(shown(text, &plan, 100), [expected]);
}

#[test]
fn a_quote_may_lack_a_side_and_a_size() {
    let text = "symbol,ts,bid,bid_size,ask\nA,2024-01-02T09:30:00Z,1.5,,\n";
    let plan = plan("a.csv", text, &[]);
    let expected = ["symbol=A ts=2024-01-02T09:30:00Z bid=1.5 _line=2"];
    assert_eq!(shown(text, &plan, 100), [expected]);
}

#[test]
fn each_side_of_a_file_of_quote_bars_is_a_batch_of_its_own() {
    let text = "symbol,ts,bid_open,bid_high,bid_low,bid_close,ask_open,ask_high,ask_low,ask_close
A,2024-01-02T09:30:00Z,1,1,1,1,2,2,2,2
A,2024-01-02T09:31:00Z,1,1,1,1,,,,
";
    let plans = plans("a.csv", text, &["--timeframe", "1m", "--stamp", "start"]);
    let sides: Vec<&str> = plans.iter().map(|plan| plan.price.name()).collect();
    assert_eq!(sides, ["bid", "ask"]);
    assert_ne!(plans[0].identity(), plans[1].identity());
    let rows = shown(text, &plans[1], 100).concat();
    assert!(rows[0].contains("open=2.0 high=2.0 low=2.0 close=2.0"), "{rows:?}");
    assert!(rows[1].contains("_reject=missing_value: open is empty"), "{rows:?}");
}

#[test]
fn a_row_of_json_or_of_typed_columns_is_refused_alone_and_keeps_what_it_was() {
    let unread = |path: &Path| {
        let table = Table::look(path, &Reading::default()).unwrap().unwrap();
        let said = options(&["--symbol", "A", "--time-zone", "UTC"]).said().unwrap();
        let plan = Plan::make(path, &table, &said).unwrap().remove(0);
        let mut got = Vec::new();
        read::parts(path, &plan, &Reading::default(), |part, is_last| {
            assert!(is_last && part.batch.num_rows() == table.rows.len());
            let raw = part.batch.column_by_name("_raw").unwrap().as_string::<i32>();
            let rows = part.unread.iter().map(|row| format!("{} {}", row.line, row.reason));
            got.extend(rows.zip(raw.iter().flatten()).map(|(row, raw)| format!("{row} {raw}")));
            true
        })
        .unwrap();
        got
    };
    let rows = r#"[[1637971200000,"1",null,"buy",2,3,6],[1637971200001,"2",null,"buy",x,3,6],
        [1637971200002,"3",null,"buy",2,3,6]]"#;
    let (_folder, path) = file("a.json", rows);
    assert_eq!(unread(&path), [r#"2 unreadable [1637971200001,"2",null,"buy",x,3,6]"#]);

    let (_folder, path) = file("a.feather", "");
    let batch = RecordBatch::try_from_iter([
        ("ts", Arc::new(TimestampSecondArray::from(vec![1, i64::MAX, 3, 4, 5])) as ArrayRef),
        (
            "price",
            Arc::new(
                [Some(1.5), Some(1.5), None, Some(2.0), Some(2.0)]
                    .into_iter()
                    .collect::<Float64Array>(),
            ),
        ),
        ("size", Arc::new(Float64Array::from(vec![1.0; 5]))),
    ]);
    let batch = batch.unwrap();
    let out = std::fs::File::create(&path).unwrap();
    let mut writer = FileWriter::try_new(out, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    let expected = [
        r#"2 bad_time {"ts":9223372036854775807,"price":1.5,"size":1}"#,
        r#"3 missing_value {"ts":"1970-01-01 00:00:03","price":null,"size":1}"#,
    ];
    assert_eq!(unread(&path), expected);
}

#[test]
fn a_line_of_bytes_that_are_no_text_is_kept_with_its_reason() {
    let plan = plan("a.csv", DAYS, &["--timeframe", "1d"]);
    let mut unread = Vec::new();
    let text = b"symbol,date,open,high,low,close,volume\nA,2024-01-02,\xFF,1,1,1,1\n";
    let rows = |sink: &mut table::Sink<'_>| read::text(&text[..], &plan.form, sink);
    read::cut(rows, &plan, part::BYTES_MAX, |part, is_last| {
        unread.extend(part.unread);
        is_last
    })
    .unwrap();
    assert_eq!((unread.len(), unread[0].line, unread[0].reason), (1, 2, "unreadable"));
}

#[test]
fn options_are_the_same_when_a_job_says_them() {
    let all = [
        ("--dataset", "quotes"),
        ("--timeframe", "1m"),
        ("--symbol", "{stem}"),
        ("--source", "lean"),
        ("--price", "bid,ask"),
        ("--price-scale", "10000"),
        ("--stamp", "end"),
        ("--calendar", "XNYS"),
        ("--time-zone", "America/New_York"),
        ("--map", "ts=Date,open=1"),
        ("--known-at", "ts_end+15m"),
        ("--session", "extended"),
        ("--align", "clock"),
    ];
    let words: Vec<&str> = all.iter().flat_map(|(name, value)| [*name, *value]).collect();
    let complete = [words.as_slice(), &["--complete"]].concat();
    let facts = ["--dataset", "instruments", "--since", "2024-01-01"];
    let own = ["--dataset", "news", "--map", "x=-"];
    for words in [&[][..], &complete, &facts, &own] {
        let options = options(words);
        let params: serde_json::Map<_, _> =
            options.to_params().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        assert_eq!(ImportOptions::of_params(&params), Ok(options), "{words:?}");
    }
    let texts = serde_json::json!({ "price": "bid,ask", "map": { "ts": "Date", "open": "1" } });
    let read = ImportOptions::of_params(texts.as_object().unwrap()).unwrap();
    let mut same = options(&["--price", "bid,ask", "--map", "open=1,ts=Date"]);
    same.map.sort();
    assert_eq!(read, same);
}

#[test]
fn what_cannot_be_is_said_before_any_file_is_read() {
    for (arguments, expected) in [
        (&["--price", "bid,ask,bid"][..], "bid is there twice"),
        (&["--since", "2024-01-01"], "is said of attributes"),
        (&["--timeframe", "tick"], "bars have a step"),
        (&["--source", "a,b"], "holds a comma"),
    ] {
        let error = options(arguments).said().unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(matches!(error, ImportError::Usage(_)), "{error:?}");
    }
    for arguments in [
        ["--known-at", "15m"],
        ["--known-at", "ts_end+m"],
        ["--timeframe", "2m"],
        ["--dataset", "my-news"],
        ["--price-scale", "0"],
    ] {
        let words = ["import", "a.csv"].into_iter().chain(arguments);
        assert!(Program::try_parse_from(words).is_err(), "{arguments:?}");
    }
    assert_eq!(options(&["--known-at", "ts_end+15m"]).known_at.as_deref(), Some("ts_end+15m"));
}

/// The files of a pattern with at most one `*` in its last part and any in the name.
fn matching(root: &Path, glob: &str) -> Vec<PathBuf> {
    let (folder, pattern) = glob.rsplit_once('/').unwrap();
    let pieces: Vec<&str> = pattern.split('*').collect();
    let is_match = |name: &str| {
        let mut rest = name;
        let last = pieces.len() - 1;
        pieces.iter().enumerate().all(|(at, piece)| {
            let found = match at {
                0 => rest.starts_with(piece).then_some(0),
                _ if at == last => rest.ends_with(piece).then(|| rest.len() - piece.len()),
                _ => rest.find(piece),
            };
            found.map(|start| rest = &rest[start + piece.len()..]).is_some()
        }) && (pieces.len() > 1 || name == pattern)
    };
    let entries = std::fs::read_dir(root.join(folder)).unwrap();
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| is_match(&path.file_name().unwrap().to_string_lossy()))
        .collect();
    paths.sort();
    paths
}

#[test]
fn every_real_file_loads_or_is_refused_as_its_recipe_says() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let data = top.join("../shared/data");
    if !data.is_dir() {
        let what = format_args!("SKIPPED: there is no ../shared/data beside the source\n");
        let _ = std::io::Write::write_fmt(&mut std::io::stderr(), what);
        return;
    }
    let text = std::fs::read_to_string(top.join("tests/recipes.toml")).unwrap();
    let recipes: toml::Table = text.parse().unwrap();
    let mut loaded = std::collections::BTreeSet::new();
    for recipe in recipes["recipe"].as_array().unwrap() {
        let glob = recipe["glob"].as_str().unwrap();
        let arguments: Vec<&str> =
            recipe["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        let paths = matching(&data, glob);
        assert!(!paths.is_empty(), "{glob}: no such file");
        for path in paths {
            let shown = path.display();
            let options = options(&arguments);
            let planned = find(std::slice::from_ref(&path))
                .and_then(|found| plan_rows(&found.files, &options, &Reading::default()));
            let refused = recipe.get("message").map(|message| message.as_str().unwrap());
            match (planned, refused) {
                (Err(error), Some(message)) => {
                    assert!(error.to_string().contains(message), "{shown}: {error}");
                    assert!(matches!(error, ImportError::Usage(_)), "{error:?}");
                }
                (Ok(planned), None) => {
                    let sides = recipe.get("sides").map_or(1, |s| s.as_table().unwrap().len());
                    assert_eq!(planned.len(), sides, "{shown}");
                    for Planned { plan, .. } in &planned {
                        check_mapping(recipe, plan);
                        check_rows(&path, plan);
                    }
                    loaded.insert(path);
                }
                (Ok(_), Some(message)) => panic!("{shown}: not refused ({message})"),
                (Err(error), None) => panic!("{shown}: {error}"),
            }
        }
    }
    let folders = ["daily", "minute", "ticks"].map(|name| data.join(name));
    for path in files::find(&folders).unwrap().files {
        assert!(loaded.contains(&path), "{}: no recipe loads it", path.display());
    }
}

/// The columns that were found are those the recipe names.
fn check_mapping(recipe: &toml::Value, plan: &Plan) {
    let mut expected = recipe["columns"].as_table().unwrap().clone();
    if let Some(sides) = recipe.get("sides") {
        let side = sides.get(plan.price.name()).expect("the recipe has this side");
        expected.extend(side.as_table().unwrap().clone());
    }
    expected.insert("ts".to_owned(), recipe["ts"].clone());
    assert_eq!(plan.dataset.name(), recipe.get("dataset").map_or("bars", |d| d.as_str().unwrap()));
    if let form::Form::Delimited(layout) = &plan.form {
        assert_eq!(layout.header.is_some(), recipe["header"].as_bool().unwrap());
        assert_eq!(layout.separator.to_string(), recipe["sep"].as_str().unwrap());
    }
    assert_eq!(plan.columns.of_role.len(), expected.len(), "{:?}", plan.columns);
    for (role, place) in &plan.columns.of_role {
        match &expected[role.name()] {
            toml::Value::String(name) if name.is_empty() => assert_eq!(*place, 0),
            toml::Value::String(name) => assert_eq!(&plan.names[*place], name),
            number => assert_eq!(i64::try_from(*place).unwrap(), number.as_integer().unwrap()),
        }
    }
}

/// Every row of the file's first part is read; only bars of quotes with a side missing are not.
/// (`tests/recipes.py` compares all rows of all parts.)
fn check_rows(path: &Path, plan: &Plan) {
    let (mut rows, mut unread) = (0, Vec::new());
    read::parts(path, plan, &Reading::default(), |part, _| {
        rows += part.batch.num_rows();
        unread.extend(part.unread);
        false
    })
    .unwrap();
    assert!(rows > 0);
    unread.retain(|line| line.reason != "missing_value");
    assert_eq!(unread, [], "{}", path.display());
}
