//! CloudWatch's alarms, and the figures that the launcher really prints for them.

use super::policies::resources;
use serde_json::{Map, Value};

/// The alarms on runs of `job`, by name, that go off at what the launcher `printed` of one.
pub fn going_off(state: &Value, job: &str, printed: &str) -> Vec<String> {
    let all = resources(state);
    let alarms = all.iter().filter(|found| found["type"] == "aws_cloudwatch_metric_alarm" && found["index"] == job);
    let figures = printed.lines().find_map(|line| serde_json::from_str(line).ok());
    let figures: Value = figures.unwrap_or_else(|| panic!("no figures: {printed}"));
    let mut off: Vec<String> = alarms
        .filter(|alarm| goes_off(&alarm["values"], &figures))
        .map(|alarm| alarm["name"].as_str().unwrap().to_owned())
        .collect();
    off.sort();
    off
}

/// CloudWatch knows a metric by its namespace, its name and all of its dimensions: none of them may differ.
fn goes_off(alarm: &Value, figures: &Value) -> bool {
    let told = &figures["_aws"]["CloudWatchMetrics"][0];
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let dimensions: Vec<Value> = list(&told["Dimensions"])
        .iter()
        .map(|names| list(names).iter().map(|name| dimension(name, figures)).collect::<Map<_, _>>().into())
        .collect();
    let metric = alarm["metric_name"].as_str().unwrap();
    assert_eq!(alarm["namespace"], told["Namespace"], "{alarm:#}");
    assert!(list(&told["Metrics"]).iter().any(|own| own["Name"] == metric), "{metric} is not in {told}");
    assert!(dimensions.contains(&alarm["dimensions"]), "{} is not in {dimensions:?}", alarm["dimensions"]);
    let (value, threshold) = (figures[metric].as_f64().unwrap(), alarm["threshold"].as_f64().unwrap());
    match alarm["comparison_operator"].as_str().unwrap() {
        "GreaterThanThreshold" => value > threshold,
        "LessThanThreshold" => value < threshold,
        other => panic!("{other} is not understood here"),
    }
}

fn dimension(name: &Value, figures: &Value) -> (String, Value) {
    let name = name.as_str().unwrap();
    (name.to_owned(), figures[name].clone())
}
