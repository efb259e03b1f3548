//! The log's lines of requests: of the real program, because a process has one log.

use std::io::{BufRead, BufReader};

use serde_json::Value;

use crate::program::Program;

/// The lines of requests that the program writes until it is told to stop, for each its fields.
fn lines(config: &str, ask: impl FnOnce(&Program)) -> Vec<Value> {
    let dir = tempfile::tempdir().unwrap();
    let (program, errors) = Program::start_with_log(dir.path(), config);
    ask(&program);
    drop(program);
    let lines = BufReader::new(errors).lines().map(|line| line.unwrap());
    let lines = lines.map(|line| serde_json::from_str::<Value>(&line).unwrap());
    lines.map(|mut line| line["fields"].take()).filter(|of| of["message"] == "request").collect()
}

#[test]
fn a_request_is_logged_with_what_it_was_and_what_became_of_it() {
    let config = "[log]\nformat = \"json\"\nrequests = true\n";
    let mut bodies = Vec::new();
    let mut names = Vec::new();
    let lines = lines(config, |program| {
        let url = &program.url;
        for (path, id) in [
            ("/healthz", Some("mine-1")),
            ("/v1/datasets?format=csv", None),
            ("/v1/bars?symbols=A", Some("not fit")),
        ] {
            let mut request = program.http.get(format!("{url}{path}"));
            if let Some(id) = id {
                request = request.header("x-request-id", id);
            }
            let reply = request.send().unwrap();
            names.push(reply.headers()["x-request-id"].to_str().unwrap().to_owned());
            bodies.push((reply.status().as_u16(), reply.bytes().unwrap().len()));
        }
        // The line is written when the body is gone; another request comes after it.
        program.http.head(format!("{url}/healthz")).send().unwrap();
    });
    let paths = ["/healthz", "/v1/datasets", "/v1/bars"];
    assert!(lines.len() >= 3, "{lines:?}");
    for (line, (path, ((status, bytes), name))) in
        lines.iter().zip(paths.into_iter().zip(bodies.into_iter().zip(names.iter())))
    {
        assert_eq!((&line["method"], &line["path"]), (&"GET".into(), &path.into()), "{line}");
        assert_eq!((&line["status"], &line["bytes"]), (&status.into(), &bytes.into()), "{line}");
        assert_eq!((&line["complete"], &line["request_id"]), (&true.into(), &name[..].into()));
        assert!(line["duration_ms"].as_f64().unwrap() > 0.0, "{line}");
    }
    assert_eq!(names[0], "mine-1");
    assert_eq!((names[1].len(), names[2].len()), (32, 32), "{names:?}");
    assert_ne!(names[1], names[2]);
}

#[test]
fn nobody_who_does_not_ask_for_lines_of_requests_gets_any() {
    let lines = lines("[log]\nformat = \"json\"\nlevel = \"debug\"\n", |program| {
        let reply = program.http.get(format!("{}/healthz", program.url)).send().unwrap();
        assert!(!reply.headers().contains_key("x-request-id"));
    });
    assert_eq!(lines.len(), 0);
}
