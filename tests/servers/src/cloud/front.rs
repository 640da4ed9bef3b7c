//! Stands before one service and answers some of its requests itself: what moto never refuses, AWS does.

use super::{Service, respond};
use anyhow::Result;
use tiny_http::Request;

/// Looks at a request's body and gives the answer instead of the service: status and body.
pub type Rule = Box<dyn FnMut(&str) -> Option<(u16, String)> + Send>;

/// Changes what the service answers.
pub type Change = Box<dyn Fn(String) -> String + Send>;

pub struct Front {
    service: Service,
}

impl Front {
    /// Before the service on `port`.
    pub fn start(port: u16, rule: Rule) -> Result<Self> {
        Self::changing(port, rule, Box::new(|text| text))
    }

    /// As [`Front::start`]; what the service answers is changed on its way.
    pub fn changing(port: u16, mut rule: Rule, change: Change) -> Result<Self> {
        let service = Service::start(move |mut request| {
            let mut body = Vec::new();
            if request.as_reader().read_to_end(&mut body).is_err() {
                return;
            }
            match rule(&String::from_utf8_lossy(&body)) {
                Some((status, text)) => respond(request, status, text, &[("Content-Type", "text/xml")]),
                None => forward(port, request, &body, &change),
            }
        })?;
        Ok(Self { service })
    }

    /// Points a program's client of `service` (`EC2`, `SNS`) here.
    pub fn environment(&self, service: &str) -> (String, String) {
        (format!("AWS_ENDPOINT_URL_{service}"), format!("http://127.0.0.1:{}", self.service.port()))
    }
}

fn forward(port: u16, request: Request, body: &[u8], change: &Change) {
    let agent = ureq::Agent::new_with_config(ureq::Agent::config_builder().http_status_as_error(false).build());
    let mut asked = agent.post(format!("http://127.0.0.1:{port}{}", request.url()));
    for header in request.headers() {
        let name = header.field.to_string().to_ascii_lowercase();
        if !matches!(name.as_str(), "host" | "content-length" | "connection" | "transfer-encoding") {
            asked = asked.header(name, header.value.as_str());
        }
    }
    match asked.send(body) {
        Ok(mut answer) => {
            let status = answer.status().as_u16();
            let kind = answer.headers().get("content-type").and_then(|kind| kind.to_str().ok()).map(str::to_owned);
            let text = change(answer.body_mut().read_to_string().unwrap_or_default());
            respond(request, status, text, &[("Content-Type", kind.as_deref().unwrap_or("text/xml"))]);
        }
        Err(error) => respond(request, 502, error.to_string(), &[]),
    }
}
