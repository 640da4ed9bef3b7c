"""Calls of the AWS API, one a line: {"service", "operation", "arguments"} in, {"answer"} or {"error"} out."""

import json
import sys

import boto3

clients = {}


def plain(value):
    if hasattr(value, "read"):
        value = value.read()
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


for line in sys.stdin:
    try:
        asked = json.loads(line)
        service = asked["service"]
        if service not in clients:
            clients[service] = boto3.client(service)
        answer = getattr(clients[service], asked["operation"])(**asked["arguments"])
        text = json.dumps({"answer": answer}, default=plain)
    except Exception as error:
        text = json.dumps({"error": f"{type(error).__name__}: {error}"})
    print(text, flush=True)
