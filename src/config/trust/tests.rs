use super::*;
use crate::config::Config;

fn parse(more: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let sample = crate::cli::init::sample_config(&"atb.dev".parse().unwrap());
    let (trust, rest) = more.split_once("---").unwrap_or(("", more));
    let text = format!("{}\n{rest}", sample.replace("[trust]\n", &format!("[trust]\n{trust}\n")));
    let text = match trust.contains("workload_api") {
        true => text
            .lines()
            .filter(|line| !line.starts_with("svid =") && !line.starts_with("key ="))
            .fold(String::new(), |all, line| all + line + "\n"),
        false => text,
    };
    let environment: Vec<_> = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Config::parse(Path::new("/etc/atb/atb.toml"), &text, &environment)
}

fn refused(more: &str) -> String {
    parse(more, &[]).unwrap_err().to_string()
}

#[test]
fn the_socket_comes_from_the_key_or_from_the_standards_variable_and_does_not_say_whose_we_are() {
    let standard = [("SPIFFE_ENDPOINT_SOCKET", "unix:///run/standard.sock")];
    let socket = |more: &str, environment: &[(&str, &str)]| parse(more, environment).unwrap().trust.workload_api;
    assert_eq!(socket("", &standard), None);
    assert_eq!(socket("source = \"workload_api\"---", &standard).unwrap(), "unix:///run/standard.sock");
    let named = "source = \"workload_api\"\nendpoint_socket = \"unix:///run/own.sock\"---";
    assert_eq!(socket(named, &standard).unwrap(), "unix:///run/own.sock");
    assert!(refused("source = \"workload_api\"---").contains("SPIFFE_ENDPOINT_SOCKET"));
    let beside_files = parse("endpoint_socket = \"unix:///x\"---", &standard).unwrap().trust;
    assert_eq!((beside_files.workload_api, beside_files.endpoint_socket.as_deref()), (None, Some("unix:///x")));
    assert!(refused("source = \"workload_api\"\nendpoint_socket = \"/run/x.sock\"---").contains("endpoint_socket"));
}

#[test]
fn with_the_workload_api_no_door_has_files_and_the_bundle_is_a_copy() {
    let config = parse("source = \"workload_api\"\nendpoint_socket = \"unix:///run/x.sock\"---", &[]).unwrap();
    assert!(config.agentauth.unwrap().door.files.is_none());
    assert_eq!(parse("", &[]).unwrap().trust.max_age, Duration::from_secs(3600));
    assert!(refused("max_age_seconds = 0---").contains("trust.max_age_seconds"));
}

#[test]
fn an_entry_of_an_unknown_trust_domain_is_a_slip() {
    assert!(refused("[access]\nissue = [\"spiffe://partner.example\"]").contains("access.issue"));
    let federated = "[federation.\"partner.example\"]\nprofile = \"file\"\nbundle = \"partner.pem\"\n";
    let config = parse(&format!("{federated}[access]\nissue = [\"spiffe://partner.example\"]"), &[]).unwrap();
    let theirs = "spiffe://partner.example/agent/x".parse().unwrap();
    assert!(config.trust.access.admit(Place::Issue, &theirs).is_ok());
    assert!(config.trust.access.admit(Place::Call, &theirs).is_err());
    assert!(refused("[access]\nissue = [\"*\"]").contains("access.issue"));
}

#[test]
fn a_profile_has_the_keys_that_it_needs_and_no_others() {
    let of = |table: &str| refused(&format!("[federation.\"partner.example\"]\n{table}\n"));
    assert!(of("profile = \"https_web\"").contains("`url` is missing"));
    assert!(of("profile = \"https_web\"\nurl = \"http://p.example/b\"").contains("https"));
    assert!(of("profile = \"https_spiffe\"\nurl = \"https://p.example\"").contains("`spiffe_id` is missing"));
    assert!(of("profile = \"file\"\nbundle = \"x\"\nurl = \"https://p.example\"").contains("no meaning"));
    assert!(of("profile = \"workload_api\"").contains("trust.source"));
    assert!(refused("[federation.\"atb.dev\"]\nprofile = \"file\"\nbundle = \"x\"").contains("trust.domain"));
    assert!(refused("[federation.\"Partner\"]\nprofile = \"file\"\nbundle = \"x\"").contains("federation"));
}
