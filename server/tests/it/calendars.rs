//! Trading calendars.

use std::io::Cursor;

use arrow::array::AsArray;
use arrow::datatypes::{Date32Type, TimestampNanosecondType};
use arrow::ipc::reader::StreamReader;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::Server;

#[tokio::test]
async fn the_embedded_calendars_are_listed_and_described() {
    let server = Server::start().await;
    let (status, list) = server.get("/v1/calendars").await;
    assert_eq!(status, 200, "{list}");
    let rows = list["rows"].as_array().unwrap();
    let names: Vec<_> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["CMES", "CRYPTO", "FX", "XHKG", "XLON", "XNAS", "XNYS", "XTKS"]);
    for row in rows {
        let name = row["name"].as_str().unwrap();
        let (status, one) = server.get(&format!("/v1/calendars/{name}")).await;
        assert_eq!((status, &one), (200, row));
    }
    let (_, tokyo) = server.get("/v1/calendars/XTKS").await;
    assert_eq!(tokyo["zone"], "Asia/Tokyo");
    let (_, crypto) = server.get("/v1/calendars/CRYPTO").await;
    assert_eq!((&crypto["start"], &crypto["end"]), (&json!("1990-01-01"), &json!("2036-01-01")));
    // Every day of 46 years, with a leap day every four from 1992 to 2032.
    assert_eq!(crypto["sessions"], 46 * 365 + 11);
    server.stop().await;
}

#[tokio::test]
async fn sessions_are_those_of_the_dates_asked_for() {
    let server = Server::start().await;
    let path = "/v1/calendars/XNYS/sessions?start=2015-12-23&end=2015-12-29";
    let (status, body) = server.get(path).await;
    assert_eq!(status, 200, "{body}");
    let short = |row: &Value| {
        let cell = |name: &str| row[name].as_str().unwrap_or("null").to_owned();
        ["session", "open", "close", "break_start", "break_end", "kind"].map(cell).join(" ")
    };
    let rows: Vec<_> = body["rows"].as_array().unwrap().iter().map(short).collect();
    assert_eq!(
        rows,
        [
            "2015-12-23 2015-12-23T14:30:00Z 2015-12-23T21:00:00Z null null regular",
            "2015-12-24 2015-12-24T14:30:00Z 2015-12-24T18:00:00Z null null early_close",
            "2015-12-28 2015-12-28T14:30:00Z 2015-12-28T21:00:00Z null null regular",
        ]
    );
    assert_eq!(body["rows"][1]["pre_open"], "2015-12-24T09:00:00Z");
    assert_eq!(body["rows"][1]["post_close"], "2015-12-24T22:00:00Z");
    assert_eq!((&body["complete"], &body["warnings"]), (&json!(true), &Value::Null));
    let text = server
        .text(
            "/v1/calendars/XTKS/sessions?start=2013-10-07&end=2013-10-08&format=csv&tz=Asia/Tokyo",
        )
        .await;
    let hours = "2013-10-07T09:00:00+09:00,2013-10-07T15:00:00+09:00,\
                 2013-10-07T11:30:00+09:00,2013-10-07T12:30:00+09:00";
    assert!(text.ends_with(&format!(
        "\n2013-10-07,{hours},regular,2013-10-07T09:00:00+09:00,2013-10-07T15:00:00+09:00\n"
    )));
    // The FX day of Monday opens on Sunday.
    for (range, dates) in [
        ("start=2013-10-06&end=2013-10-07", &[][..]),
        ("start=2013-10-06T21:00:00Z&end=2013-10-07T21:00:00Z", &["2013-10-07"][..]),
        ("start=2013-10-06T21:00:01Z&end=2013-10-08", &[][..]),
    ] {
        let (_, body) = server.get(&format!("/v1/calendars/FX/sessions?{range}")).await;
        let rows = body["rows"].as_array().unwrap();
        let found: Vec<_> = rows.iter().map(|row| row["session"].as_str().unwrap()).collect();
        assert_eq!(found, dates, "{range}");
    }
    server.stop().await;
}

#[tokio::test]
async fn days_that_facts_state_are_among_all_sessions() {
    let server = Server::start().await;
    let all = async |path: &str| {
        let (_, body) = server.get(path).await;
        let rows = body["rows"].as_array().unwrap().iter();
        rows.map(|row| row["session"].clone()).collect::<Vec<_>>()
    };
    let sessions = "/v1/calendars/XNYS/sessions";
    let before = all(sessions).await;
    assert_eq!((&before[0], before.last().unwrap()), (&json!("1990-01-02"), &json!("2035-12-31")));
    // One before the table, one after it, one in it that had none, and one in it no more.
    let hours =
        |date: &str| json!({"date": date, "kind": "regular", "open": "10:00", "close": "15:00"});
    let days = json!([
        hours("1985-09-27"),
        hours("2036-01-02"),
        hours("2013-10-06"),
        {"date": "2013-10-07", "kind": "closed"},
    ]);
    let request = server.request(Method::PUT, "/v1/calendars/XNYS/days").json(&days);
    assert_eq!(request.send().await.unwrap().status(), 200);
    let after = all(sessions).await;
    let mut expected = before.clone();
    expected.retain(|date| *date != json!("2013-10-07"));
    expected.extend(["1985-09-27", "2036-01-02", "2013-10-06"].map(|date| json!(date)));
    expected.sort_by_key(|date| date.as_str().unwrap().to_owned());
    assert_eq!(after, expected);
    let (_, body) = server.get("/v1/calendars/XNYS").await;
    assert_eq!(body["sessions"], json!(expected.len()));
    // With one end only, too.
    assert_eq!(all(&format!("{sessions}?start=2035-12-31")).await, ["2035-12-31", "2036-01-02"]);
    assert_eq!(all(&format!("{sessions}?end=1990-01-03")).await, ["1985-09-27", "1990-01-02"]);
    let (_, body) = server.get(&format!("{sessions}?start=2035-12-31&end=2037-01-01")).await;
    let warning = "XNYS is known from 1990-01-01 to 2035-12-31 and on 2 stated outside; nothing is \
                   said of other dates";
    assert_eq!(body["warnings"], json!([warning]));
    server.stop().await;
}

#[tokio::test]
async fn sessions_come_as_arrow_with_the_types_of_the_contract() {
    let server = Server::start().await;
    let path = "/v1/calendars/XTKS/sessions?start=2013-10-07&end=2013-10-09&format=arrow";
    let bytes = server.request(Method::GET, path).send().await.unwrap().bytes().await.unwrap();
    let mut reader = StreamReader::try_new(Cursor::new(bytes), None).unwrap();
    let batch = reader.next().unwrap().unwrap();
    let session = batch.column_by_name("session").unwrap().as_primitive::<Date32Type>();
    assert_eq!(session.values(), &[15_985, 15_986]);
    let open = batch.column_by_name("open").unwrap().as_primitive::<TimestampNanosecondType>();
    assert_eq!(open.timezone(), Some("UTC"));
    assert_eq!(open.value(0), 15_985 * 86_400_000_000_000);
    server.stop().await;
}

#[tokio::test]
async fn what_a_calendar_does_not_know_is_said() {
    let server = Server::start().await;
    for path in ["/v1/calendars/XXXX", "/v1/calendars/XXXX/sessions?start=2013-10-07"] {
        let (status, problem) = server.get(path).await;
        assert_eq!((status, &problem["code"]), (404, &json!("not_found")), "{path}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("'XXXX'") && detail.contains("CMES, CRYPTO, FX"), "{detail}");
    }
    let path = "/v1/calendars/XNYS/sessions?start=2035-12-31&end=2040-01-01";
    let (status, body) = server.get(path).await;
    assert_eq!((status, body["rows"].as_array().unwrap().len()), (200, 1));
    let warning = "XNYS is known from 1990-01-01 to 2035-12-31; nothing is said of other dates";
    assert_eq!(body["warnings"], json!([warning]));
    let csv = server.request(Method::GET, &format!("{path}&format=csv")).send().await.unwrap();
    assert_eq!(csv.headers()["barrow-warning"], warning);
    for (query, code, field) in [
        ("start=2013-10-08&end=2013-10-07", "invalid_parameter", "start"),
        ("start=yesterday", "invalid_parameter", "start"),
        ("end=1381152600", "invalid_parameter", "end"),
        ("tz=Mars", "invalid_parameter", "tz"),
        ("format=xml", "invalid_parameter", "format"),
        ("as_of=yesterday", "invalid_parameter", "as_of"),
        ("colour=red", "unknown_parameter", "colour"),
    ] {
        let (status, problem) = server.get(&format!("/v1/calendars/XNYS/sessions?{query}")).await;
        let told = (status, &problem["code"], &problem["field"]);
        assert_eq!(told, (400, &json!(code), &json!(field)), "{query}");
    }
    server.stop().await;
}
