"""FastAPI behind Mangum, with a Pydantic model and boto3.resource."""

import os
import uuid
from decimal import Decimal

import boto3
from fastapi import FastAPI
from mangum import Mangum
from pydantic import BaseModel, Field

app = FastAPI()
table = boto3.resource("dynamodb").Table(os.environ["TABLE_NAME"])


class PaymentRequest(BaseModel):
    amount: Decimal = Field(gt=0)
    currency: str = Field(min_length=3, max_length=3)


@app.post("/payment", status_code=201)
def create_payment(body: PaymentRequest):
    item = {**body.model_dump(), "paymentId": str(uuid.uuid4()), "status": "PENDING"}
    table.put_item(Item=item, ConditionExpression="attribute_not_exists(paymentId)")
    return item


@app.get("/payment")
def get_payment(paymentId: str):
    return table.get_item(Key={"paymentId": paymentId}, ConsistentRead=True).get("Item")


handler = Mangum(app, lifespan="off")
