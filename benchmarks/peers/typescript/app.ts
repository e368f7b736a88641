// TypeScript: the AWS SDK's DynamoDB client, and zod.

import { randomUUID } from "node:crypto";
import { DynamoDBClient, GetItemCommand, PutItemCommand } from "@aws-sdk/client-dynamodb";
import { z } from "zod";

type Event = { body: string; queryStringParameters: Record<string, string> };

const PaymentRequest = z.object({
  amount: z.number().positive(),
  currency: z.string().length(3),
});
const client = new DynamoDBClient({});
const TableName = process.env.TABLE_NAME;

export const create = async (event: Event) => {
  const request = PaymentRequest.safeParse(JSON.parse(event.body));
  if (!request.success) {
    return { statusCode: 400, body: JSON.stringify(request.error.issues) };
  }
  const { amount, currency } = request.data;
  const payment = { paymentId: randomUUID(), amount, currency, status: "PENDING" };
  await client.send(
    new PutItemCommand({
      TableName,
      Item: {
        paymentId: { S: payment.paymentId },
        amount: { N: String(amount) },
        currency: { S: currency },
        status: { S: payment.status },
      },
      ConditionExpression: "attribute_not_exists(paymentId)",
    }),
  );
  return { statusCode: 201, body: JSON.stringify(payment) };
};

export const read = async (event: Event) => {
  const Key = { paymentId: { S: event.queryStringParameters.paymentId } };
  const { Item } = await client.send(new GetItemCommand({ TableName, Key, ConsistentRead: true }));
  return { statusCode: Item ? 200 : 404, body: JSON.stringify(Item) };
};
