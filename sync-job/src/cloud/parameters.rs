//! SSM Parameter Store: the one request that is made of it. SSM's own SDK has 150 operations, and takes minutes to build.
//!
//! `GetParameter` and `CommonErrors`, AWS Systems Manager API Reference; the protocol is AWS JSON 1.1 (Smithy).

use aws_config::{BehaviorVersion, SdkConfig};
use aws_runtime::auth::SigV4OperationSigningConfig;
use aws_runtime::auth::sigv4::{SCHEME_ID, SigV4AuthScheme};
use aws_runtime::retries::classifiers::AwsErrorCodeClassifier;
use aws_smithy_runtime::client::orchestrator::operation::{Operation, OperationBuilder};
use aws_smithy_runtime::client::retries::classifiers::{HttpStatusCodeClassifier, TransientErrorClassifier};
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::auth::{AuthSchemeOptionResolverParams, SharedAuthScheme};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError, SensitiveOutput};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::Layer;
use aws_smithy_types::error::ErrorMetadata;
use aws_types::SigningName;
use aws_types::region::SigningRegion;
use aws_types::service_config::ServiceConfigKey;
use serde_json::{Value, json};

const NOT_FOUND: &str = "ParameterNotFound";

/// The value of a parameter, decrypted; `None` if there is none of this name. Passing failures are tried again as `config` says.
pub async fn get(config: &SdkConfig, name: &str) -> anyhow::Result<Option<String>> {
    let body = json!({"Name": name, "WithDecryption": true}).to_string();
    match request(config)?.invoke(body).await {
        Ok(value) => Ok(value),
        Err(SdkError::ServiceError(error)) if error.err().code() == Some(NOT_FOUND) => Ok(None),
        Err(error) => {
            let reason = stopgap_runs::cloud::reason(&error);
            Err(anyhow::anyhow!("the parameter {name} of SSM cannot be read: {reason}"))
        }
    }
}

type Request = Operation<String, Option<String>, ErrorMetadata>;

fn request(config: &SdkConfig) -> anyhow::Result<Request> {
    let region = config.region().ok_or_else(|| anyhow::anyhow!("no AWS region is known; set AWS_REGION"))?;
    let builder = Operation::builder()
        .service_name("SSM")
        .operation_name("GetParameter")
        .behavior_version(BehaviorVersion::latest())
        .with_connection_poisoning()
        .endpoint_url(&endpoint_of(config, region.as_ref()))
        .retry_classifier(AwsErrorCodeClassifier::<ErrorMetadata>::new())
        .retry_classifier(TransientErrorClassifier::<ErrorMetadata>::new())
        .retry_classifier(HttpStatusCodeClassifier::default())
        .runtime_plugin(signed(config, region.clone().into()));
    Ok(patient(builder, config).serializer(serialize).deserializer(deserialize).build())
}

fn patient(mut builder: OperationBuilder, config: &SdkConfig) -> OperationBuilder {
    if let Some(client) = config.http_client() {
        builder = builder.http_client(client);
    }
    if let Some(retries) = config.retry_config() {
        builder = builder.standard_retry(retries);
    }
    if let Some(timeouts) = config.timeout_config() {
        builder = builder.timeout_config(timeouts.clone());
    }
    builder
}

/// Signed with the machine's credentials. The answer, which may be a secret, is not logged.
fn signed(config: &SdkConfig, region: SigningRegion) -> StaticRuntimePlugin {
    let mut layer = Layer::new("GetParameter");
    layer.store_put(SensitiveOutput);
    layer.store_put(AuthSchemeOptionResolverParams::new(()));
    layer.store_put(SigV4OperationSigningConfig {
        region: Some(region),
        name: Some(SigningName::from_static("ssm")),
        ..SigV4OperationSigningConfig::default()
    });
    let mut components = RuntimeComponentsBuilder::new("GetParameter")
        .with_auth_scheme_option_resolver(Some(StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID])))
        .with_auth_scheme(SharedAuthScheme::new(SigV4AuthScheme::new()));
    if let Some(credentials) = config.credentials_provider() {
        components = components.with_identity_resolver(SCHEME_ID, credentials);
    }
    if let Some(cache) = config.identity_cache() {
        components = components.with_identity_cache(Some(cache));
    }
    StaticRuntimePlugin::new().with_config(layer.freeze()).with_runtime_components(components)
}

fn serialize(body: String) -> Result<HttpRequest, Box<dyn std::error::Error + Send + Sync>> {
    let length = body.len().to_string();
    let mut request = HttpRequest::new(SdkBody::from(body));
    request.set_method("POST")?;
    request.set_uri("/")?;
    let headers = request.headers_mut();
    headers.insert("content-type", "application/x-amz-json-1.1");
    headers.insert("content-length", length);
    headers.insert("x-amz-target", "AmazonSSM.GetParameter");
    headers.insert("user-agent", concat!("stopgap/", env!("CARGO_PKG_VERSION")));
    Ok(request)
}

fn deserialize(response: &HttpResponse) -> Result<Option<String>, OrchestratorError<ErrorMetadata>> {
    let body: Result<Value, _> = serde_json::from_slice(response.body().bytes().unwrap_or_default());
    if !response.status().is_success() {
        let code = response.headers().get("x-amzn-errortype").map(str::to_owned);
        return Err(OrchestratorError::operation(refusal(code, &body.unwrap_or_default())));
    }
    // What it says of the text stays behind: it may show some of it.
    let body = body.map_err(|_| OrchestratorError::other("the answer is not JSON"))?;
    Ok(body["Parameter"]["Value"].as_str().map(str::to_owned))
}

/// "Operation Error serialization", AWS JSON 1.1: the code is in a header or in the body, perhaps with a namespace before it and an
/// address behind it.
fn refusal(header: Option<String>, body: &Value) -> ErrorMetadata {
    let code = header.or_else(|| Some(body.get("code").or_else(|| body.get("__type"))?.as_str()?.to_owned()));
    let message = body.get("message").or_else(|| body.get("Message")).and_then(Value::as_str);
    let mut refusal = ErrorMetadata::builder();
    if let Some(code) = code {
        let code = code.split(':').next().unwrap_or_default();
        refusal = refusal.code(code.rsplit('#').next().unwrap_or_default());
    }
    if let Some(message) = message {
        refusal = refusal.message(message);
    }
    refusal.build()
}

/// What the environment or the profile names, for SSM or for all services ("Service-specific endpoints", AWS SDKs and Tools Reference
/// Guide), else AWS's own.
fn endpoint_of(config: &SdkConfig, region: &str) -> String {
    let key = ServiceConfigKey::builder().service_id("SSM").env("AWS_ENDPOINT_URL").profile("endpoint_url").build();
    let of_ssm = key.ok().and_then(|key| config.service_config()?.load_config(key));
    of_ssm
        .or_else(|| config.endpoint_url().map(str::to_owned))
        .unwrap_or_else(|| endpoint(region, config.use_fips() == Some(true), config.use_dual_stack() == Some(true)))
}

/// "AWS Systems Manager endpoints and quotas", AWS General Reference; the suffixes are of the partitions in the SDKs' `partitions.json`.
fn endpoint(region: &str, fips: bool, dual_stack: bool) -> String {
    let (plain, dual) = match region.rsplitn(3, '-').last().unwrap_or_default() {
        "cn" => ("amazonaws.com.cn", "api.amazonwebservices.com.cn"),
        "eusc-de" => ("amazonaws.eu", "api.amazonwebservices.eu"),
        "us-iso" => ("c2s.ic.gov", "api.aws.ic.gov"),
        "us-isob" => ("sc2s.sgov.gov", "api.aws.scloud"),
        "us-isof" => ("csp.hci.ic.gov", "api.aws.hci.ic.gov"),
        "eu-isoe" => ("cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
        _ => ("amazonaws.com", "api.aws"),
    };
    // In GovCloud the ordinary endpoints are FIPS's.
    let service = if fips && (dual_stack || !region.starts_with("us-gov-")) { "ssm-fips" } else { "ssm" };
    format!("https://{service}.{region}.{}", if dual_stack { dual } else { plain })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_has_its_endpoints() {
        for (region, fips, dual_stack, expected) in [
            ("eu-central-1", false, false, "https://ssm.eu-central-1.amazonaws.com"),
            ("ca-central-1", true, false, "https://ssm-fips.ca-central-1.amazonaws.com"),
            ("us-east-1", true, true, "https://ssm-fips.us-east-1.api.aws"),
            ("us-gov-west-1", true, false, "https://ssm.us-gov-west-1.amazonaws.com"),
            ("cn-north-1", false, false, "https://ssm.cn-north-1.amazonaws.com.cn"),
            ("cn-north-1", false, true, "https://ssm.cn-north-1.api.amazonwebservices.com.cn"),
            ("us-iso-east-1", false, false, "https://ssm.us-iso-east-1.c2s.ic.gov"),
            ("us-isob-east-1", false, false, "https://ssm.us-isob-east-1.sc2s.sgov.gov"),
        ] {
            assert_eq!(endpoint(region, fips, dual_stack), expected);
        }
    }

    #[test]
    fn a_refusal_says_its_code_wherever_it_stands() {
        let body = json!({"__type": "com.amazonaws.ssm#ParameterNotFound", "Message": "none"});
        let of_body = refusal(None, &body);
        assert_eq!((of_body.code(), of_body.message()), (Some(NOT_FOUND), Some("none")));
        let of_header = refusal(Some("ThrottlingException:http://internal.amazon.com/".to_owned()), &Value::Null);
        assert_eq!((of_header.code(), of_header.message()), (Some("ThrottlingException"), None));
    }
}
