//! The grammar of the command line.

use super::*;
use clap::CommandFactory;

fn command(line: &str) -> Result<Command, clap::Error> {
    let words = std::iter::once("barrow").chain(line.split_whitespace());
    Program::try_parse_from(words).map(|program| program.command)
}

#[test]
fn the_grammar_is_consistent() {
    Program::command().debug_assert();
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
        "latest A B --group g@1",
        "delete rows --batch b",
        "delete rows --symbol A --timeframe 1m --source s --ts 2024-01-01T00:00:00Z",
        "dead-letters list --batch b",
        "verify --data d",
        "verify --server http://127.0.0.1:1",
        "features put file.yaml",
        "jobs list",
        "backfill --dry-run",
        "backup dir",
        "inspect file",
    ] {
        assert!(command(line).is_ok(), "{line}: {}", command(line).unwrap_err());
    }
}

#[test]
fn a_command_that_is_not_built_says_so_and_exits_with_2() {
    for line in
        ["features put f", "jobs list", "query trades --symbols A", "query sql x", "compact"]
    {
        let error = execute(command(line).unwrap()).unwrap_err();
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
        "verify",
        "no-such-command",
    ] {
        assert!(command(line).is_err(), "{line}");
    }
}

#[test]
fn without_a_server_a_command_says_how_to_start_one() {
    // Port 1 of this machine: nobody listens there.
    let error = execute(command("latest A --server http://127.0.0.1:1").unwrap()).unwrap_err();
    assert_eq!(error.code(), 1);
    let expected = "no server at http://127.0.0.1:1: start `barrow serve` or give --data DIR";
    assert_eq!(error.to_string(), expected);
}
