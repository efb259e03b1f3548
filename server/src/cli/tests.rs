//! The grammar of the command line.

use super::features::Document;
use super::*;
use clap::ValueEnum;
use clap_complete::Shell;

fn command(line: &str) -> Result<Command, clap::Error> {
    let words = std::iter::once("barrow").chain(line.split_whitespace());
    Program::try_parse_from(words).map(|program| program.command)
}

#[test]
fn the_grammar_is_consistent() {
    Program::command().debug_assert();
}

#[test]
fn the_completions_of_every_shell_name_every_command() {
    for shell in Shell::value_variants() {
        let mut script = Vec::new();
        execute(command(&format!("completions {shell}")).unwrap(), &mut script).unwrap();
        let script = String::from_utf8(script).unwrap();
        for command in Program::command().get_subcommands() {
            assert!(script.contains(command.get_name()), "{shell}: {}", command.get_name());
        }
    }
}

#[test]
fn the_help_of_every_command_has_examples_that_parse() {
    fn walk(command: &clap::Command, path: &str, found: &mut Vec<(String, String)>) {
        for command in command.get_subcommands() {
            let path = format!("{path} {}", command.get_name());
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            // What is not built has nothing to show.
            if !about.contains("not available yet") {
                let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                found.push((path.clone(), help));
            }
            walk(command, &path, found);
        }
    }
    let mut found = Vec::new();
    walk(&Program::command(), "barrow", &mut found);
    assert!(found.len() > 40, "{found:?}");
    for (path, help) in found {
        let examples = help.strip_prefix("Examples:\n");
        let examples = examples.unwrap_or_else(|| panic!("{path} --help has no examples: {help}"));
        let own: Vec<&str> =
            examples.lines().map(str::trim).filter(|line| line.starts_with(&path)).collect();
        assert!(!own.is_empty(), "{path} --help has no example of itself");
        // Those that need a shell to be read are left to it.
        for line in own.iter().filter(|line| !line.contains(['\'', '"', '\\', '>'])) {
            let words = line.split('#').next().unwrap().split("  ").find(|part| !part.is_empty());
            let words = words.unwrap().split_whitespace();
            if let Err(error) = Program::try_parse_from(words) {
                panic!("{line}: {error}");
            }
        }
    }
}

#[test]
fn every_command_of_the_contract_is_known() {
    for line in [
        "demo --data d --exit",
        "demo --exit --from a.csv b.csv --timeframe 1d --symbol A",
        "serve --config c --data d --http 127.0.0.1:0 --feed 127.0.0.1:0",
        "import a b --dataset bars --timeframe 1m --symbol S --source N --price bid --stamp end \
         --calendar C --time-zone UTC --map ts=Date,open=Open --complete --known-at ts_end+15m \
         --session all --align clock --dry-run --data d",
        "query bars --symbols A,B --start 2024-01-01 --end 2024-01-02 --frequency 5m --layer raw \
         --as-of 2024-01-01 --at-sequence 7 --revisions all --columns open --limit 5 --format csv \
         -o f --server http://127.0.0.1:1",
        "query bars --symbols A --frequency 1m --price bid,ask --format parquet -o f",
        "query trades --symbols A,B --start 2024-01-01 --source s --limit 5 --format arrow",
        "query quotes --symbols A --as-of 2024-01-01 --columns bid,ask --format parquet -o f",
        "query table news --symbols A,B --start 2024-01-01 --as-of 2024-01-01 --format csv",
        "query table news",
        "tables put news news.yaml",
        "tables list --data d",
        "tables describe news",
        "import a.csv --dataset news --map ts=Date,x=- --symbol ALL --source s",
        "delete rows --dataset news --symbol A --source s --ts 2024-01-01 --key id=1 --key b=2",
        "query gaps --symbols A,B --frequency 1m --start 2024-01-01 --reason missing --format json",
        "quality bars --symbols A,B --frequency 1m --price bid --source s --start-date 2024-01-01 \
         --end-date 2024-01-02 --by session,symbol --at-sequence 7 --format json",
        "quality trades",
        "health bars --as-of-date 2024-01-01 --start-date 2023-12-01 --as-of 2024-01-01",
        "latest A B --group g@1",
        "latest A --dataset quotes",
        "delete rows --batch b",
        "delete rows --symbol A --timeframe 1m --source s --ts 2024-01-01T00:00:00Z",
        "dead-letters list --batch b --limit 5 --cursor 1-0",
        "dead-letters show 1-0",
        "dead-letters replay 1-0 --timeframe 1m --price bid --symbol A --stamp end --columns a,- \
         --known-at ts_end --set close=1.5 --set volume=",
        "instruments list --symbols A,B --as-of 2024-01-01 --format json",
        "instruments show A --at-sequence 7",
        "instruments put file.json",
        "sources list",
        "sources show bars --as-of 2024-01-01",
        "sources set bars --order a,b --fallback slot --publish-delay a=2s --adjustment a=all",
        "rules list bars",
        "rules set bars spike --enabled true --severity warn --action flag --threshold k=9",
        "rules set bars spike --default",
        "halts list --symbols A --start 2024-01-01 --end 2024-01-02",
        "halts add A --start 2024-01-02T15:00:00Z --end 2024-01-02T15:05:00Z --note n",
        "quarantine --symbol A --source s --timeframe 1m --ts 2024-01-02T15:00:00Z --note n",
        "release --symbol A --source s --timeframe 1d --ts 2024-01-02,2024-01-03 --rule spike",
        "verify --data d",
        "verify --server http://127.0.0.1:1",
        "query features --groups g,h@1 --symbols A,B --start 2024-01-01 --end 2024-01-02 --reasons \
         --as-of 2024-01-01 --at-sequence 7 --columns ts,x --limit 5 --format parquet -o f \
         --data d",
        "latest A --group g --max-age 90s --as-of 2024-01-01",
        "features put file.yaml --data d",
        "features promote g 0123456789abcdef",
        "features list --format json",
        "features describe g@0123456789abcdef",
        "features verify g --symbols A,B --start 2024-01-01 --end 2024-01-02 --as-of 2024-01-03",
        "features lint g --symbols A --at-sequence 7",
        "jobs list",
        "jobs list --state RUNNING,PENDING --kind verify --limit 5 --cursor 7",
        "jobs show 7",
        "jobs cancel 7 --data d",
        "jobs retry 7",
        "jobs watch 7",
        "backfill --dry-run",
        "backup dir",
        "backup dir --data d",
        "restore backup dir --sequence 7",
        "inspect file",
    ] {
        assert!(command(line).is_ok(), "{line}: {}", command(line).unwrap_err());
    }
}

#[test]
fn a_command_that_is_not_built_says_so_and_exits_with_2() {
    for line in ["backfill x", "query sql x", "export e"] {
        let error = execute(command(line).unwrap(), &mut Vec::new()).unwrap_err();
        assert_eq!(error.code(), 2, "{line}");
        assert!(error.to_string().starts_with("not available yet: barrow "), "{line}: {error}");
    }
}

#[test]
fn wrong_usage_is_refused_by_the_grammar() {
    for line in [
        "",
        "import",
        "import a --timeframe 2m",
        "import a --stamp middle",
        "import a --server http://x --data d",
        "delete rows",
        "delete rows --symbol A",
        "query bars --symbols A",
        "query trades",
        "query trades --symbols A --frequency 1m",
        "latest A --dataset features",
        "latest A --group g --layer curated",
        "latest A --max-age 90s",
        "query features --symbols A",
        "features put",
        "verify --server http://x --data d",
        "dead-letters replay 1-0 --set close",
        "dead-letters show",
        "instruments",
        "rules set bars spike --default --action flag",
        "sources set bars --publish-delay lean",
        "quarantine --symbol A --source s --timeframe 1m",
        "halts add A",
        "no-such-command",
    ] {
        assert!(command(line).is_err(), "{line}");
    }
}

#[test]
fn without_a_server_a_command_says_how_to_start_one() {
    // Port 1 of this machine: nobody listens there.
    let line = "latest A --server http://127.0.0.1:1";
    let error = execute(command(line).unwrap(), &mut Vec::new()).unwrap_err();
    assert_eq!(error.code(), 1);
    let expected = "no server at http://127.0.0.1:1: start `barrow serve` or give --data DIR";
    assert_eq!(error.to_string(), expected);
}

/// What a command that ends well says.
fn said(line: &str) -> String {
    let mut out = Vec::new();
    if let Err(error) = execute(command(line).unwrap(), &mut out) {
        panic!("{line}: {error}");
    }
    String::from_utf8(out).unwrap()
}

/// What a command that fails says.
fn failed(line: &str) -> String {
    execute(command(line).unwrap(), &mut Vec::new()).unwrap_err().to_string()
}

fn has_lines(text: &str, lines: &[&str]) {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let found: Vec<String> = text.lines().map(words).collect();
    for line in lines {
        assert!(found.iter().any(|found| found == line), "{line:?} is no line of\n{text}");
    }
}

const ROWS: &str = "\
symbol,date,open,high,low,close,volume
A,2024-01-02,1,2.5,0.5,1.25,100
B,2024-01-02,10,10,10,10,
A,2024-01-03,x,2,1,1,5
A,2024-01-04,1,2
A,2024-01-05,1,2,1,1,5
A,2024-01-05,1,2,1,1.5,5
B,2024-01-02,10,10,10,10,
";

#[test]
fn a_file_is_imported_once_however_often_and_its_bad_lines_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (folder.path().join("rows.csv"), folder.path().join("data"));
    std::fs::write(&file, ROWS).unwrap();
    let (file, data) = (file.display(), data.display());
    let import = format!("import {file} --timeframe 1d --source s --data {data}");
    let counts = ["read 7", "accepted 3", "duplicate 1", "corrected 1", "rejected 2"];
    let first = said(&import);
    has_lines(&first, &counts);
    has_lines(&first, &[&format!("{file} line 4: open 'x' is not a number"), "too_few_fields 1"]);
    let again = said(&import);
    has_lines(&again, &counts);
    assert!(again.contains("1 of 1 batches were imported before"), "{again}");
    let letters = said(&format!("dead-letters list --data {data}"));
    has_lines(&letters, &["A,2024-01-03,x,2,1,1,5", "A,2024-01-04,1,2"]);
    assert_eq!(letters.matches("row 4: bad_number").count(), 1, "kept once:\n{letters}");
    let (id, _) = letters.split_once("  ").unwrap();
    let shown = said(&format!("dead-letters show {id} --data {data}"));
    has_lines(&shown, &["A,2024-01-03,x,2,1,1,5", "replayed never"]);
    let replay = format!("dead-letters replay {id} --timeframe 1d --data {data}");
    let silent = failed(&replay);
    assert!(silent.contains("does not name its columns"), "{silent}");
    let named = format!("{replay} --columns symbol,ts,open,high,low,close,volume");
    let rejected = failed(&named);
    assert!(rejected.contains("'x' is no number"), "{rejected}");
    assert!(said(&format!("{named} --set open=1 --set volume=")).starts_with("stored (batch "));
    let letters = said(&format!("dead-letters list --data {data}"));
    assert!(letters.contains(&format!("(replayed as replay:{id}:2)")), "{letters}");
    let query = format!("query bars --symbols A,B --frequency 1d --data {data} --format csv");
    let columns = "--columns symbol,ts,open,high,low,close,volume";
    let number = |field: &str| field.parse::<f64>().map_or(field.to_owned(), |n| n.to_string());
    let line = |line: &str| line.split(',').map(number).collect::<Vec<_>>().join(",") + "\n";
    let rows: String = said(&format!("{query} {columns}")).lines().map(line).collect();
    let expected = "symbol,ts,open,high,low,close,volume\n\
        A,2024-01-02T00:00:00Z,1,2.5,0.5,1.25,100\n\
        A,2024-01-03T00:00:00Z,1,2,1,1,\n\
        A,2024-01-05T00:00:00Z,1,2,1,1.5,5\n\
        B,2024-01-02T00:00:00Z,10,10,10,10,\n";
    assert_eq!(rows, expected);
    let delete = "--symbol A --timeframe 1d --source s --ts 2024-01-02,2024-01-03,2024-01-05";
    assert!(said(&format!("delete rows {delete} --data {data}")).starts_with("retracted 3 rows"));
    assert_eq!(said(&format!("{query} {columns}")).lines().count(), 2, "the header and B");
    has_lines(&said(&format!("verify --data {data}")), &["no problem found"]);
}

#[test]
fn the_demo_shows_a_correction_and_loads_its_market_once() {
    let folder = tempfile::tempdir().unwrap();
    let line = format!("demo --exit --data {}", folder.path().join("demo").display());
    let first = said(&line);
    assert!(first.contains("sample-corrections") && !first.contains("there already"), "{first}");
    let tables: Vec<&str> = first.split("BECH as it ").collect();
    assert_eq!(tables.len(), 3, "{first}");
    assert_ne!(tables[1].lines().nth(2), tables[2].lines().nth(2), "before and after");
    let (_, features) = first.split_once("Newest features").unwrap();
    assert!(features.contains("rsi14      RSI($close, 14)"), "{features}");
    // Friday's last minute, a half day in New York, has every feature of a symbol that trades.
    let newest = features.lines().find(|line| line.starts_with("ALDR")).unwrap();
    let words: Vec<&str> = newest.split_whitespace().collect();
    assert_eq!(words[1], "2024-11-29T17:59:00Z", "{features}");
    assert!(words[2..8].iter().all(|word| word.parse::<f64>().is_ok()), "{features}");
    let again = said(&line);
    assert_eq!(again.matches("there already").count(), 7, "{again}");
    let newest_again = again.lines().rfind(|line| line.starts_with("ALDR")).unwrap();
    assert_eq!(newest_again.split_whitespace().take(8).collect::<Vec<_>>(), words[..8]);
}

const COMPLETE: &str = "\
symbol,ts,open,high,low,close
A,2013-10-07T13:30:00Z,1,1,1,1
A,2013-10-07T13:33:00Z,1,1,1,1
B,2013-10-07T13:31:00Z,1,1,1,1
B,2013-10-07T13:32:00Z,1,1,1,1
";

#[test]
fn a_complete_file_says_that_what_it_has_not_got_was_not_traded() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (folder.path().join("rows.csv"), folder.path().join("data"));
    std::fs::write(&file, COMPLETE).unwrap();
    let (name, data) = (file.display(), data.display());
    let import = format!(
        "import {name} --timeframe 1m --stamp start --source s --calendar XNYS --data {data}"
    );
    let shown = said(&format!("{import} --complete --dry-run"));
    has_lines(&shown, &["complete from each symbol's first bar to its last"]);
    has_lines(&said(&format!("{import} --complete")), &["accepted 4", "claimed 2"]);
    let listed = said(&format!("instruments list --data {data}"));
    has_lines(&listed, &["A XNYS", "B XNYS"]);
    // Again: nothing new, and the same claims.
    has_lines(&said(&format!("{import} --complete")), &["claimed 2"]);
    let other = failed(&import.replace("XNYS", "XLON"));
    assert!(other.contains("instrument A follows XNYS, not XLON"), "{other}");
    let unknown = failed(&import.replace("XNYS", "XMOON"));
    assert!(unknown.contains("there is no \"XMOON\""), "{unknown}");
    // A line that is turned away is known to be of its slot; one that nobody can place may lie in
    // any gap.
    let no_price = COMPLETE.replace("B,2013-10-07T13:31:00Z,1", "B,2013-10-07T13:31:00Z,x");
    std::fs::write(&file, no_price).unwrap();
    has_lines(&said(&format!("{import} --complete")), &["rejected 1", "claimed 2"]);
    let unread = COMPLETE.replace("B,2013-10-07T13:31:00Z,1", ",2013-10-07T13:31:00Z,1");
    std::fs::write(&file, unread).unwrap();
    let unread = said(&format!("{import} --complete"));
    assert!(unread.contains("not claimed to be complete: 1 of its rows"), "{unread}");
    let ticks = folder.path().join("ticks.csv");
    std::fs::write(&ticks, "symbol,ts,price,size\nA,2013-10-07T13:30:00Z,1,1\n").unwrap();
    let refused = failed(&format!("import {} --complete --data {data}", ticks.display()));
    assert!(refused.contains("--complete: ") && refused.contains("trades"), "{refused}");
}

#[test]
fn a_store_is_backed_up_and_brought_back_to_any_of_its_records() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).display().to_string();
    let [file, data, backup, restored] = ["rows.csv", "data", "b/one", "restored"].map(place);
    let rows: Vec<&str> = MINUTES.lines().collect();
    for (batch, row) in [("first", rows[1]), ("second", rows[2])] {
        std::fs::write(&file, format!("{}\n{row}\n", rows[0])).unwrap();
        let options = format!("--timeframe 1m --stamp start --source {batch}");
        said(&format!("import {file} {options} --data {data}"));
    }
    let query = |data: &str| {
        said(&format!(
            "query bars --symbols A --frequency 1m --layer raw --format csv --data {data}"
        ))
    };
    let before = query(&data);
    assert_eq!(before.lines().count(), 3, "{before}");
    let told = said(&format!("backup {backup} --data {data}"));
    let (_, range) = told.trim_end().split_once("to any sequence from ").unwrap();
    let (first, last) = range.split_once(" to ").unwrap();
    assert!(said(&format!("verify --data {backup}")).ends_with("no problem found\n"));

    let told = said(&format!("restore {backup} {restored}"));
    assert_eq!(told, format!("restored {restored} as it was at sequence {last}\n"));
    assert_eq!(query(&restored), before);
    let empty = place("empty");
    std::fs::create_dir(&empty).unwrap();
    said(&format!("restore {backup} {empty} --sequence {first}"));
    // Nothing was in segments.
    assert_eq!(first, "0");
    let none = failed(&format!("query bars --symbols A --frequency 1m --data {empty}"));
    assert!(none.contains("no source has delivered"), "{none}");

    let next = last.parse::<u64>().unwrap() + 1;
    let other = place("other");
    let refused = failed(&format!("restore {backup} {other} --sequence {next}"));
    assert!(refused.contains(&format!("any record from {first} to {last}")), "{refused}");
    for command in
        [format!("restore {backup} {restored}"), format!("backup {backup} --data {data}")]
    {
        assert!(failed(&command).contains("is not empty"));
    }
    for command in [
        format!("backup {data}/copy --data {data}"),
        format!("backup {other}.unfinished --data {data}"),
        format!("backup {other} --data {}", folder.path().display()),
        format!("restore {} {other}", place("missing")),
    ] {
        failed(&command);
    }
    assert!(!std::path::Path::new(&other).exists());
}

#[test]
fn facts_are_stated_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (folder.path().join("x.json"), folder.path().join("data"));
    let data = data.display();
    std::fs::write(&file, r#"{"id": "meta", "name": "META", "calendar": "XNYS"}"#).unwrap();
    let put = format!("instruments put {} --data {data}", file.display());
    assert!(said(&put).starts_with("2 facts stated (batch "));
    let shown = said(&format!("instruments show META --data {data}"));
    std::fs::write(&file, &shown).unwrap();
    assert!(said(&put).starts_with("0 facts stated, 2 were known (batch "), "{shown}");
    said(&format!("sources set bars --order ib,lean --publish-delay lean=2s --data {data}"));
    let shown = said(&format!("sources show bars --data {data}"));
    assert!(shown.contains("\"lean\": 2000000000"), "{shown}");
    said(&format!("rules set bars spike --action quarantine --threshold k=9 --data {data}"));
    let rules = said(&format!("rules list bars --data {data}"));
    let words: Vec<&str> = rules.split_whitespace().collect();
    let spike = ["bars", "spike", "true", "warn", "quarantine", "k=9", "m=3", "min=0.01", "true"];
    assert!(words.windows(spike.len()).any(|found| found == spike), "{rules}");
    let start = "2013-10-07T14:00:00Z";
    said(&format!("halts add META --start {start} --note news --data {data}"));
    let halts = said(&format!("halts list --data {data}"));
    assert!(halts.contains("meta        2013-10-07T14:00:00Z"), "by its id:\n{halts}");
    let none = failed(&format!(
        "quarantine --symbol A --source s --timeframe 1m --ts {start} --data {data}"
    ));
    assert!(none.contains("has no visible 1m bar then"), "{none}");
    assert!(failed(&format!("rules set bars spike --data {data}")).contains("say what to set"));
}

#[test]
fn real_map_and_factor_files_make_one_adjusted_history_of_a_company() {
    let shared = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data");
    if !std::path::Path::new(shared).exists() {
        let _ = writeln!(std::io::stderr(), "skipped: there is no {shared}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.display();
    let reference = |what: &str, dataset: &str| {
        let options = format!("--source lean --calendar XNYS --data {data}");
        said(&format!("import {shared}/reference/{what} --dataset {dataset} {options}"))
    };
    has_lines(
        &reference("lean_map_files", "instruments"),
        &["map file: WM with 3 bindings; 1 instruments"],
    );
    reference("lean_factor_files", "actions");
    let bars = format!("{shared}/daily/lean_us_daily_unadjusted.csv.gz");
    said(&format!("import {bars} --timeframe 1d --source lean --known-at ts_end --data {data}"));
    let query = |symbol: &str, range: &str| {
        let what = format!("--symbols {symbol} --frequency 1d {range} --format csv --data {data}");
        let text = said(&format!("query bars --columns session,close {what}"));
        let row = |line: &str| {
            let (session, close) = line.split_once(',').unwrap();
            (session.replace('-', ""), close.parse::<f64>().unwrap())
        };
        text.lines().skip(1).map(row).collect::<Vec<_>>()
    };
    // Waste Management was WMI up to 2009-08-04, and WM was another company until 2008.
    let name = query("WM", "--start 2009-08-04 --end 2009-08-06");
    let closes: Vec<_> = name.iter().map(|(session, _)| session.as_str()).collect();
    assert_eq!(closes, ["20090804", "20090805"]);
    assert_eq!(query("WM", "--start 2007-06-01 --end 2007-06-02")[0].1, 39.65, "that of WMI");
    // What the factors of a file make of its prices.
    let factors = format!("{shared}/reference/lean_factor_files/aapl.csv");
    let factors = std::fs::read_to_string(factors).unwrap();
    let factors: Vec<(&str, f64)> = factors
        .lines()
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            let number = |at: usize| fields[at].parse::<f64>().unwrap();
            (fields[0], number(1) * number(2))
        })
        .collect();
    let range = "--start 1998-01-02 --end 2021-04-01";
    let (raw, adjusted) = (query("AAPL", range), query("AAPL", &format!("{range} --adjust all")));
    assert_eq!((raw.len(), adjusted.len()), (5_849, 5_849));
    for ((session, close), (_, adjusted)) in raw.iter().zip(&adjusted) {
        let (_, factor) = factors.iter().find(|(date, _)| session.as_str() <= *date).unwrap();
        // Factors of the nineties have six digits.
        assert!((adjusted / (close * factor) - 1.0).abs() < 5e-6, "{session}: {adjusted}");
    }
}

const MINUTES: &str = "\
symbol,ts,open,high,low,close
A,2013-10-07T13:30:00Z,1,2,0.5,1
A,2013-10-07T13:31:00Z,1,2,0.5,2
A,2013-10-07T13:32:00Z,1,2,0.5,1.5
B,2013-10-07T13:30:00Z,1,2,0.5,1
";

const GROUP: &str = "\
kind: FeatureSet
name: core
bars: {every: 1m}
params: {W: [1, 2]}
features:
  - {name: \"ret{w}\", for: {w: W}, expr: \"Ret($close, {w})\"}
  - name: third
    expr: $close/3
";

#[test]
fn features_are_put_looked_at_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let [rows, file, data] = ["rows.csv", "core.yaml", "data"].map(|name| folder.path().join(name));
    std::fs::write(&rows, MINUTES).unwrap();
    std::fs::write(&file, GROUP).unwrap();
    let (rows, group, data) = (rows.display(), file.display(), data.display());
    let import = "--timeframe 1m --stamp start --source s --known-at ts_end";
    said(&format!("import {rows} {import} --data {data}"));
    let put = format!("features put {group} --data {data}");
    let first = said(&put);
    let (name, _) = first.split_once("  3 features, put").unwrap();
    let version = name.strip_prefix("core@").unwrap();
    assert!(first.contains("core means this version"), "{first}");
    assert!(said(&put).contains("3 features, there already"));
    // The same as JSON is the same.
    let json = Document::parse(GROUP).unwrap().value.to_string();
    std::fs::write(&file, json).unwrap();
    assert!(said(&put).starts_with(&format!("{name}  3 features, there already")));
    std::fs::write(&file, GROUP.replace("/3", "/4")).unwrap();
    let second = said(&put);
    let other = second[..name.len()].strip_prefix("core@").unwrap();
    let hint = format!("core means {version} as before; to change that: barrow features promote");
    assert!(second.contains(&hint), "{second}");
    let listed = said(&format!("features list --data {data}"));
    assert!(listed.contains(&format!("core  {version}  promoted  2")), "{listed}");
    assert!(listed.contains(&format!("core  {other}            2")), "{listed}");
    let told = said(&format!("features describe core --data {data}"));
    let lines = [
        format!("core@{version} promoted"),
        "bars every=1m session=regular align=session price=trade adjust=none".to_owned(),
        "options gap=by_reason".to_owned(),
        "ret1 window 1 1 Ret($close, 1)".to_owned(),
        "third elementwise 0 0 $close / 3".to_owned(),
    ];
    has_lines(&told, &lines.each_ref().map(String::as_str));
    let told = said(&format!("features describe core@{other} --data {data} --format json"));
    assert!(told.contains("\"expr\": \"$close / 4\""), "{told}");
    said(&format!("features promote core {other} --data {data}"));
    said(&format!("features promote core {version} --data {data}"));

    let query = format!("query features --groups core --symbols A --data {data}");
    let csv = said(&format!("{query} --reasons --format csv"));
    let row = csv.lines().nth(2).unwrap();
    let expected = "A,2013-10-07T13:31:00Z,1.0,ok,,warm_up,0.6666666666666666,ok,";
    assert!(row.starts_with(expected), "{csv}");
    let table = said(&query);
    let words: Vec<&str> = table.lines().nth(3).unwrap().split_whitespace().collect();
    assert_eq!(words[..5], ["A", "2013-10-07T13:32:00Z", "-0.25", "0.5", "0.5"], "{table}");
    assert!(said(&format!("{query} --limit 1")).contains("... the first 1 rows"));
    let columns = said(&format!("{query} --columns ts_end,third"));
    has_lines(&columns, &["ts_end third", "2013-10-07T13:32:00Z 0.666667"]);
    let newest = said(&format!("latest A --group core --as-of 2013-10-07T13:32:10Z --data {data}"));
    let lines = [
        "ts 2013-10-07T13:31:00Z",
        "available_at 2013-10-07T13:32:00Z",
        "age 10.0 s",
        "ret1 1.0",
        "ret2 warm_up",
        "third 0.666667",
    ];
    has_lines(&newest, &lines);
    let both = said(&format!("latest A B --group core@{other} --data {data}"));
    let words: Vec<&str> = both.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(words[..5], ["A", "2013-10-07T13:32:00Z", "-0.25", "0.5", "0.375"], "{both}");
    assert!(both.lines().nth(2).unwrap().starts_with("B       2013-10-07T13:30:00Z"), "{both}");

    let check = format!("core --symbols A,B --data {data}");
    let verified = said(&format!("features verify {check}"));
    has_lines(&verified, &["A 9 cells, equal", "B 3 cells, equal"]);
    assert!(verified.contains(&format!("{name}: 12 cells computed again, all equal")));
    let linted = said(&format!("features lint {check}"));
    assert_eq!(linted, format!("{name}: 3 features, none looks where it must not\n"));
}

#[test]
fn what_is_wrong_with_a_group_is_shown_where_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (folder.path().join("core.yaml"), folder.path().join("data"));
    let (name, data) = (file.display(), data.display());
    let put = |text: &str| {
        std::fs::write(&file, text).unwrap();
        failed(&format!("features put {name} --data {data}"))
    };
    let error = put(&GROUP.replace("$close/3", "Mean($clos, 3)"));
    let expected = format!("{name} line 8: features[1].expr: feature third: ");
    assert!(error.starts_with(&expected), "{error}");
    let lines: Vec<&str> = error.lines().skip(1).collect();
    assert_eq!(lines, ["    Mean($clos, 3)", "         ^"], "{error}");
    let error = put(&GROUP.replace("every: 1m", "evry: 1m"));
    assert!(error.starts_with(&format!("{name} line 3: bars.evry: ")), "{error}");
    let error = put(&format!("{GROUP}history: stored\n"));
    assert!(error.starts_with(&format!("{name} line 9: history")), "{error}");
    let error = put(&GROUP.replace("name: core\n", ""));
    assert_eq!(
        error,
        format!("{name}: name is missing: say which group it is, such as name: core")
    );
    let error = put(&GROUP.replace("name: core", "name: a: b"));
    assert!(error.starts_with(&format!("{name}: line 2, column ")), "{error}");
    let none = failed(&format!("features describe core --data {data}"));
    assert!(none.contains("there is no group 'core'"), "{none}");
}

const NEWS: &str = "\
Date;id;score;colour
2024-01-02;a;0.5;red
2024-01-02;b;x;red
2024-01-02;a;0.5;red
2024-01-03;a;-1;red
";

#[test]
fn a_table_is_defined_filled_from_a_file_asked_for_and_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let definition = "columns:\n  - {name: id, type: text, nullable: false}\n  \
                      - {name: score, type: f64}\nkey: [ts, id]\nextra: ignore\n";
    std::fs::write(path("news.yaml"), definition).unwrap();
    std::fs::write(path("news.csv"), NEWS).unwrap();
    let (data, file) = (path("data"), path("news.csv"));
    let (data, file) = (data.display(), file.display());
    let put = format!("tables put news {} --data {data}", path("news.yaml").display());
    has_lines(&said(&put), &["news version 1 0 rows", "key symbol, source, ts, id"]);
    let import = format!("import {file} --dataset news --map ts=Date --symbol A --data {data}");
    let counts = ["read 4", "accepted 2", "duplicate 1", "rejected 1"];
    let first = said(&import);
    has_lines(&first, &counts);
    has_lines(&first, &[&format!("{file}: left out: colour")]);
    assert!(first.contains(&format!("{file} line 3: score: 'x' is no number")), "{first}");
    let again = said(&import);
    assert!(again.contains("1 of 1 batches were imported before"), "{again}");
    let query = format!("query table news --columns ts,id,score --format csv --data {data}");
    let header = "ts,id,score\n";
    let second = "2024-01-03T00:00:00Z,a,-1.0\n";
    assert_eq!(said(&query), format!("{header}2024-01-02T00:00:00Z,a,0.5\n{second}"));
    let key = "--symbol A --source file --ts 2024-01-02 --key id=a";
    said(&format!("delete rows --dataset news {key} --data {data}"));
    assert_eq!(said(&query), format!("{header}{second}"));
    // The retraction is a row, too.
    let listed = said(&format!("tables list --data {data}"));
    has_lines(&listed, &["news version 1 3 rows of 1 symbols"]);
    let refused = failed(&format!("import {file} --dataset news --timeframe 1m --data {data}"));
    assert!(refused.starts_with("--timeframe: is said of market data"), "{refused}");
    let unknown = format!("import {file} --dataset olds --data {data}");
    assert!(failed(&unknown).contains("olds"));
}
