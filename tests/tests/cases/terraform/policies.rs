//! What was really granted: the policies as they stand in Terraform's state.

use serde_json::Value;
use std::collections::BTreeSet;

/// Resources that stand for all of their kind, by statement, with the reason: everything else names what it means.
const BROAD: [(&str, &str, &str); 14] = [
    ("Look", "*", "DescribeInstances knows no resources"),
    ("SessionManager", "*", "the channels of Session Manager know no resources"),
    ("RunFromTemplate", "instance/*", "not made yet; only from our templates, with our tag"),
    ("RunFromTemplate", "volume/*", "as above"),
    ("RunWith", "network-interface/*", "not made yet; only from our templates"),
    ("RunWith", "spot-instances-request/*", "as above"),
    ("TagWhatIsLaunched", "instance/*", "not made yet; only while it is launched"),
    ("TagWhatIsLaunched", "volume/*", "as above"),
    ("EndOurs", "instance/*", "instances come and go; only with our tag"),
    ("JobFiles", "parameter/stopgap/jobs/*", "every job's own, and nothing else"),
    ("Records", "runs/*", "records come with every run"),
    ("Account", "*", "in a key's own policy, * is this key"),
    ("Alarms", "*", "as above"),
    ("OurRoles", "*", "as above"),
];

/// Policies that AWS makes itself, and to which nothing was added.
const OF_AWS: [&str; 2] = ["aws_vpc_endpoint", "aws_sns_topic"];

/// One statement of one policy.
pub struct Statement {
    address: String,
    value: Value,
}

impl Statement {
    fn sid(&self) -> &str {
        self.value["Sid"].as_str().unwrap_or_default()
    }

    fn list(&self, key: &str) -> Vec<&str> {
        match &self.value[key] {
            Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
            one => one.as_str().into_iter().collect(),
        }
    }

    fn condition(&self, test: &str, variable: &str) -> Option<&Value> {
        self.value["Condition"].get(test)?.get(variable)
    }
}

/// Every resource of a state, those of modules, too.
pub fn resources(state: &Value) -> Vec<&Value> {
    let mut modules = vec![&state["values"]["root_module"]];
    let mut found = Vec::new();
    while let Some(module) = modules.pop() {
        modules.extend(module["child_modules"].as_array().into_iter().flatten());
        found.extend(module["resources"].as_array().into_iter().flatten());
    }
    found
}

pub fn statements(state: &Value) -> Vec<Statement> {
    let mut found = Vec::new();
    for resource in resources(state) {
        let kind = resource["type"].as_str().unwrap_or_default();
        if resource["mode"] != "managed" || OF_AWS.contains(&kind) {
            continue;
        }
        for (key, text) in resource["values"].as_object().into_iter().flatten() {
            let policy = text.as_str().filter(|_| key.ends_with("policy")).unwrap_or_default();
            let policy: Value = serde_json::from_str(policy).unwrap_or_default();
            let address = format!("{}.{key}", resource["address"].as_str().unwrap_or_default());
            let values = match &policy["Statement"] {
                Value::Array(list) => list.clone(),
                Value::Null => Vec::new(),
                one => vec![one.clone()],
            };
            found.extend(values.into_iter().map(|value| Statement { address: address.clone(), value }));
        }
    }
    found
}

/// The part of an ARN after the account where it stands for more than one thing that has a name.
fn broad(arn: &str) -> Option<&str> {
    if arn == "*" {
        return Some(arn);
    }
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let (service, own) = (parts.get(2)?, parts.get(5)?);
    match *service {
        // The bucket is named; what is in it is a folder of one purpose each.
        "s3" => {
            own.split_once('/').filter(|(bucket, key)| bucket.contains('*') || *key == "runs/*").map(|(_, key)| key)
        }
        // A log group's streams.
        "logs" => own.strip_suffix(":*").filter(|group| group.contains('*')),
        _ => own.contains('*').then_some(own),
    }
}

pub fn check(state: &Value) {
    let statements = statements(state);
    let mut found = BTreeSet::new();
    for statement in &statements {
        for resource in statement.list("Resource") {
            let Some(broad) = broad(resource) else { continue };
            let (address, sid) = (&statement.address, statement.sid());
            let listed = BROAD.iter().any(|(own, resource, _)| (*own, *resource) == (sid, broad));
            assert!(listed, "{address}, {sid}: {resource} is not one thing; name it, or say why not");
            found.insert((sid, broad));
        }
        if statement.address.contains("aws_iam_role_policy") {
            let all = statement.list("Action").into_iter().find(|action| action.contains('*'));
            assert_eq!(all, None, "{}, {}: name the actions", statement.address, statement.sid());
            assert_eq!(statement.value["Effect"], "Allow");
            assert!(statement.value.get("NotAction").or(statement.value.get("NotResource")).is_none());
        }
    }
    assert_eq!(found.len(), BROAD.len(), "listed, and not there: {BROAD:?} {found:?}");
    no_policies_of_others(state);
    launches_are_limited(&statements, state);
}

/// A policy that AWS manages grants what it likes, and more next year.
fn no_policies_of_others(state: &Value) {
    for resource in resources(state) {
        let kind = resource["type"].as_str().unwrap_or_default();
        assert!(!kind.ends_with("_policy_attachment"), "{}: write the statements out", resource["address"]);
        let managed = resource["values"]["managed_policy_arns"].as_array();
        assert!(managed.is_none_or(Vec::is_empty), "{}: {managed:?}", resource["address"]);
    }
}

fn launches_are_limited(statements: &[Statement], state: &Value) {
    let with = |action: &str| -> Vec<&Statement> {
        let found: Vec<&Statement> =
            statements.iter().filter(|statement| statement.list("Action").contains(&action)).collect();
        assert!(!found.is_empty(), "nothing grants {action}");
        found
    };
    let arn = |kind: &str, name: &str| -> Vec<String> {
        let own = |resource: &&&Value| resource["type"] == kind && resource["name"] == name;
        let arns = resources(state);
        arns.iter().filter(own).filter_map(|found| found["values"]["arn"].as_str()).map(str::to_owned).collect()
    };
    for pass in with("iam:PassRole") {
        assert_eq!(pass.list("Resource"), arn("aws_iam_role", "instance"));
        assert_eq!(pass.condition("StringEquals", "iam:PassedToService").unwrap(), "ec2.amazonaws.com");
    }
    let mut templates = arn("aws_launch_template", "job");
    templates.sort();
    for run in with("ec2:RunInstances") {
        let limit = run.condition("ArnEquals", "ec2:LaunchTemplate").unwrap_or(&Value::Null);
        let mut own: Vec<String> = serde_json::from_value(limit.clone()).unwrap_or_default();
        own.sort();
        assert_eq!(own, templates, "{}", run.sid());
        let tagged = run.condition("StringEquals", "aws:RequestTag/stopgap:environment").is_some();
        assert_eq!(tagged, run.list("Resource").iter().any(|own| own.ends_with(":instance/*")), "{}", run.sid());
        let image = run.list("Resource").iter().any(|own| own.contains(":image/"));
        assert_eq!(image, run.condition("Bool", "ec2:IsLaunchTemplateResource").is_some(), "{}", run.sid());
    }
    for end in with("ec2:TerminateInstances") {
        assert_eq!(end.condition("StringEquals", "aws:ResourceTag/stopgap:environment").unwrap(), "dev");
    }
    for grant in with("kms:CreateGrant") {
        assert_eq!(grant.condition("Bool", "kms:GrantIsForAWSResource").unwrap(), "true");
    }
    for role in with("iam:CreateServiceLinkedRole") {
        assert_eq!(role.condition("StringEquals", "iam:AWSServiceName").unwrap(), "spot.amazonaws.com");
    }
}
