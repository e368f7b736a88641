// A payment's whole life by openapi-fetch, with the types that openapi-typescript makes of docs/openapi.json.
import createClient from "openapi-fetch";
import type { paths } from "./api.js";

declare const process: { env: Record<string, string> };
const { URL: baseUrl, TOKEN, MANAGE } = process.env;
const [people, office] = [TOKEN, MANAGE].map((token) => createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token}` } }));

function same<T>(found: T, wanted: T): void {
  if (JSON.stringify(found) !== JSON.stringify(wanted)) throw new Error(`${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}`);
}
/** Return what is there, or the problem as an error. */
async function done<T>(call: Promise<{ data?: T; error?: { title: string; detail?: string } }>): Promise<T> {
  const { data, error } = await call;
  if (data === undefined) throw new Error(`${error?.title}: ${error?.detail}`);
  return data;
}

// Created once, with more digits than most money has.
const body = { amount: "9999999999.99", currency: "EUR", gateway: "stripe", capture: "manual", returnUrl: "https://shop.example/orders/1002" } as const;
const header = { "Idempotency-Key": crypto.randomUUID() };
const payment = await done(people.POST("/payment", { params: { header }, body }));
const again = await people.POST("/payment", { params: { header }, body });
same(again.data, payment);
same(again.response.headers.get("Idempotent-Replayed"), "true");
same([String(payment.amount), payment.amountMinor], ["9999999999.99", 999999999999]);
const other = await done(people.POST("/payment", { params: {}, body: { amount: "9999999999999.99", currency: "EUR" } }));
same(String(other.amount), "9999999999999.99");
const path = { paymentId: payment.paymentId };

// Read, and listed page by page.
same(await done(people.GET("/payment", { params: { query: path } })), payment);
const page = await done(people.GET("/payments", { params: { query: { limit: 1 } } }));
const more = await done(people.GET("/payments", { params: { query: { limit: 1, cursor: page.nextCursor ?? "" } } }));
same([...page.payments, ...more.payments].map((each) => each.paymentId), [other.paymentId, payment.paymentId]);

// Paid on the gateway's page.
const started = await done(people.POST("/payment/{paymentId}/confirm", { params: { path } }));
same(started.nextAction?.type, "redirect");
const paid = await fetch(started.nextAction?.url ?? "", { method: "POST", body: new URLSearchParams({ outcome: "pay" }), redirect: "manual" });
same(paid.status, 303);
same((await done(people.POST("/payment/{paymentId}/confirm", { params: { path } }))).status, "AUTHORIZED");

// Captured in part, and refunded, by the back office.
const captured = await done(office.POST("/payment/{paymentId}/capture", { params: { path }, body: { amount: "9999999999.98" } }));
same(String(captured.amountCaptured), "9999999999.98");
const asked = { params: { path, header: { "Idempotency-Key": crypto.randomUUID() } }, body: { amount: "0.01", reason: "A cent too much" } };
const refund = await done(office.POST("/payment/{paymentId}/refund", asked));
same(await done(office.POST("/payment/{paymentId}/refund", asked)), refund);
same([refund.status, refund.amountMinor], ["SUCCEEDED", 1]);
const read = await done(people.GET("/payment", { params: { query: path } }));
same([read.status, read.refunds], ["PARTIALLY_REFUNDED", [refund]]);
same(read.history?.slice(0, 2).map((each) => each.cause), ["create", "confirm"]);

// Canceled; and refused, with a problem that says why.
const canceled = await done(
  people.POST("/payment/{paymentId}/cancel", { params: { path: { paymentId: other.paymentId } }, body: { reason: "Sold out" } }),
);
same([canceled.status, canceled.cancellationReason], ["CANCELED", "Sold out"]);
const refused = await people.POST("/payment/{paymentId}/cancel", { params: { path } });
same([refused.error?.status, refused.error?.currentStatus], [409, "PARTIALLY_REFUNDED"]);
const wrong = await people.POST("/payment", { params: {}, body: { amount: "0.001", currency: "EUR" } });
same(wrong.error?.errors, [{ field: "amount", message: "EUR has 2 decimals, 0.001 has 3" }]);
