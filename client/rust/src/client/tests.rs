//! The client against a server of scripted answers.

use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::Int64Array;
use arrow::ipc::writer::StreamWriter;
use barrow_types::Step;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Answers each connection with the next of `answers` (the last one again and again); counts them.
async fn server(answers: Vec<Vec<u8>>) -> (Client, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let served = Arc::clone(&count);
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let at = served.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
            read_request(&mut socket).await;
            let _ = socket.write_all(&answers[at]).await;
        }
    });
    (client, count)
}

/// Reads a head and as many bytes as it announces.
async fn read_request(socket: &mut tokio::net::TcpStream) {
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
            return;
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

#[tokio::test]
async fn a_batch_with_an_id_is_sent_again_until_it_is_stored() {
    let busy = answer("503 Service Unavailable", r#"{"code":"busy","detail":"later"}"#);
    let (client, count) = server(vec![busy, Vec::new(), answer("200 OK", STORED)]).await;
    let options = IngestOptions::bars(Step::M1, "test").with_batch_id("b");
    let answer = client.ingest_arrow(&options, &[rows()]).await.unwrap();
    assert_eq!((answer.accepted, answer.sequence.as_str()), (2, "3"));
    assert_eq!(count.load(Ordering::SeqCst), 3, "busy, then broken off, then stored");
}

#[tokio::test]
async fn a_batch_without_an_id_is_sent_once() {
    let busy = answer("503 Service Unavailable", r#"{"code":"busy","detail":"later"}"#);
    let (client, count) = server(vec![busy, answer("200 OK", STORED)]).await;
    let options = IngestOptions::bars(Step::M1, "test");
    let error = client.ingest_arrow(&options, &[rows()]).await.unwrap_err();
    assert_eq!(error.problem().unwrap().status, 503);
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_batch_whose_every_row_was_rejected_is_an_answer() {
    let body = r#"{"code":"every_row_rejected","detail":"all","batch_id":"b","rejected":2,
        "errors":[{"row":1,"reason":"non_finite","detail":"open"}]}"#;
    let (client, _) = server(vec![answer("422 Unprocessable Content", body)]).await;
    let options = IngestOptions::bars(Step::M1, "test");
    let answer = client.ingest_arrow(&options, &[rows()]).await.unwrap();
    assert_eq!((answer.rejected, answer.errors[0].row), (2, 1));
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
async fn an_answer_that_breaks_off_does_not_look_complete() {
    let mut writer = StreamWriter::try_new(Vec::new(), &rows().schema()).unwrap();
    writer.write(&rows()).unwrap();
    let bytes = writer.into_inner().unwrap();
    let (client, _) = server(vec![stream(&[&bytes], false)]).await;
    let error = client.bars(&BarsQuery::default()).await.unwrap().all().await.unwrap_err();
    assert!(error.to_string().contains("broke off"), "{error}");
    let (client, _) = server(vec![stream(&[&bytes[..bytes.len() - 9]], true)]).await;
    let error = client.bars(&BarsQuery::default()).await.unwrap().all().await.unwrap_err();
    assert!(matches!(error, ClientError::Protocol { .. }), "{error}");
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
