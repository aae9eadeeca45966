//! The API's document, and the page that shows it.

use serde_json::Value;

use crate::town::{Anonymous, Town};

#[test]
fn the_committed_document_is_the_servers() {
    let committed = std::fs::read_to_string("../../openapi/server.json").unwrap();
    assert!(
        committed == server::openapi(),
        "openapi/server.json is not what the routes say: `./x openapi` writes it anew"
    );
}

#[test]
fn the_server_shows_its_own_document() {
    let town = Town::new();
    let answer = town.get(&Anonymous, "/openapi.json").expect(200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.text(), server::openapi());
    assert_eq!(town.get(&Anonymous, "/").expect(307).header("location"), "/docs");
}

#[test]
fn the_reference_page_asks_nobody_else_for_anything() {
    let town = Town::new();
    let page = town.get(&Anonymous, "/docs").expect(200);
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
    for elsewhere in ["http://", "https://", "src=\"//", "href=\"//", "@import", "url("] {
        assert!(!page.text().contains(elsewhere), "{elsewhere}");
    }
}

#[test]
fn every_operation_is_described() {
    let document: Value = serde_json::from_str(&server::openapi()).unwrap();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let place = format!("{method} {path}");
            assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{place}");
            assert!(operation["tags"][0].is_string(), "{place} has a place in the document");
            let is_open = path.starts_with("/healthz")
                || path.starts_with("/readyz")
                || path.starts_with("/metrics");
            assert!(is_open || operation["responses"]["default"].is_object(), "{place}: problems");
        }
    }
}

#[test]
fn every_error_code_is_explained_by_the_server() {
    let town = Town::new();
    let mut pages = 0;
    for page in std::fs::read_dir("../../docs/reference/errors").unwrap() {
        let name = page.unwrap().file_name().into_string().unwrap();
        let Some(code) = name.strip_suffix(".md").filter(|code| *code != "README") else {
            continue;
        };
        let text = town.get(&Anonymous, &format!("/docs/errors/{code}")).expect(200).text();
        assert!(text.starts_with(&format!("# {code}: ")), "{code}");
        assert!(text.contains("## What to do"), "{code}");
        pages += 1;
    }
    assert!(pages > 20, "{pages}");
    town.get(&Anonymous, "/docs/errors/no-such-code").expect_problem(404, "not-found");
}
