"""Powertools: its resolver with validation, logger, metrics and tracer, for one route."""

import os

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from boto3.dynamodb.types import TypeDeserializer

logger, metrics, tracer = Logger(), Metrics(), Tracer()
app = APIGatewayRestResolver(enable_validation=True)
client = boto3.client("dynamodb")
deserialize = TypeDeserializer().deserialize


@app.get("/payment")
def get_payment(paymentId: str) -> dict:
    key = {"paymentId": {"S": paymentId}}
    answer = client.get_item(TableName=os.environ["TABLE_NAME"], Key=key, ConsistentRead=True)
    item = answer.get("Item") or {}
    return {name: str(deserialize(value)) for name, value in item.items()}


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def handler(event, context):
    return app.resolve(event, context)
