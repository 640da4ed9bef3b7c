//! What there is in an account, as AWS lists it.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use stopgap_servers::cloud::Cloud;

/// Service, operation, the list in its answer, and what tells its members apart; nothing where they are names themselves.
const LISTS: [(&str, &str, &str, &str); 32] = [
    ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    ("ec2", "describe_addresses", "Addresses", "AllocationId"),
    ("ec2", "describe_instances", "Reservations.Instances", "InstanceId"),
    ("ec2", "describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
    ("ec2", "describe_key_pairs", "KeyPairs", "KeyName"),
    ("ec2", "describe_launch_templates", "LaunchTemplates", "LaunchTemplateName"),
    ("ec2", "describe_nat_gateways", "NatGateways", "NatGatewayId"),
    ("ec2", "describe_route_tables", "RouteTables", "RouteTableId"),
    ("ec2", "describe_route_tables", "RouteTables.Routes", "DestinationCidrBlock"),
    ("ec2", "describe_security_group_rules", "SecurityGroupRules", "SecurityGroupRuleId"),
    ("ec2", "describe_security_groups", "SecurityGroups", "GroupId"),
    ("ec2", "describe_subnets", "Subnets", "SubnetId"),
    ("ec2", "describe_volumes", "Volumes", "VolumeId"),
    ("ec2", "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId"),
    ("ec2", "describe_vpc_peering_connections", "VpcPeeringConnections", "VpcPeeringConnectionId"),
    ("ec2", "describe_vpcs", "Vpcs", "VpcId"),
    ("events", "list_rules", "Rules", "Name"),
    ("iam", "list_instance_profiles", "InstanceProfiles", "InstanceProfileName"),
    ("iam", "list_roles", "Roles", "RoleName"),
    ("iam", "list_users", "Users", "UserName"),
    ("lambda", "list_functions", "Functions", "FunctionName"),
    ("logs", "describe_log_groups", "logGroups", "logGroupName"),
    ("rds", "describe_db_clusters", "DBClusters", "DBClusterIdentifier"),
    ("rds", "describe_db_instances", "DBInstances", "DBInstanceIdentifier"),
    ("rds", "describe_db_subnet_groups", "DBSubnetGroups", "DBSubnetGroupName"),
    ("s3", "list_buckets", "Buckets", "Name"),
    ("scheduler", "list_schedule_groups", "ScheduleGroups", "Name"),
    ("scheduler", "list_schedules", "Schedules", "Name"),
    ("secretsmanager", "list_secrets", "SecretList", "Name"),
    ("sns", "list_subscriptions", "Subscriptions", "SubscriptionArn"),
    ("sns", "list_topics", "Topics", "TopicArn"),
    ("sqs", "list_queues", "QueueUrls", ""),
];

/// AWS shows for a while what is not there any more.
const GONE: [&str; 4] = ["deleted", "deleting", "shutting-down", "terminated"];

/// Everything that costs, grants or holds something, but for keys that AWS makes or that wait for their deletion, and
/// for interfaces, which EC2 removes with what they belong to.
pub fn everything(cloud: &Cloud) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (service, operation, list, name) in LISTS {
        let answer = cloud.call(service, operation, json!({})).unwrap();
        for member in members(&answer, list).into_iter().filter(|member| !is_gone(member)) {
            let name = if name.is_empty() { member } else { &member[name] };
            found.insert(format!("{list} {}", name.as_str().unwrap_or_default()));
        }
    }
    let aliases = cloud.call("kms", "list_aliases", json!({})).unwrap();
    let of_aws = |key: &Value| {
        let is_its = |alias: &&Value| alias["AliasName"].as_str().is_some_and(|name| name.starts_with("alias/aws/"));
        members(&aliases, "Aliases").into_iter().filter(is_its).any(|alias| alias["TargetKeyId"] == key["KeyId"])
    };
    for key in members(&cloud.call("kms", "list_keys", json!({})).unwrap(), "Keys") {
        if of_aws(key) {
            continue;
        }
        let told = cloud.call("kms", "describe_key", json!({"KeyId": key["KeyId"]})).unwrap();
        if told["KeyMetadata"]["KeyState"] != "PendingDeletion" {
            found.insert(format!("Keys {}", key["KeyId"].as_str().unwrap_or_default()));
        }
    }
    found
}

fn members<'a>(answer: &'a Value, path: &str) -> Vec<&'a Value> {
    path.split('.').fold(vec![answer], |found, key| {
        found.into_iter().flat_map(|value| value[key].as_array().into_iter().flatten()).collect()
    })
}

fn is_gone(member: &Value) -> bool {
    let states = [&member["State"], &member["State"]["Name"], &member["Status"]["Code"]];
    states.into_iter().filter_map(Value::as_str).any(|state| GONE.contains(&state))
}

/// The network that every account has, which stands for that of the databases.
pub struct Network {
    pub vpc: String,
    pub cidr: String,
    pub subnets: Vec<String>,
    pub route_table: String,
    pub security_group: String,
}

pub fn network(cloud: &Cloud) -> Network {
    let all = |operation: &str, list: &str, name: &str| -> Vec<String> {
        let answer = cloud.call("ec2", operation, json!({})).unwrap();
        members(&answer, list).into_iter().map(|member| member[name].as_str().unwrap().to_owned()).collect()
    };
    let one = |operation: &str, list: &str, name: &str| all(operation, list, name).remove(0);
    Network {
        vpc: one("describe_vpcs", "Vpcs", "VpcId"),
        cidr: one("describe_vpcs", "Vpcs", "CidrBlock"),
        subnets: all("describe_subnets", "Subnets", "SubnetId"),
        route_table: one("describe_route_tables", "RouteTables", "RouteTableId"),
        security_group: one("describe_security_groups", "SecurityGroups", "GroupId"),
    }
}
