//! What is served of results, by values.

use http_body_util::BodyExt;
use kafka::results::{RunName, VERSION};
use service::http::{HeaderValue, Request};

use super::*;

const PAGE: &str = "<!doctype html><title>run-1</title>";
const CAPSULE: &str = r#"{"format": "kapture-capsule"}"#;

fn result() -> RunResult {
    RunResult {
        version: VERSION,
        verdict: "PASS".to_owned(),
        headline: "3,000 sales/s".to_owned(),
        reason: "3,000 sales/s hold".to_owned(),
        line: "verdict=PASS capacity=3000".to_owned(),
        kapture: "0.1.0".to_owned(),
        began_us: 1,
        ended_us: 2,
        capsule: Some(Packed::pack(CAPSULE).unwrap()),
        html: Some(Packed::pack(PAGE).unwrap()),
    }
}

fn kept(name: &str, content: Content) -> Kept {
    Kept { name: RunName::try_from(name.to_owned()).unwrap(), content }
}

fn results() -> Results {
    let without_page = RunResult { html: None, ..result() };
    let foreign =
        Content::Foreign { verdict: Some("FAIL".to_owned()), remark: "it was written by Kapture 0.9.0".to_owned() };
    Results(Arc::new(Mutex::new(Some(vec![
        kept("run-9", foreign),
        kept("run-2", Content::Result(Box::new(without_page))),
        kept("run-1.b", Content::Result(Box::new(result()))),
    ]))))
}

fn ask(results: &Results, path: &str, accepted: &'static str) -> Response {
    let mut request = Request::new(Vec::new().into());
    *request.uri_mut() = path.parse().unwrap();
    request.headers_mut().insert("accept-encoding", HeaderValue::from_static(accepted));
    results.answer(&request).unwrap_or_else(|| panic!("{path} is not answered"))
}

async fn get(path: &str) -> (StatusCode, String) {
    let response = ask(&results(), path, "identity");
    (response.status(), text(response).await)
}

async fn text(response: Response) -> String {
    String::from_utf8(bytes(response).await).unwrap()
}

async fn bytes(response: Response) -> Vec<u8> {
    response.into_body().collect().await.unwrap().to_bytes().to_vec()
}

#[tokio::test]
async fn a_document_is_served_as_the_client_takes_it_and_can_do_nothing() {
    for (file, content_type, expected) in
        [("run-1.b.html", "text/html; charset=utf-8", PAGE), ("run-1.b.json", "application/json", CAPSULE)]
    {
        for (accepted, encoding) in [("gzip, deflate, br", Some("gzip")), ("br, gzip;q=0", None), ("identity", None)] {
            let response = ask(&results(), &format!("/results/{file}"), accepted);
            let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
            assert_eq!((response.status(), header("content-type").as_deref()), (StatusCode::OK, Some(content_type)));
            assert_eq!(header("content-encoding").as_deref(), encoding, "{accepted}");
            assert_eq!(header("vary").as_deref(), Some("accept-encoding"));
            assert_eq!(header("x-content-type-options").as_deref(), Some("nosniff"));
            let policy = header("content-security-policy").unwrap();
            assert!(policy.starts_with("default-src 'none';") && policy.ends_with("; sandbox"), "{policy}");
            assert!(!policy.contains("script-src"));
            let body = bytes(response).await;
            if encoding.is_some() {
                assert_eq!(body, Packed::pack(expected).unwrap().gzip());
            } else {
                assert_eq!(body, expected.as_bytes());
            }
        }
    }
}

#[tokio::test]
async fn the_list_has_the_newest_first_with_links_to_what_is_kept() {
    let (status, body) = get("/results").await;
    let list: Vec<BenchmarkResult> = serde_json::from_str(&body).unwrap();
    assert_eq!((status, list.len()), (StatusCode::OK, 3));
    assert_eq!(list[2].html.as_deref(), Some("results/run-1.b.html"));
    assert_eq!((list[2].json.as_deref(), list[2].remark.as_deref()), (Some("results/run-1.b.json"), None));
    assert_eq!((list[1].html.as_deref(), list[1].json.as_deref()), (None, Some("results/run-2.json")));
    assert!(list[1].remark.as_deref().unwrap().starts_with("the page was too large to be kept"));
    let newer = &list[0];
    assert_eq!((newer.name.as_str(), newer.verdict.as_deref(), newer.line.as_deref()), ("run-9", Some("FAIL"), None));
    assert!(newer.html.is_none() && newer.json.is_none() && newer.remark.is_some());
    assert_eq!(results().latest().unwrap(), list, "the state has the same");
}

#[tokio::test]
async fn what_is_not_kept_is_a_404_with_a_sentence() {
    for (path, sentence) in [
        ("/results/run-3.html", "there is no result of this name: /results lists those that are kept"),
        ("/results/run-1.b", "there is no result of this name"),
        ("/results/..%2f..%2fmetrics.html", "there is no result of this name"),
        ("/results/%3Cscript%3E.html", "there is no result of this name"),
        ("/results/run-1.b.pdf", "a result has two documents: /results/run-1.b.html and /results/run-1.b.json"),
        ("/results/run-2.html", "the page was too large to be kept with the capsule"),
        ("/results/run-9.json", "the result can't be shown: it was written by Kapture 0.9.0"),
    ] {
        let (status, body) = get(path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert!(body.contains(sentence) && !body.contains("script"), "{path}: {body}");
    }
}

#[tokio::test]
async fn before_kafka_has_answered_nothing_is_said_of_results() {
    let unknown = Results::default();
    assert!(unknown.latest().is_none());
    let response = ask(&unknown, "/results", "identity");
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(text(response).await.contains("the results are not known yet"));
}

#[test]
fn other_paths_are_not_its_own() {
    for path in ["/", "/resultsx", "/metrics"] {
        let mut request = Request::new(Vec::new().into());
        *request.uri_mut() = path.parse().unwrap();
        assert!(results().answer(&request).is_none(), "{path}");
    }
}

#[test]
fn a_text_of_any_length_does_not_swell_the_state() {
    let long = RunResult { headline: "x".repeat(1_000_000), ..result() };
    let listed = listed(&kept("a", Content::Result(Box::new(long))));
    assert_eq!(listed.headline.unwrap().len(), TEXT);
}
