use std::fs;

use fusebox_base::testing::certificates::{ONE, TWO, serves, written};

use super::*;
use crate::config::Tls;

fn generations() -> Generations {
    let telemetry = Telemetry::try_new(&Config::default().telemetry, 1).unwrap();
    Generations::new(telemetry, 1, Arc::default(), None)
}

fn with_tls(tls: Tls) -> Config {
    let mut config = Config::default();
    config.auth.tls = Some(tls);
    config
}

#[tokio::test]
async fn a_rotated_certificate_comes_with_the_next_generation_and_a_bad_one_refuses_it() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let generations = generations();
    let (current, access) = generations.first(with_tls(written(file.path(), ONE))).unwrap().begin();
    let certificate = access.certificate.clone().unwrap();
    assert!(serves(&certificate, ONE).await);

    let next = generations.next(with_tls(written(file.path(), TWO)), &current).unwrap();
    let current = next.replace(&access);
    assert!(serves(&certificate, TWO).await);

    let faults = generations.next(with_tls(written(file.path(), "half a file")), &current).err().unwrap();
    assert!(faults[0].starts_with("auth.tls."), "{faults:?}");
    assert!(serves(&certificate, TWO).await);

    let elsewhere = tempfile::NamedTempFile::new().unwrap();
    generations.next(with_tls(written(elsewhere.path(), ONE)), &current).unwrap().replace(&access);
    assert!(serves(&certificate, ONE).await, "files may move");
    let faults = generations.next(Config::default(), &current).err().unwrap();
    assert_eq!(faults.len(), 1, "whether there is TLS at all is fixed at the start: {faults:?}");
    fs::remove_file(elsewhere.path()).unwrap();
}

#[test]
fn of_a_refused_generation_metrics_know_nothing() {
    let generations = generations();
    let (current, _) = generations.first(Config::default()).unwrap().begin();
    let before = breakers(&generations);
    assert_eq!(before.len(), 1);
    let mut config = Config::default();
    let provider = Arc::make_mut(&mut config.providers[0]);
    (provider.name, provider.kind, provider.base_url) =
        ("other".into(), config::ProviderKind::OpenAi, "not a URL".into());
    assert!(generations.next(config, &current).is_err());
    assert_eq!(breakers(&generations), before);
}

fn breakers(generations: &Generations) -> Vec<String> {
    let page = generations.telemetry.render(fusebox_base::prometheus::Format::default());
    page.lines().filter(|line| line.starts_with("fusebox_breaker_state{")).map(str::to_owned).collect()
}
