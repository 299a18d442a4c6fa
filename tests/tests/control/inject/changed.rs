//! What changes while it serves: certificates that are rotated, templates that are rewritten, well or badly.

use std::time::Duration;

use fusebox_tests::client::Request;

use super::*;

/// How long a change may take to be noticed.
const PATIENCE: Duration = Duration::from_secs(10);

impl Stage {
    fn write(&self, template: &str) {
        let beside = self.files.path().join("template.new");
        fs::write(&beside, template).unwrap();
        fs::rename(beside, self.template()).unwrap();
    }

    /// Asks until the answer is as it should be.
    async fn until(&self, what: &str, ask: impl Fn() -> Request, right: impl Fn(&Response) -> bool) -> Response {
        let asking = async {
            let mut clock = tokio::time::interval(Duration::from_millis(20));
            loop {
                clock.tick().await;
                let Ok(open) = ask().try_open().await else { continue };
                let response = Response::of(&open.whole().await);
                if right(&response) {
                    return response;
                }
            }
        };
        let log = || self.control.log();
        tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("waited for {what}\n{}", log()))
    }

    async fn until_image(&self, image: &str) {
        let before = pod(&[]);
        let is_it = |response: &Response| response.applied(&before)["spec"]["initContainers"][0]["image"] == image;
        self.until(image, || self.server().post(LABELLED, &review(&before)), is_it).await;
    }
}

fn of_image(image: &str) -> Value {
    let mut template = template();
    template["container"]["image"] = image.into();
    template
}

#[tokio::test]
async fn a_rotated_certificate_is_served_from_then_on_and_old_connections_go_on() {
    let stage = Stage::start(&template(), json!({})).await;
    let old = stage.server();
    Response::of(&old.post(LABELLED, &review(&pod(&[]))).send().await);
    let successor = Authority::new();
    mount(&stage.files, "v2", &successor.issue("webhook"));
    let new = || Http::tls(stage.control.injector_address(), successor.client(None), true);
    stage.until("the new certificate", || new().post(LABELLED, &review(&pod(&[]))), Response::allowed).await;
    Response::of(&old.post(LABELLED, &review(&pod(&[]))).send().await);
    let late = stage.server().post(LABELLED, &review(&pod(&[]))).try_open().await;
    assert!(late.is_err(), "who trusts the old certificate alone is shown it no more");
}

#[tokio::test]
async fn a_certificate_is_rotated_even_while_the_template_is_faulty() {
    let stage = Stage::start(&template(), json!({})).await;
    stage.write("nonsense: 1");
    stage.control.logged("the refusal", |line| line.contains("nonsense")).await;
    let successor = Authority::new();
    mount(&stage.files, "v2", &successor.issue("webhook"));
    let new = || Http::tls(stage.control.injector_address(), successor.client(None), true);
    let response =
        stage.until("the new certificate", || new().post(LABELLED, &review(&pod(&[]))), Response::allowed).await;
    assert!(!response.is_plain(), "the last good template is still injected");
}

#[tokio::test]
async fn a_pair_that_does_not_fit_is_refused_and_the_last_good_one_stays() {
    let stage = Stage::start(&template(), json!({})).await;
    let (one, other) = (stage.authority.issue("one"), stage.authority.issue("other"));
    mount(&stage.files, "v2", &Identity { cert_file: one.cert_file, key_file: other.key_file });
    stage
        .control
        .logged("the refusal", |line| line.contains("injector.tls.cert_file") && line.contains("refused"))
        .await;
    assert!(!stage.asked(LABELLED, &pod(&[])).await.is_plain());
}

#[tokio::test]
async fn another_template_is_injected_from_then_on_and_a_faulty_one_never() {
    let stage = Stage::start(&template(), json!({})).await;
    let version = |pod: &Value| pod["metadata"]["annotations"]["fusebox.dev/injected"].as_str().unwrap().to_owned();
    let first = version(&stage.injected(&pod(&[])).await);
    stage.write(&of_image("second:2").to_string());
    stage.until_image("second:2").await;
    let second = version(&stage.injected(&pod(&[])).await);
    assert_ne!(first, second);
    stage.control.logged("the change", |line| line.contains(&first) && line.contains(&second)).await;
    let mut faulty = of_image("third:3");
    faulty["container"]["name"] = "other".into();
    faulty["container"]["reources"] = json!({});
    stage.write(&faulty.to_string());
    for said in [
        "container.name: is other; the container is known by its name; write fusebox",
        "container.reources: unknown key; did you mean `resources`?",
    ] {
        stage.control.logged(said, |line| line.contains(said) && line.contains("injector.template_file")).await;
    }
    stage.until_image("second:2").await;
    stage.write(&of_image("fourth:4").to_string());
    stage.until_image("fourth:4").await;
}

#[tokio::test]
async fn what_becomes_of_a_faulty_pod_can_be_changed_while_it_serves() {
    let stage = Stage::start(&template(), json!({})).await;
    let wrong = pod(&[("log", "loud=1=2")]);
    assert!(stage.asked(LABELLED, &wrong).await.allowed());
    let mut changed = config(&stage.files);
    changed["injector"]["on_error"] = "deny".into();
    // Its door stays: it is asked for a free port again, and that is the same wish.
    stage.control.rewrite(&changed);
    stage.until("the new rule", || stage.server().post(LABELLED, &review(&wrong)), |answer| !answer.allowed()).await;
}

#[tokio::test]
async fn it_does_not_start_with_a_faulty_template_or_certificate_and_says_all_that_is_wrong() {
    let files = tempfile::tempdir().unwrap();
    mount(&files, "v1", &Authority::new().issue("webhook"));
    let check = async || {
        let said = ControlPlane::check(&config(&files), &[]).await;
        (said.status.code(), String::from_utf8(said.stderr).unwrap() + &String::from_utf8(said.stdout).unwrap())
    };
    let (status, said) = check().await;
    assert!(
        status == Some(2) && said.contains("injector.template_file: ") && said.contains("cannot be read"),
        "{said}"
    );
    fs::write(files.path().join("template.yaml"), "container: { name: fusebox }\nconfig: |\n  a: [\n").unwrap();
    let (status, said) = check().await;
    assert_eq!(status, Some(2), "{said}");
    for fault in ["container.image: ", "container.restartPolicy: is missing", "config: is not valid YAML: line "] {
        assert!(said.contains(&format!("injector.template_file: in it, {fault}")), "{fault}\n{said}");
    }
    fs::write(files.path().join("template.yaml"), template().to_string()).unwrap();
    let (status, said) = check().await;
    assert!(status == Some(0) && said.contains("pods are injected by template "), "{said}");
    fs::write(files.path().join("v1/tls.key"), "nothing").unwrap();
    let (status, said) = check().await;
    assert!(status == Some(2) && said.contains("injector.tls.key_file: "), "{said}");
}
