//! Real targets whose TLS is too old for the job.

use stopgap_tests::{
    certificates::Flavour,
    job::Job,
    source::TestSource,
    target::{Engine, TestTarget},
};

const COULD_NOT_CONNECT: i32 = 4;

/// Servers of TLS 1.2 whose only suite has no GCM, which is what Windows Server 2012 R2 comes down to, too.
async fn refused(engine: Engine) {
    const SUITE: &str = "ECDHE-ECDSA-AES128-SHA";
    let settings = engine.pick(
        [("ssl_max_protocol_version", "TLSv1.2"), ("ssl_ciphers", SUITE)],
        [("tls_version", "TLSv1.2"), ("ssl_cipher", SUITE)],
    );
    let target = TestTarget::with_own(engine, Some(Flavour::Good), &settings).unwrap();
    let source = TestSource::with("CREATE TABLE dbo.items (id int NOT NULL PRIMARY KEY)").await.unwrap();
    let job = Job::new(&source, &target).unwrap().job("retries = 0").sections("[tables]\ninclude = [\"dbo.*\"]");
    let outcome = job.command("run", &[]).unwrap().expect_code(COULD_NOT_CONNECT).unwrap();
    let said = outcome.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in ["no TLS cipher suite that this program takes", "ECDHE-RSA-AES128-GCM-SHA256"] {
        assert!(said.contains(words), "{engine:?}: {words:?} is not in {said}");
    }
    assert!(!said.contains("ca_file"), "{engine:?}: {said}");
}

/// MySQL itself takes no such suite any more ("Encrypted Connection TLS Protocols and Ciphers"); MariaDB speaks its protocol.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_with_old_suites_is_told_from_a_bad_certificate() {
    refused(Engine::Postgres).await;
    refused(Engine::MariaDb).await;
}
