//! Bars that no source delivered: from trades and quotes, and from finer bars.

use reqwest::Method;
use serde_json::json;

use crate::harness::Server;

const TRADES: &str = "\
symbol,ts,price,size,venue,conditions,trade_id
A,2013-10-07T13:29:58Z,9,100,Q,O,1
A,2013-10-07T13:30:05Z,10,5,Q,@,2
A,2013-10-07T13:30:06Z,99,1,Q,I,3
A,2013-10-07T13:59:59Z,12,5,Q,@,4
A,2013-10-07T14:30:00Z,11,2,Q,@,5
A,2013-10-08T13:30:00Z,8,2,Q,@,6
";

const QUOTES: &str = "\
symbol,ts,bid,ask
A,2013-10-07T13:30:00Z,1,3
A,2013-10-07T13:30:10Z,5,
A,2013-10-07T13:30:20Z,2,6
";

/// A server with an instrument that follows the New York Stock Exchange, and rows of source `x`.
async fn with(dataset: &str, rows: &str) -> Server {
    let server = Server::start().await;
    let instrument = json!({"calendar": "XNYS"});
    server.state_facts(Method::PUT, "/v1/instruments/A", &instrument).await;
    let query = "?source=x&known_at_policy=ts_end%2B0s";
    server.post_ticks(dataset, query, "text/csv", rows.to_owned()).await;
    server
}

/// The lines of a CSV answer without its head.
async fn lines(server: &Server, query: &str) -> Vec<String> {
    let path = format!("/v1/bars?symbols=A&columns=ts,open,high,low,close,volume,state&{query}");
    let text = server.text(&format!("{path}&format=csv")).await;
    text.lines().skip(1).map(|line| line.replace(":00Z", "").replace("2013-10-", "")).collect()
}

#[tokio::test]
async fn trades_make_bars_of_every_step_as_their_conditions_say() {
    let server = with("trades", TRADES).await;
    let hour = "frequency=1h&end=2013-10-08";
    assert_eq!(
        lines(&server, hour).await,
        ["07T13:30,10.0,99.0,10.0,12.0,11.0,final", "07T14:30,11.0,11.0,11.0,11.0,2.0,final"]
    );
    let conditions = json!({"conditions": {"x": "us"}});
    server.state_facts(Method::PUT, "/v1/sources/trades", &conditions).await;
    let (_, shown) = server.get("/v1/sources/trades").await;
    assert_eq!(shown["conditions"], json!({"x": "us"}));
    assert_eq!(
        lines(&server, hour).await,
        ["07T13:30,9.0,12.0,9.0,12.0,111.0,final", "07T14:30,11.0,11.0,11.0,11.0,2.0,final"]
    );
    assert_eq!(
        lines(&server, &format!("{hour}&align=clock&consistency=strict")).await,
        ["07T13:00,9.0,12.0,9.0,12.0,111.0,final", "07T14:00,11.0,11.0,11.0,11.0,2.0,final"]
    );
    assert_eq!(
        lines(&server, "frequency=1s&start=2013-10-07&end=2013-10-08").await.len(),
        4,
        "seconds with a trade that updates last"
    );
    let week = ["07T13:30,9.0,12.0,8.0,8.0,115.0,final"];
    assert_eq!(lines(&server, "frequency=1w").await, week);
    // An hour that had not ended is answered as far as it was known.
    let then = format!("{hour}&as_of=2013-10-07T13:45:00Z");
    let (_, first) = server.get(&format!("/v1/bars?symbols=A&{then}&columns=ts,close,state")).await;
    assert_eq!(first["rows"].as_array().map(Vec::len), Some(1), "{first}");
    assert_eq!(first["rows"][0]["state"], "provisional");
    server.stop().await;
}

#[tokio::test]
async fn quotes_make_bars_of_bids_of_asks_and_of_their_middle() {
    let server = with("quotes", QUOTES).await;
    for (price, bar) in
        [("bid", "1.0,5.0,1.0,2.0"), ("ask", "3.0,6.0,3.0,6.0"), ("mid", "2.0,4.0,2.0,4.0")]
    {
        for frequency in ["1m", "1h"] {
            let query = format!("frequency={frequency}&price={price}");
            assert_eq!(lines(&server, &query).await, [format!("07T13:30,{bar},,final")]);
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_source_says_how_its_bars_lie() {
    let rows = "symbol,ts,open,high,low,close\nA,2013-10-07T14:00:00Z,1,1,1,1\n";
    let server = Server::start().await;
    let instrument = json!({"calendar": "XNYS"});
    server.state_facts(Method::PUT, "/v1/instruments/A", &instrument).await;
    let request = server.request(Method::POST, "/v1/datasets/bars/rows?source=x&timeframe=1h");
    let sent = request.header("content-type", "text/csv").body(rows).send().await.unwrap();
    assert_eq!(sent.status(), 200);
    let stated = json!({"alignment": {"x": "clock"}});
    server.state_facts(Method::PUT, "/v1/sources/bars", &stated).await;
    let (_, table) = server.get("/v1/bars?symbols=A&frequency=1h&columns=ts").await;
    assert_eq!(table["rows"], json!([{"ts": "2013-10-07T14:00:00Z"}]));
    server.stop().await;
}
