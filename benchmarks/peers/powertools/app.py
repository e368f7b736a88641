"""Powertools: its resolver with validation, its idempotency, logger, metrics and tracer."""

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
from pydantic import BaseModel, Field

logger, metrics, tracer = Logger(), Metrics(), Tracer()
app = APIGatewayRestResolver(enable_validation=True)
table = boto3.resource("dynamodb").Table(os.environ["TABLE_NAME"])
store = DynamoDBPersistenceLayer(table_name=os.environ["IDEMPOTENCY_TABLE"])
config = IdempotencyConfig(event_key_jmespath='headers."Idempotency-Key"')


class PaymentRequest(BaseModel):
    amount: Decimal = Field(gt=0)
    currency: str = Field(min_length=3, max_length=3)


@app.post("/payment")
def create_payment(body: PaymentRequest) -> Response[dict]:
    item = {**body.model_dump(), "paymentId": str(uuid.uuid4()), "status": "PENDING"}
    table.put_item(Item=item, ConditionExpression="attribute_not_exists(paymentId)")
    metrics.add_metric("PaymentsCreated", MetricUnit.Count, 1)
    return Response(201, "application/json", {**item, "amount": str(item["amount"])})


@app.get("/payment")
def get_payment(paymentId: str) -> dict:
    item = table.get_item(Key={"paymentId": paymentId}, ConsistentRead=True).get("Item") or {}
    return {name: str(value) for name, value in item.items()}


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
@idempotent(persistence_store=store, config=config)
def create(event, context):
    return app.resolve(event, context)


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def read(event, context):
    return app.resolve(event, context)
