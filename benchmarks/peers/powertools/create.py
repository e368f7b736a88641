"""Powertools: its resolver with validation, idempotency, logger, metrics, tracer; for one route."""

import os
import uuid
from decimal import Decimal

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent,
)
from boto3.dynamodb.types import TypeSerializer
from pydantic import BaseModel, Field

logger, metrics, tracer = Logger(), Metrics(), Tracer()
app = APIGatewayRestResolver(enable_validation=True)
client = boto3.client("dynamodb")  # one for both tables: a second would be a fifth of the start
serialize = TypeSerializer().serialize
store = DynamoDBPersistenceLayer(os.environ["IDEMPOTENCY_TABLE"], boto3_client=client)
config = IdempotencyConfig(event_key_jmespath='headers."Idempotency-Key"')


class PaymentRequest(BaseModel):
    amount: Decimal = Field(gt=0)
    currency: str = Field(min_length=3, max_length=3)


@app.post("/payment")
def create_payment(body: PaymentRequest) -> Response[dict]:
    item = {**body.model_dump(), "paymentId": str(uuid.uuid4()), "status": "PENDING"}
    client.put_item(
        TableName=os.environ["TABLE_NAME"],
        Item={name: serialize(value) for name, value in item.items()},
        ConditionExpression="attribute_not_exists(paymentId)",
    )
    metrics.add_metric("PaymentsCreated", MetricUnit.Count, 1)
    return Response(201, "application/json", {**item, "amount": str(item["amount"])})


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
@idempotent(persistence_store=store, config=config)
def handler(event, context):
    return app.resolve(event, context)
