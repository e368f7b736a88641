import { call, fill, h, onSubmit, parse, pill, stack, time, trouble, watch } from "./page.js";

const PAGE = 20;
const filter = document.forms.filter;
const rows = document.querySelector("tbody");
const count = document.getElementById("count");
const more = document.getElementById("more");

// One user's payments, page by page as they are taken.
async function* paymentsOf(owner, status) {
  for (let cursor = ""; cursor !== null; ) {
    const query = new URLSearchParams({ owner, limit: PAGE });
    if (status) query.set("status", status);
    if (cursor) query.set("cursor", cursor);
    const page = parse(await call("GET", `/payments?${query}`));
    yield* page.payments;
    cursor = page.nextCursor;
  }
}

// The newest payments of several lists, each of which has its newest first.
async function newest(lists, most) {
  const [heads, found] = [[], []];
  for (const list of lists) heads.push(await list.next()); // at once, each takes a process to start
  while (found.length < most && heads.some(({ done }) => !done)) {
    const times = heads.map(({ value }) => value?.createdAt ?? "");
    const next = times.indexOf(times.toSorted().at(-1));
    found.push(heads[next].value);
    heads[next] = await lists[next].next();
  }
  return found;
}

function row({ payment, user }) {
  const { paymentId: id, amount, currency } = payment;
  const link = h("a", { id, href: `/dashboard/payment?paymentId=${id}` }, `${amount} ${currency}`);
  return h(
    "tr", {},
    h("td", { class: "amount" }, link),
    h("td", {}, pill(payment.status)),
    h("td", { class: "text" }, payment.description ?? ""),
    h("td", { class: "text" }, user),
    h("td", {}, payment.gateway),
    h("td", {}, time(payment.createdAt)),
  );
}

const options = (select, pairs) =>
  fill(select, [["", "All"], ...pairs], ([value, text]) => new Option(text, value));

async function show() {
  const { search } = location;
  const { owners } = await stack();
  const { owner = "", status = "", shown = PAGE } = Object.fromEntries(new URLSearchParams(search));
  const asked = owner ? [owner] : Object.keys(owners);
  const found = await newest(asked.map((each) => paymentsOf(each, status)), Number(shown) + 1);
  if (search !== location.search) return; // something else is asked for meanwhile
  options(filter.owner, Object.entries(owners));
  [filter.owner.value, filter.status.value] = [owner, status];
  more.hidden = found.length <= shown;
  const payments = found.slice(0, shown);
  fill(rows, payments.map((payment) => ({ payment, user: owners[payment.owner] ?? payment.owner })), row);
  fill(count, [`${payments.length} ${more.hidden ? "in all" : "newest"}`], String);
}

// What is asked for stands in the address: a reload and the way back lead to the same list.
async function ask(changes) {
  const query = new URLSearchParams(Object.entries(changes).filter(([, value]) => value));
  history.replaceState(null, "", `?${query}`);
  await show().catch((error) => trouble(error.message));
}

const filters = () => Object.fromEntries(new FormData(filter));
filter.addEventListener("change", () => ask(filters()));
more.addEventListener("click", () => ask({ ...filters(), shown: rows.children.length + PAGE }));

onSubmit(document.forms.new, async ({ user, description, ...asked }) => {
  const body = { ...asked, description: description || null };
  // The payer's browser comes back to the payment's page: its id is added to the URL.
  if (asked.gateway !== "manual") body.returnUrl = `${location.origin}/dashboard/payment`;
  const { paymentId } = parse(await call("POST", "/payment", { user, body }));
  location.assign(`/dashboard/payment?paymentId=${paymentId}`);
});

const { components } = await (await fetch("/openapi.json")).json();
options(filter.status, components.schemas.Status.enum.map((each) => [each, each]));
watch(show, 2); // a call for each user
