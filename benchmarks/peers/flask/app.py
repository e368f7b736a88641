"""Flask behind serverless-wsgi, with boto3.resource."""

import os
import uuid

import boto3
import serverless_wsgi
from flask import Flask, request

app = Flask(__name__)
table = boto3.resource("dynamodb").Table(os.environ["TABLE_NAME"])


@app.post("/payment")
def create_payment():
    body = request.get_json()
    if body.get("amount", 0) <= 0 or len(body.get("currency", "")) != 3:
        return {"message": "not valid"}, 400
    item = {
        "paymentId": str(uuid.uuid4()),
        "amount": body["amount"],
        "currency": body["currency"],
        "status": "PENDING",
    }
    table.put_item(Item=item, ConditionExpression="attribute_not_exists(paymentId)")
    return item, 201


@app.get("/payment")
def get_payment():
    key = {"paymentId": request.args["paymentId"]}
    item = table.get_item(Key=key, ConsistentRead=True).get("Item") or {}
    return {name: str(value) for name, value in item.items()}


def handler(event, context):
    return serverless_wsgi.handle_request(app, event, context)
