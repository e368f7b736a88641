"""AWS Chalice, with boto3.resource: one application for both routes."""

import os
import uuid
from decimal import Decimal

import boto3
from chalice import BadRequestError, Chalice, NotFoundError, Response

app = Chalice(app_name="payments")
table = boto3.resource("dynamodb").Table(os.environ["TABLE_NAME"])


@app.route("/payment", methods=["POST"])
def create_payment():
    body = app.current_request.json_body
    if body.get("amount", 0) <= 0 or len(body.get("currency", "")) != 3:
        raise BadRequestError("not valid")
    item = {
        "paymentId": str(uuid.uuid4()),
        "amount": body["amount"],
        "currency": body["currency"],
        "status": "PENDING",
    }
    stored = {**item, "amount": Decimal(str(body["amount"]))}
    table.put_item(Item=stored, ConditionExpression="attribute_not_exists(paymentId)")
    return Response(item, status_code=201)


@app.route("/payment", methods=["GET"])
def get_payment():
    key = {"paymentId": app.current_request.query_params["paymentId"]}
    item = table.get_item(Key=key, ConsistentRead=True).get("Item")
    if item is None:
        raise NotFoundError("no such payment")
    return {name: str(value) for name, value in item.items()}
