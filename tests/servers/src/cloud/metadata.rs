//! An instance's metadata service, version 2 only ("Use the Instance Metadata Service", Amazon EC2 User Guide).

use super::{Service, respond};
use anyhow::Result;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tiny_http::{Method, Request};

const TOKEN: &str = "AQAEAHsR-stopgap";
/// Of the instance's profile.
const ROLE: &str = "stopgap-instance";

/// Whether this Spot instance is about to be taken away.
#[derive(Debug, Clone, Default)]
pub struct Spot(Arc<AtomicBool>);

impl Spot {
    /// From now on there is a notice.
    pub fn interrupt(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Whether the service refuses everything for now.
#[derive(Debug, Clone, Default)]
pub struct Away(Arc<AtomicBool>);

impl Away {
    pub fn set(&self, away: bool) {
        self.0.store(away, Ordering::Relaxed);
    }
}

/// The service of one instance.
pub struct Metadata {
    service: Service,
    pub spot: Spot,
    pub away: Away,
}

impl Metadata {
    pub fn start(instance: &str, tags: BTreeMap<String, String>, user_data: Option<String>) -> Result<Self> {
        let (instance, spot, away) = (instance.to_owned(), Spot::default(), Away::default());
        let (own, refuses) = (spot.clone(), away.clone());
        let service = Service::start(move |request| {
            if refuses.0.load(Ordering::Relaxed) {
                return respond(request, 503, "", &[]);
            }
            answer(request, &instance, &tags, user_data.as_deref(), &own);
        })?;
        Ok(Self { service, spot, away })
    }

    /// Where it listens, on the loopback address.
    pub fn port(&self) -> u16 {
        self.service.port()
    }

    /// Where the instance finds it.
    pub fn environment(&self) -> (String, String) {
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT".to_owned(), format!("http://127.0.0.1:{}", self.service.port()))
    }
}

/// What the instance may sign its requests with; moto takes anything.
fn role_credentials() -> Value {
    json!({
        "Code": "Success",
        "Type": "AWS-HMAC",
        "LastUpdated": "2026-11-20T04:00:00Z",
        "Expiration": "2099-01-01T00:00:00Z",
        "AccessKeyId": "ASIAIOSFODNN7EXAMPLE",
        "SecretAccessKey": "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY",
        "Token": "of-the-role",
    })
}

fn answer(request: Request, instance: &str, tags: &BTreeMap<String, String>, user_data: Option<&str>, spot: &Spot) {
    let header = |name: &str| {
        let found = request.headers().iter().find(|header| header.field.to_string().eq_ignore_ascii_case(name));
        found.map(|header| header.value.to_string())
    };
    if request.method() == &Method::Put && request.url() == "/latest/api/token" {
        let lifetime = header("x-aws-ec2-metadata-token-ttl-seconds").unwrap_or_default();
        return respond(request, 200, TOKEN, &[("x-aws-ec2-metadata-token-ttl-seconds", &lifetime)]);
    }
    // Version 1 asks without a token.
    if header("x-aws-ec2-metadata-token").as_deref() != Some(TOKEN) {
        return respond(request, 401, "", &[]);
    }
    let found = match request.url() {
        "/latest/meta-data/instance-id" => Some(instance.to_owned()),
        "/latest/meta-data/placement/region" => Some(super::REGION.to_owned()),
        "/latest/meta-data/tags/instance" => Some(tags.keys().cloned().collect::<Vec<_>>().join("\n")),
        "/latest/meta-data/iam/security-credentials/" => Some(ROLE.to_owned()),
        path if path.strip_prefix("/latest/meta-data/iam/security-credentials/") == Some(ROLE) => {
            Some(role_credentials().to_string())
        }
        "/latest/user-data" => user_data.map(str::to_owned),
        "/latest/meta-data/spot/instance-action" => spot
            .0
            .load(Ordering::Relaxed)
            .then(|| r#"{"action": "terminate", "time": "2026-11-20T04:02:00Z"}"#.to_owned()),
        path => path.strip_prefix("/latest/meta-data/tags/instance/").and_then(|name| tags.get(name).cloned()),
    };
    match found {
        Some(text) => respond(request, 200, text, &[]),
        None => respond(request, 404, "", &[]),
    }
}
