"""As SAM's hello world goes on in tutorials: boto3.resource, checks by hand, no logger."""

import json
import os
import uuid
from decimal import Decimal

import boto3

table = boto3.resource("dynamodb").Table(os.environ["TABLE_NAME"])


def create(event, context):
    body = json.loads(event["body"], parse_float=Decimal)
    if body.get("amount", 0) <= 0 or len(body.get("currency", "")) != 3:
        return {"statusCode": 400, "body": json.dumps({"message": "not valid"})}
    item = {
        "paymentId": str(uuid.uuid4()),
        "amount": body["amount"],
        "currency": body["currency"],
        "status": "PENDING",
    }
    table.put_item(Item=item, ConditionExpression="attribute_not_exists(paymentId)")
    return {"statusCode": 201, "body": json.dumps(item, default=str)}


def read(event, context):
    key = {"paymentId": event["queryStringParameters"]["paymentId"]}
    item = table.get_item(Key=key, ConsistentRead=True).get("Item")
    return {"statusCode": 200 if item else 404, "body": json.dumps(item, default=str)}
