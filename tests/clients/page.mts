// The function that docs/clients.md prints, which is beside this file when it runs.
import { call } from "./client.mjs";

declare const process: { env: Record<string, string> };
const make = { method: "POST", path: "/payment", body: { amount: "10.50", currency: "EUR" }, key: crypto.randomUUID() };
const [first, again] = [0, 1].map(() => call(process.env.URL, async () => process.env.TOKEN, make));
if ((await first).paymentId !== (await again).paymentId) throw new Error("two payments");
