//! What Terraform would have made for one job: topic, bucket, launch template, function; and the life of its instances.

use super::{Answer, Cloud, Invocation, Metadata, lambda};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

/// Any image will do: nothing boots here.
const IMAGE: &str = "ami-12c6146b";

/// One job on a cloud, apart from all others there.
pub struct Deployment<'a> {
    pub cloud: &'a Cloud,
    pub job: String,
    /// Its own, so that one job's sweep sees no other's instances.
    pub stage: String,
    pub topic: String,
    pub bucket: String,
    queue: String,
    template: String,
    /// What Terraform tells the function, where Terraform made it.
    function: Option<Vec<(String, String)>>,
    launcher: PathBuf,
    requests: AtomicU32,
    /// More variables of the function's environment, and of the instance's.
    pub environment: Vec<(String, String)>,
    /// As in `STOPGAP_JOBS`, beside the template.
    pub settings: Value,
}

/// A message as its subscriber got it.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub subject: String,
    pub body: Value,
    pub attributes: BTreeMap<String, String>,
}

impl<'a> Deployment<'a> {
    pub fn new(cloud: &'a Cloud, launcher: &Path, job: &str) -> Result<Self> {
        let topic = text(&cloud.call("sns", "create_topic", json!({"Name": job}))?["TopicArn"])?;
        let queue = subscribe(cloud, job, &topic)?;
        let bucket = format!("stopgap-{}", job.replace('_', "-"));
        let location = json!({"LocationConstraint": super::REGION});
        cloud.call("s3", "create_bucket", json!({"Bucket": bucket, "CreateBucketConfiguration": location}))?;
        let stage = format!("test-{job}");
        // A person who launches from the template gets these tags, too.
        let tags: Vec<Value> = [
            ("stopgap:job", job),
            ("stopgap:environment", &stage),
            ("stopgap:bucket", &bucket),
            ("stopgap:topic", &topic),
        ]
        .iter()
        .map(|(key, value)| json!({"Key": key, "Value": value}))
        .collect();
        let data = json!({"ImageId": IMAGE, "InstanceType": "m7g.large",
            "TagSpecifications": [{"ResourceType": "instance", "Tags": tags}]});
        let made = cloud.call(
            "ec2",
            "create_launch_template",
            json!({"LaunchTemplateName": job, "LaunchTemplateData": data}),
        )?;
        let template = text(&made["LaunchTemplate"]["LaunchTemplateId"])?;
        Ok(Self {
            cloud,
            job: job.to_owned(),
            stage,
            topic,
            bucket,
            queue,
            template,
            function: None,
            launcher: launcher.to_owned(),
            requests: AtomicU32::new(0),
            environment: Vec::new(),
            settings: json!({}),
        })
    }

    /// What Terraform made: `function` is the environment that it gives to the launcher.
    pub fn applied(cloud: &'a Cloud, launcher: &Path, job: &str, function: &Value) -> Result<Self> {
        let variables = function.as_object().context("the function has no environment")?;
        let variables: Vec<(String, String)> =
            variables.iter().map(|(name, value)| Ok((name.clone(), text(value)?))).collect::<Result<_>>()?;
        let jobs: Value = serde_json::from_str(function["STOPGAP_JOBS"].as_str().unwrap_or_default())?;
        let topic = text(&function["STOPGAP_TOPIC_ARN"])?;
        Ok(Self {
            cloud,
            job: job.to_owned(),
            stage: text(&function["STOPGAP_ENVIRONMENT"])?,
            queue: subscribe(cloud, job, &topic)?,
            topic,
            bucket: text(&function["STOPGAP_RUNS_BUCKET"])?,
            template: text(&jobs[job]["launch_template_id"])?,
            function: Some(variables),
            launcher: launcher.to_owned(),
            requests: AtomicU32::new(0),
            environment: Vec::new(),
            settings: json!({}),
        })
    }

    /// Puts the job file where instances look first.
    pub fn put_job_file(&self, text: &str) -> Result<()> {
        let key = format!("jobs/{}.toml", self.job);
        self.cloud.call("s3", "put_object", json!({"Bucket": self.bucket, "Key": key, "Body": text})).map(drop)
    }

    pub fn put_secret(&self, name: &str, value: &Value) -> Result<()> {
        let name = format!("{}/{name}", self.job);
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let put = self.cloud.call("secretsmanager", "create_secret", json!({"Name": name, "SecretString": text}));
        if put.is_err() {
            let again = json!({"SecretId": name, "SecretString": text});
            self.cloud.call("secretsmanager", "put_secret_value", again)?;
        }
        Ok(())
    }

    /// Sends an event to the function, as a new event.
    pub fn invoke(&self, event: &Value) -> Result<Answer> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        self.invoke_as(&format!("{}-{number}", self.job), event)
    }

    /// Sends an event again: Lambda's retries have the first attempt's request id.
    pub fn invoke_as(&self, request_id: &str, event: &Value) -> Result<Answer> {
        Ok(self.invocation(request_id, event)?.answer)
    }

    /// An answer, and what was printed on the way.
    pub fn invocation(&self, request_id: &str, event: &Value) -> Result<Invocation> {
        let mut settings = json!({"launch_template_id": self.template});
        if let (Some(own), Some(more)) = (settings.as_object_mut(), self.settings.as_object()) {
            own.extend(more.clone());
        }
        let mut environment = self.cloud.environment();
        let own = self.function.clone().unwrap_or_else(|| {
            vec![
                ("STOPGAP_JOBS".to_owned(), json!({&self.job: settings}).to_string()),
                ("STOPGAP_TOPIC_ARN".to_owned(), self.topic.clone()),
                ("STOPGAP_ENVIRONMENT".to_owned(), self.stage.clone()),
                ("STOPGAP_RUNS_BUCKET".to_owned(), self.bucket.clone()),
            ]
        });
        environment.extend(own);
        environment.extend(self.environment.clone());
        lambda::invoke(&self.launcher, &environment, request_id, event)
    }

    /// Starts a run by hand and returns its instance.
    pub fn launch(&self, event: &Value) -> Result<String> {
        match self.invoke(event)? {
            Answer::Done(answer) if answer["outcome"] == "started" => {
                Ok(answer["instance"].as_str().context("no instance was named")?.to_owned())
            }
            other => bail!("nothing was started: {other:?}"),
        }
    }

    /// As a person does it in the console.
    pub fn launch_by_hand(&self) -> Result<String> {
        let template = json!({"LaunchTemplateId": self.template});
        let started = self.cloud.call(
            "ec2",
            "run_instances",
            json!({"LaunchTemplate": template, "MinCount": 1, "MaxCount": 1}),
        )?;
        Ok(started["Instances"][0]["InstanceId"].as_str().context("no instance was named")?.to_owned())
    }

    /// Every instance that there ever was of this job: id and state.
    pub fn instances(&self) -> Result<Vec<(String, String)>> {
        let filter = json!([{"Name": "tag:stopgap:job", "Values": [self.job]}]);
        let found = self.cloud.call("ec2", "describe_instances", json!({"Filters": filter}))?;
        let lists = found["Reservations"].as_array().into_iter().flatten();
        let instances = lists.flat_map(|list| list["Instances"].as_array().into_iter().flatten());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(instances.map(|own| (text(&own["InstanceId"]), text(&own["State"]["Name"]))).collect())
    }

    /// The metadata service of a running instance.
    pub fn metadata(&self, instance: &str) -> Result<Metadata> {
        self.metadata_with(instance, None)
    }

    /// The same, with user data.
    pub fn metadata_with(&self, instance: &str, user_data: Option<String>) -> Result<Metadata> {
        let found = self.cloud.call("ec2", "describe_instances", json!({"InstanceIds": [instance]}))?;
        let tags = found["Reservations"][0]["Instances"][0]["Tags"].as_array().cloned().unwrap_or_default();
        let mut own: BTreeMap<String, String> = tags
            .iter()
            .filter_map(|tag| Some((tag["Key"].as_str()?.to_owned(), tag["Value"].as_str()?.to_owned())))
            .collect();
        // moto does not merge the template's tags with those of the request; EC2 does.
        for (name, value) in [("stopgap:bucket", &self.bucket), ("stopgap:topic", &self.topic)] {
            own.entry(name.to_owned()).or_insert_with(|| value.clone());
        }
        Metadata::start(instance, own, user_data)
    }

    /// Of an instance without any tags, with this user data.
    pub fn metadata_of_data(&self, instance: &str, user_data: Option<String>) -> Result<Metadata> {
        Metadata::start(instance, BTreeMap::new(), user_data)
    }

    /// `sync-job boot` as the instance's unit starts it.
    pub fn boot(&self, program: &Path, metadata: &Metadata, runtime: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .args(["boot", "--log-format", "json", "--jobs"])
            .arg(runtime.join("no-jobs"))
            .arg("--runtime")
            .arg(runtime)
            .envs(self.cloud.environment())
            .envs([metadata.environment()])
            .envs(self.environment.clone());
        command
    }

    /// The machine is gone, and EventBridge tells the function.
    pub fn power_off(&self, instance: &str) -> Result<Answer> {
        self.cloud.call("ec2", "terminate_instances", json!({"InstanceIds": [instance]}))?;
        self.tell_ended(instance)
    }

    pub fn tell_ended(&self, instance: &str) -> Result<Answer> {
        self.invoke(&Self::ended(instance))
    }

    /// What EventBridge sends of an instance that is gone.
    pub fn ended(instance: &str) -> Value {
        json!({"version": "0", "id": "e", "detail-type": "EC2 Instance State-change Notification",
            "source": "aws.ec2", "account": super::ACCOUNT, "time": "2026-11-20T04:10:00Z", "region": super::REGION,
            "resources": [], "detail": {"instance-id": instance, "state": "terminated"}})
    }

    /// Every message that arrived since the last look.
    pub fn messages(&self) -> Result<Vec<Message>> {
        let mut messages = Vec::new();
        loop {
            let ask = json!({"QueueUrl": self.queue, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 0});
            let answer = self.cloud.call("sqs", "receive_message", ask)?;
            let Some(found) = answer["Messages"].as_array().filter(|found| !found.is_empty()) else { break };
            for message in found {
                let handle = json!({"QueueUrl": self.queue, "ReceiptHandle": message["ReceiptHandle"]});
                self.cloud.call("sqs", "delete_message", handle)?;
                messages.push(understand(message["Body"].as_str().unwrap_or_default())?);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(messages)
    }

    /// A file of a run's record.
    pub fn record(&self, run_id: &str, file: &str) -> Result<String> {
        self.object(&format!("runs/{}/{run_id}/{file}", self.job))
    }

    /// The head of a run's record.
    pub fn head(&self, run_id: &str) -> Result<Value> {
        Ok(serde_json::from_str(&self.object(&format!("heads/{}/{run_id}.json", self.job))?)?)
    }

    /// The runs of which there is a head.
    pub fn run_ids(&self) -> Result<Vec<String>> {
        let prefix = format!("heads/{}/", self.job);
        let found = self.cloud.call("s3", "list_objects_v2", json!({"Bucket": self.bucket, "Prefix": prefix}))?;
        let keys = found["Contents"].as_array().into_iter().flatten().filter_map(|object| object["Key"].as_str());
        Ok(keys.filter_map(|key| Some(key.strip_prefix(&prefix)?.strip_suffix(".json")?.to_owned())).collect())
    }

    pub fn object(&self, key: &str) -> Result<String> {
        let object = self.cloud.call("s3", "get_object", json!({"Bucket": self.bucket, "Key": key}))?;
        Ok(object["Body"].as_str().context("the object has no body")?.to_owned())
    }

    pub fn put_object(&self, key: &str, text: &str) -> Result<()> {
        self.cloud.call("s3", "put_object", json!({"Bucket": self.bucket, "Key": key, "Body": text})).map(drop)
    }
}

fn text(value: &Value) -> Result<String> {
    value.as_str().map(str::to_owned).context("AWS named nothing")
}

/// A queue that hears what is published.
fn subscribe(cloud: &Cloud, name: &str, topic: &str) -> Result<String> {
    let queue = text(&cloud.call("sqs", "create_queue", json!({"QueueName": name}))?["QueueUrl"])?;
    let arn = format!("arn:aws:sqs:{}:{}:{name}", super::REGION, super::ACCOUNT);
    cloud.call("sns", "subscribe", json!({"TopicArn": topic, "Protocol": "sqs", "Endpoint": arn}))?;
    Ok(queue)
}

fn understand(envelope: &str) -> Result<Message> {
    let envelope: Value = serde_json::from_str(envelope).context("a message is not SNS's envelope")?;
    let text = envelope["Message"].as_str().unwrap_or_default();
    let attributes = envelope["MessageAttributes"].as_object().cloned().unwrap_or_default();
    Ok(Message {
        subject: envelope["Subject"].as_str().unwrap_or_default().to_owned(),
        body: serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())),
        attributes: attributes
            .into_iter()
            .map(|(name, value)| (name, value["Value"].as_str().unwrap_or_default().to_owned()))
            .collect(),
    })
}
