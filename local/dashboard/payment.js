import { call, fill, h, onSubmit, parse, pill, seen, stack, time, watch } from "./page.js";

const MOMENT = {
  ...{ month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" },
  ...{ fractionalSecondDigits: 3, hourCycle: "h23" },
};
const paymentId = new URLSearchParams(location.search).get("paymentId");
const [title, status, actions, list, facts, json] =
  ["h1", "#status", "#actions", "ol", "dl", "#json"].map((each) => document.querySelector(each));

// What the back office may ask for, and in which statuses: all of the amount, or a part.
const EARLY = ["PENDING", "REQUIRES_ACTION", "PROCESSING"];
const CALLS = [
  { name: "confirm", statuses: ["PENDING"] },
  { name: "capture", statuses: ["AUTHORIZED"], ofManual: EARLY, hasAmount: true },
  { name: "refund", statuses: ["CAPTURED", "PARTIALLY_REFUNDED"], hasAmount: true },
  { name: "cancel", statuses: ["AUTHORIZED", ...EARLY] },
];

function buttons({ status, gateway, nextAction, currency }) {
  const open = CALLS.filter(({ name, statuses, ofManual }) =>
    statuses.includes(status) || nextAction?.type === name || (gateway === "manual" && ofManual?.includes(status)));
  const forms = open.map(({ name, hasAmount }) => button(name, hasAmount && currency));
  const url = nextAction?.url;
  return url ? [h("a", { id: "pay", class: "button", href: url }, "Open the payer's page"), ...forms] : forms;
}

function button(name, currency) {
  const key = crypto.randomUUID(); // of this form: sent twice, it is done once
  const field = h("input", { name: "amount", inputmode: "decimal", autocomplete: "off", placeholder: "all" });
  const label = h("label", {}, h("span", { class: "hidden" }, `Amount to ${name}`), field, currency);
  const form = h("form", {}, ...(currency ? [label] : []), h("button", { id: name }, name));
  onSubmit(form, async ({ amount }) => {
    const headers = name === "refund" ? { "Idempotency-Key": key } : {};
    await call("POST", `/payment/${paymentId}/${name}`, { headers, body: amount ? { amount } : undefined });
    await show();
  });
  return form;
}

// The timeline: what the payment says of itself, and what was seen of it.
function moments({ currency, history, refunds }, entries) {
  const sent = {};
  return [
    ...history.map(({ at, status, cause }) => ({ at, kind: "Status", status, text: `by ${cause}` })),
    ...refunds.flatMap(({ amount, createdAt, updatedAt, status, reason, error }) => {
      const made = { at: createdAt, kind: "Refund", status: "PENDING", text: `${amount} ${currency}`, more: reason };
      const ended = { ...made, at: updatedAt, status, more: error ?? reason };
      return updatedAt === createdAt ? [ended] : [made, ended];
    }),
    ...entries.map(({ at, to, method, path, status, key, event, eventId, detail, outcome }) => {
      if (to === "bus") return { at, kind: "Event out", text: event, json: detail };
      const answer = status ?? "no answer";
      if (event) {
        sent[eventId] = (sent[eventId] ?? 0) + 1;
        const again = sent[eventId] > 1 ? `, sent again: ${sent[eventId]}` : "";
        return { at, kind: "Webhook", text: event, answer, more: `${path.split("/").at(-1)}'s ${eventId}${again}` };
      }
      if (outcome) return { at, kind: "Payer", text: `${outcome}, on ${to}'s page`, answer };
      const text = `${method} ${path.replace(paymentId, "…")}`;
      return { at, kind: to === "api" ? "API call" : "Gateway", text, answer, more: key && `key ${key}` };
    }),
  ].sort((one, other) => (one.at < other.at ? 1 : -1));
}

function moment({ at, kind, status, text, answer, more, json }) {
  const parts = [h("span", { class: "what" }, text)];
  if (status) parts.unshift(pill(status));
  if (answer) parts.push(h("span", { class: /^[23]/.test(answer) ? "answer" : "answer refused" }, answer));
  if (more) parts.push(h("small", {}, more));
  if (json) parts.push(h("details", {}, h("summary", {}, "Detail"), h("pre", { tabindex: 0 }, pretty(json))));
  return h("li", { "data-kind": kind }, h("span", { class: "kind" }, kind), h("div", {}, ...parts), time(at, MOMENT));
}

function details(payment, user) {
  const { amountCaptured, amountRefunded, currency, lastError, nextAction, metadata } = payment;
  return [
    ["Last error", lastError && `${lastError.code}: ${lastError.message}`],
    ["Captured", `${amountCaptured} ${currency}`],
    ["Refunded", `${amountRefunded} ${currency}`],
    ["Description", payment.description],
    ["User", user],
    ["Gateway", payment.gateway],
    ["Capture", payment.capture],
    ["Held until", payment.authorizedUntil, time],
    ["Payer's page until", nextAction?.expiresAt, time],
    ["Canceled because", payment.cancellationReason],
    ["Return URL", payment.returnUrl],
    ...Object.entries(metadata).map(([name, value]) => [`Metadata: ${name}`, value]),
    ["Created", payment.createdAt, time],
    ["Updated", payment.updatedAt, time],
    ["Version", payment.version],
    ["Id", payment.paymentId],
  ].filter(([, value]) => value);
}

const fact = ([name, value, show = String]) => h("div", {}, h("dt", {}, name), h("dd", {}, show(value)));

// Digit by digit, as it is written.
function pretty(text) {
  const exact = (_name, value, { source }) => (typeof value === "number" ? JSON.rawJSON(source) : value);
  return JSON.stringify(JSON.parse(text, exact), null, 2);
}

async function show() {
  const answers = [call("GET", `/payment?paymentId=${paymentId}`), seen(paymentId), stack()];
  const [text, entries, { owners }] = await Promise.all(answers);
  const payment = parse(text);
  document.title = title.textContent = `${payment.amount} ${payment.currency}`;
  fill(status, [payment.status], pill);
  fill(actions, [payment.version], () => h("div", {}, ...buttons(payment)));
  fill(list, moments(payment, entries), moment);
  fill(facts, details(payment, owners[payment.owner] ?? payment.owner), fact);
  json.textContent = pretty(text);
}

watch(show, 1);
