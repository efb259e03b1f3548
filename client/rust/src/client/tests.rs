//! The client against a server of scripted answers.

use super::*;
use std::sync::{Arc, Mutex};

use arrow::array::Int64Array;
use arrow::ipc::writer::StreamWriter;
use barrow_types::Step;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// What a server was asked: the first line of each request and its batch id.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<String>>>);

impl Asked {
    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn count(&self) -> usize {
        self.lines().len()
    }

    fn batch_ids(&self) -> Vec<String> {
        let id = |line: &String| {
            let (_, id) = line.split_once("batch_id=").expect("every request has one");
            id.split(['&', ' ']).next().unwrap().to_owned()
        };
        self.lines().iter().map(id).collect()
    }
}

/// Answers each connection with the next of `answers` (the last one again and again).
async fn server(answers: Vec<Vec<u8>>) -> (Client, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let asked = Asked::default();
    let served = asked.clone();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let line = read_request(&mut socket).await;
            let at = served.count().min(answers.len() - 1);
            served.0.lock().unwrap().push(line);
            let _ = socket.write_all(&answers[at]).await;
        }
    });
    (client, asked)
}

/// Reads a head and as many bytes as it announces; returns the first line.
async fn read_request(socket: &mut tokio::net::TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = socket.read(&mut buffer).await.unwrap();
        bytes.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
        let Some(head) = text.find("\r\n\r\n") else { continue };
        let length = text.split("content-length: ").nth(1).map_or(0, |rest| {
            rest.split("\r\n").next().and_then(|number| number.parse().ok()).unwrap_or(0)
        });
        if read == 0 || bytes.len() >= head + 4 + length {
            return String::from_utf8_lossy(&bytes).lines().next().unwrap().to_owned();
        }
    }
}

fn answer(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
        .into()
}

fn rows() -> RecordBatch {
    let values: arrow::array::ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    RecordBatch::try_from_iter([("ts", values)]).unwrap()
}

const STORED: &str = r#"{"batch_id":"b","sequence":3,"accepted":2,"repeated":false}"#;

const BUSY: &str = r#"{"code":"busy","detail":"later"}"#;

fn busy() -> Vec<u8> {
    answer("503 Service Unavailable", BUSY)
}

#[tokio::test]
async fn a_batch_is_sent_under_one_id_until_it_is_stored() {
    for options in [
        IngestOptions::bars(Step::M1, "test").batch_id("b"),
        IngestOptions::bars(Step::M1, "test"),
        IngestOptions::bars(Step::M1, "test").content_id("s"),
    ] {
        let (client, asked) = server(vec![busy(), Vec::new(), answer("200 OK", STORED)]).await;
        let answer = client.ingest_arrow(&options, &[rows()]).await.unwrap();
        assert_eq!((answer.accepted, answer.sequence.as_str()), (2, "3"));
        let ids = asked.batch_ids();
        assert_eq!(ids.len(), 3, "busy, then broken off, then stored");
        assert!(ids.iter().all(|id| *id == ids[0] && !id.is_empty()), "{ids:?}");
    }
}

#[tokio::test]
async fn two_calls_with_equal_rows_are_two_batches_unless_the_caller_says_otherwise() {
    let (client, asked) = server(vec![answer("200 OK", STORED)]).await;
    let plain = IngestOptions::trades("test");
    let content = plain.clone().content_id("file 1");
    for options in [&plain, &plain, &content, &content] {
        client.ingest_arrow(options, &[rows()]).await.unwrap();
    }
    let ids = asked.batch_ids();
    assert_ne!(ids[0], ids[1]);
    assert_eq!(ids[2], ids[3]);
}

#[tokio::test]
async fn a_retraction_is_sent_under_one_id_too() {
    let (client, asked) = server(vec![busy(), answer("200 OK", STORED)]).await;
    client.delete_rows("bars", &DeleteKeys::Batch("b".into()), None).await.unwrap();
    let ids = asked.batch_ids();
    assert_eq!((ids.len(), &ids[0]), (2, &ids[1]));
}

#[tokio::test]
async fn what_would_be_answered_alike_is_sent_once() {
    for (status, body) in [
        ("507 Insufficient Storage", r#"{"code":"full","detail":"no room"}"#),
        ("409 Conflict", r#"{"code":"conflict","detail":"used"}"#),
        ("503 Service Unavailable", r#"{"code":"intake_stopped","detail":"the disk failed"}"#),
        ("200 OK", "this is no Barrow"),
    ] {
        let (client, asked) = server(vec![answer(status, body)]).await;
        let options = IngestOptions::bars(Step::M1, "test").batch_id("b");
        client.ingest_arrow(&options, &[rows()]).await.unwrap_err();
        assert_eq!(asked.count(), 1, "{status}");
    }
}

#[tokio::test]
async fn retries_can_be_switched_off() {
    let (client, asked) = server(vec![busy()]).await;
    let client = Client::builder(client.url()).retries_max(0).build().unwrap();
    let error = client.list_datasets().await.unwrap_err();
    assert_eq!((error.problem().unwrap().status, asked.count()), (503, 1));
}

#[tokio::test]
async fn a_read_is_asked_again_and_a_probe_is_not() {
    let table = answer("200 OK", r#"{"columns":[],"rows":[{"name":"bars","type":"raw"}]}"#);
    let (client, asked) = server(vec![busy(), table]).await;
    let datasets = client.list_datasets().await.unwrap();
    assert_eq!((datasets[0].name.as_str(), datasets[0].kind.as_str()), ("bars", "raw"));
    assert_eq!(asked.count(), 2);
    let (client, asked) = server(vec![busy(), answer("200 OK", "ready")]).await;
    assert_eq!(client.ready().await.unwrap_err().problem().unwrap().status, 503);
    assert_eq!(asked.count(), 1);
}

#[tokio::test]
async fn a_batch_whose_every_row_was_rejected_is_an_error_that_names_the_rows() {
    let body = r#"{"code":"every_row_rejected","detail":"all","batch_id":"b","rejected":2,
        "errors":[{"row":1,"reason":"non_finite","detail":"open"}]}"#;
    let (client, asked) = server(vec![answer("422 Unprocessable Content", body)]).await;
    let options = IngestOptions::bars(Step::M1, "test");
    let error = client.ingest_arrow(&options, &[rows()]).await.unwrap_err();
    let ClientError::Rejected(answer) = error else { panic!("{error:?}") };
    assert_eq!((answer.rejected, answer.errors[0].row), (2, 1));
    assert_eq!(asked.count(), 1);
}

#[tokio::test]
async fn calls_can_be_made_from_tasks() {
    let (client, _) = server(vec![answer("200 OK", STORED)]).await;
    let task = tokio::spawn(async move {
        client.ingest_arrow(&IngestOptions::quotes("test"), &[rows()]).await.map(|_| ())
    });
    task.await.unwrap().unwrap();
}

fn stream(parts: &[&[u8]], is_whole: bool) -> Vec<u8> {
    let mut text = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for part in parts {
        text.extend(format!("{:x}\r\n", part.len()).bytes());
        text.extend_from_slice(part);
        text.extend(b"\r\n");
    }
    if is_whole {
        text.extend(b"0\r\n\r\n");
    }
    text
}

#[tokio::test]
async fn an_arrow_answer_is_decoded_however_it_is_cut() {
    let mut writer = StreamWriter::try_new(Vec::new(), &rows().schema()).unwrap();
    writer.write(&rows()).unwrap();
    let bytes = writer.into_inner().unwrap();
    for size in [1, 7, 64, bytes.len()] {
        let parts: Vec<&[u8]> = bytes.chunks(size).collect();
        let (client, _) = server(vec![stream(&parts, true)]).await;
        let batches = client.bars(&BarsQuery::default()).await.unwrap().all().await.unwrap();
        assert_eq!(batches, [rows()], "{size}");
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_anywhere_is_an_error_and_never_short() {
    let mut writer = StreamWriter::try_new(Vec::new(), &rows().schema()).unwrap();
    writer.write(&rows()).unwrap();
    writer.write(&rows()).unwrap();
    let bytes = writer.into_inner().unwrap();
    let (client, _) = server(vec![stream(&[&bytes], false)]).await;
    let error = client.bars(&BarsQuery::default()).await.unwrap().all().await.unwrap_err();
    assert!(error.to_string().contains("broke off"), "{error}");
    assert!(matches!(error, ClientError::Interrupted { .. }), "{error:?}");
    // Well-formed HTTP around a cut Arrow stream, as a broken proxy would make it: also between
    // two messages, where a decoder sees nothing wrong.
    let answers = (0..bytes.len()).map(|len| stream(&[&bytes[..len]], true)).collect();
    let (client, _) = server(answers).await;
    for len in 0..bytes.len() {
        let mut batches = client.bars(&BarsQuery::default()).await.unwrap();
        let mut rows = 0;
        let error = loop {
            match batches.next().await {
                Ok(Some(batch)) => rows += batch.num_rows(),
                Ok(None) => panic!("{len} of {} bytes look whole, with {rows} rows", bytes.len()),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, ClientError::Decode { .. }), "{len}: {error:?}");
        assert!(batches.next().await.unwrap().is_none(), "{len}: nothing comes after an error");
    }
}

#[tokio::test]
async fn an_answer_that_only_ends_with_its_connection_is_refused() {
    let head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nsymbol,ts\n".to_vec();
    let (client, _) = server(vec![head]).await;
    let error = client.bars_bytes(&BarsQuery::default(), Format::Csv).await.err().unwrap();
    assert!(error.to_string().contains("does not tell how long it is"), "{error}");
}

#[tokio::test]
async fn batches_are_a_stream_too() {
    let mut writer = StreamWriter::try_new(Vec::new(), &rows().schema()).unwrap();
    writer.write(&rows()).unwrap();
    let bytes = writer.into_inner().unwrap();
    let (client, _) = server(vec![stream(&[&bytes], true)]).await;
    let mut batches = Box::pin(client.bars(&BarsQuery::default()).await.unwrap());
    let mut came = Vec::new();
    while let Some(batch) =
        std::future::poll_fn(|context| futures_core::Stream::poll_next(batches.as_mut(), context))
            .await
    {
        came.push(batch.unwrap());
    }
    assert_eq!(came, [rows()]);
    assert_eq!(batches.schema(), Some(rows().schema()));
}

#[tokio::test]
async fn nobody_there_is_told_from_a_server_that_refuses() {
    let error = Client::new("http://127.0.0.1:1").unwrap().health().await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
    let refusal = r#"{"code":"not_available","detail":"layer: curated","field":"layer"}"#;
    let (client, _) = server(vec![answer("400 Bad Request", refusal)]).await;
    let error = client.bars(&BarsQuery::default()).await.err().unwrap();
    let problem = error.problem().unwrap();
    assert_eq!((problem.code.as_str(), problem.field.as_deref()), ("not_available", Some("layer")));
}

#[test]
fn an_address_that_is_no_http_address_is_refused() {
    for url in ["127.0.0.1:8480", "https://host:1", "ftp://host", "", "http://"] {
        let error = Client::new(url).unwrap_err();
        assert!(matches!(error, ClientError::Invalid(_)), "{url}: {error}");
    }
    assert_eq!(Client::new("http://127.0.0.1:8480/").unwrap().url(), "http://127.0.0.1:8480");
}

#[tokio::test]
async fn a_key_is_shown_and_never_printed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let builder = Client::builder(&url).key("top-secret");
    assert!(!format!("{builder:?}").contains("top-secret"));
    let client = builder.build().unwrap();
    assert!(!format!("{client:?}").contains("top-secret"));
    let head = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut bytes = vec![0; 4096];
        let len = socket.read(&mut bytes).await.unwrap();
        String::from_utf8_lossy(&bytes[..len]).to_lowercase()
    });
    client.health().await.unwrap_err();
    assert!(head.await.unwrap().contains("authorization: bearer top-secret"));
    let error = Client::builder(&url).key("a\nb").build().unwrap_err();
    assert!(matches!(error, ClientError::Invalid(_)), "{error}");
}

/// Answers every connection with a table, on a thread of its own.
fn blocking_server() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            let mut bytes = [0; 4096];
            let _ = std::io::Read::read(&mut socket, &mut bytes).unwrap();
            let body = answer("200 OK", r#"{"columns":[],"rows":[{"name":"bars"}]}"#);
            std::io::Write::write_all(&mut socket, &body).unwrap();
        }
    });
    url
}

#[test]
fn a_blocking_client_serves_many_threads() {
    let client = crate::blocking::Client::new(&blocking_server()).unwrap();
    let calls: Vec<_> = (0..4)
        .map(|_| {
            let client = client.clone();
            std::thread::spawn(move || client.list_datasets().unwrap()[0].name.clone())
        })
        .collect();
    for call in calls {
        assert_eq!(call.join().unwrap(), "bars");
    }
}

#[test]
fn a_blocking_client_inside_a_runtime_says_so_and_does_not_panic() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = crate::blocking::Client::new("http://127.0.0.1:1").unwrap();
        let error = client.list_datasets().unwrap_err();
        assert!(error.to_string().contains("inside an async runtime"), "{error}");
        assert!(matches!(error, ClientError::Invalid(_)), "{error:?}");
        // And here it is dropped.
    });
}
