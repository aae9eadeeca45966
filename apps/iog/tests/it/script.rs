//! Stories of scripts that call the binary.

use std::os::unix::fs::PermissionsExt;

use insta::assert_snapshot;

use crate::fake::Fake;
use crate::program::{Home, iog};

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";
const ME: &str = r#"{"account":{"id":"acc_00000000000000000000000001","name":"ada","balances":[]},
    "scopes":["read","write"],"projects":[]}"#;

#[test]
fn a_wrong_command_line_is_usage() {
    let home = Home::new("usage");
    for arguments in [
        &["nonsense"][..],
        &["rental"],
        &["quote", "--memory", "1024"],
        &["rental", "job_00000000000000000000000001"],
        &["up", "--workers", "0"],
        &["rent", "--quote", "quo_00000000000000000000000001", "--nodes", "2"],
    ] {
        let said = iog(&home, &[], arguments);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{arguments:?}");
        assert!(said.err.starts_with("error: "), "{arguments:?}: {}", said.err);
    }
}

#[test]
fn help_is_data_and_no_error() {
    let home = Home::new("help");
    for arguments in [&["--help"][..], &["help", "rent"], &["rent", "-h"], &["--version"]] {
        let said = iog(&home, &[], arguments);
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{arguments:?}");
        assert!(!said.out.is_empty(), "{arguments:?}");
    }
    let (direct, help) =
        (iog(&home, &[], &["exit-codes"]), iog(&home, &[], &["help", "exit-codes"]));
    assert!(help.out.contains(direct.out.lines().nth(2).unwrap()), "{}", help.out);
}

#[test]
fn completions_exist_for_three_shells_whatever_the_configuration() {
    let home = Home::new("completions");
    std::fs::write(home.0.join("broken"), "{").unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let said = iog(&home, &[("IOG_CONFIG", "broken")], &["completions", shell]);
        assert_eq!(said.code, 0, "{shell}");
        assert!(said.out.contains("iog") && said.out.contains("offers"), "{shell}");
    }
    assert_eq!(iog(&home, &[("IOG_CONFIG", "broken")], &["offers"]).code, 2);
}

#[test]
fn without_a_server_the_hint_says_what_to_do() {
    let home = Home::new("no-server");
    let said = iog(&home, &[], &["offers"]);
    assert_eq!(said.code, 2);
    assert_snapshot!(said.err, @r"
    error: no server is known
    hint: `iog login --server URL` remembers one; IOG_SERVER names one
    ");
    let said = iog(&home, &[("IOG_SERVER", "http://127.0.0.1:1")], &["offers"]);
    assert_eq!(said.code, 11);
    assert_snapshot!(said.err, @r"
    error: no answer from http://127.0.0.1:1: nothing listens there
    hint: is the server running, and is the address right? See `iog login`
    ");
}

#[test]
fn a_login_is_remembered_for_its_owner_only() {
    let home = Home::new("login");
    std::fs::write(home.0.join("key"), "iog_1_secret\n").unwrap();
    let fake = Fake::new(&[("200 OK", JSON, ME), ("200 OK", JSON, ME)]);
    let said = iog(&home, &[], &["login", "--server", &fake.url, "--key-file", "key"]);
    assert_eq!((said.code, said.out.as_str()), (0, ""), "{}", said.err);
    assert!(!said.err.contains("secret"), "{}", said.err);
    let file = home.0.join(".config/iog/config.json");
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    let said = iog(&home, &[], &["whoami", "--json"]);
    let told: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(told["account"]["name"], "ada");
    let asked = fake.asked();
    assert!(asked.iter().all(|asked| asked.line == "GET /v1/me HTTP/1.1"), "{asked:?}");
    let shown = "authorization: bearer iog_1_secret".to_owned();
    assert!(asked.iter().all(|asked| asked.headers.contains(&shown)), "{asked:?}");
}

#[test]
fn a_refusal_is_told_with_its_hint_and_code() {
    let home = Home::new("refusal");
    let problem = r#"{"type":"/docs/errors/insufficient-balance","code":"insufficient-balance",
        "title":"Not enough","status":402,"detail":"0.030075 USD are needed, 0.01 can be spent",
        "hint":"top up the project","request_id":"req_1"}"#;
    let fake = Fake::new(&[("402 Payment Required", PROBLEM, problem)]);
    let variables = [("IOG_SERVER", fake.url.as_str()), ("IOG_KEY", "iog_1_secret")];
    let project = "prj_00000000000000000000000001";
    let said = iog(&home, &variables, &["quote", "--nodes", "3", "--project", project, "--json"]);
    assert_eq!((said.code, said.out.as_str()), (10, ""));
    assert_snapshot!(said.err, @r"
    error: 0.030075 USD are needed, 0.01 can be spent (insufficient-balance)
    hint: top up the project
    ");
    let asked = fake.asked();
    assert_eq!(asked[0].line, "POST /v1/quotes HTTP/1.1");
    assert!(asked[0].headers.iter().any(|header| header.starts_with("idempotency-key: ")));
    let body: serde_json::Value = serde_json::from_str(&asked[0].body).unwrap();
    assert_eq!(body["project"], project);
    assert_eq!(body["order"]["nodes"], 3);
}

#[test]
fn an_answer_that_is_no_problem_is_still_an_error() {
    let home = Home::new("proxy");
    let fake = Fake::new(&[("502 Bad Gateway", "text/html", "<h1>sorry</h1>")]);
    let variables = [("IOG_SERVER", fake.url.as_str()), ("IOG_KEY", "iog_1_secret")];
    let said = iog(&home, &variables, &["network"]);
    assert_eq!(said.code, 11, "{}", said.err);
    fake.asked();
    let fake = Fake::new(&[("200 OK", JSON, "{\"version\":")]);
    let variables = [("IOG_SERVER", fake.url.as_str()), ("IOG_KEY", "iog_1_secret")];
    assert_eq!(iog(&home, &variables, &["network"]).code, 1);
    fake.asked();
}

#[test]
fn offers_come_as_a_table_or_as_json() {
    let home = Home::new("offers");
    let page = r#"{"items":[{"worker":"wkr_00000000000000000000000001","name":"worker-1",
        "free":{"gpus":0,"vcpus":2,"memory_mib":4096,"disk_mib":10240},"vram_mib":0,"cpu_model":"AMD EPYC",
        "tier":"none","certifications":[],"node_hour":"0.010000","nodes":2}]}"#;
    let answer = ("200 OK", JSON, page);
    let fake = Fake::new(&[answer, answer, ("200 OK", JSON, r#"{"items":[]}"#)]);
    let variables = [("IOG_SERVER", fake.url.as_str()), ("IOG_KEY", "iog_1_secret")];
    let said = iog(&home, &variables, &["offers", "--vcpus", "2"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    assert_snapshot!(said.out, @r"
    MACHINE   GPU  VCPUS  MEMORY    DISK  PROCESSOR  TIER  WHERE  USD/HOUR
    worker-1  –        2   4 GiB  10 GiB  AMD EPYC   none  –          0.01
    ");
    let said = iog(&home, &variables, &["offers", "--json"]);
    let told: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(told[0]["node_hour"], "0.010000");
    let said = iog(&home, &variables, &["offers"]);
    assert_eq!((said.code, said.out.as_str()), (0, ""), "no offers are no data");
    assert_snapshot!(said.err, @"No machine is on offer for that.");
    assert_eq!(fake.asked()[0].line, "GET /v1/offers?vcpus=2&limit=100 HTTP/1.1");
}

#[test]
fn up_names_the_port_that_is_in_use() {
    let home = Home::new("port");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let said = iog(&home, &[], &["up", "--once", "--listen", &address]);
    assert_eq!(said.code, 2, "{}", said.err);
    let port =
        format!("error: port {} of 127.0.0.1 is in use", listener.local_addr().unwrap().port());
    assert!(said.err.contains(&port), "{}", said.err);
}
