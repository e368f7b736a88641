"""The limit: nothing but one signed request (AWS Signature Version 4)."""

import hashlib
import hmac
import http.client
import json
import os
import ssl
import time
import uuid
from urllib.parse import urlsplit

REGION = os.environ["AWS_REGION"]
URL = os.environ["AWS_ENDPOINT_URL_DYNAMODB"]
HOST = urlsplit(URL).netloc
TLS = (
    ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"])
    if URL.startswith("https")
    else None
)
connection = None


def dynamodb(operation, **parameters):
    global connection
    body = json.dumps(parameters).encode()
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    scope = f"{now[:8]}/{REGION}/dynamodb/aws4_request"
    headers = {
        "content-type": "application/x-amz-json-1.0",
        "host": HOST,
        "x-amz-date": now,
        "x-amz-security-token": os.environ["AWS_SESSION_TOKEN"],
        "x-amz-target": f"DynamoDB_20120810.{operation}",
    }
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    request = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    digest = hashlib.sha256(request.encode()).hexdigest()
    key = ("AWS4" + os.environ["AWS_SECRET_ACCESS_KEY"]).encode()
    for part in [*scope.split("/"), f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{digest}"]:
        key = hmac.digest(key, part.encode(), "sha256")
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={os.environ['AWS_ACCESS_KEY_ID']}/{scope}, "
        f"SignedHeaders={names}, Signature={key.hex()}"
    )
    if connection is None:
        kind = http.client.HTTPSConnection if TLS else http.client.HTTPConnection
        connection = kind(HOST, **({"context": TLS} if TLS else {}))
    connection.request("POST", "/", body, headers)
    return json.loads(connection.getresponse().read())


def create(event, context):
    body = json.loads(event["body"])
    assert isinstance(body["amount"], int) and body["amount"] > 0 and len(body["currency"]) == 3
    item = {
        "paymentId": {"S": str(uuid.uuid4())},
        "amount": {"N": str(body["amount"])},
        "currency": {"S": body["currency"]},
        "status": {"S": "PENDING"},
    }
    dynamodb(
        "PutItem",
        TableName=os.environ["TABLE_NAME"],
        Item=item,
        ConditionExpression="attribute_not_exists(paymentId)",
    )
    return {"statusCode": 201, "body": json.dumps({"paymentId": item["paymentId"]["S"]})}


def read(event, context):
    payment_id = event["queryStringParameters"]["paymentId"]
    answer = dynamodb(
        "GetItem",
        TableName=os.environ["TABLE_NAME"],
        Key={"paymentId": {"S": payment_id}},
        ConsistentRead=True,
    )
    return {"statusCode": 200, "body": json.dumps(answer.get("Item"))}
