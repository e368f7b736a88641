// What both pages need: calls, elements, and the watch for news.
const SEEN = "/_local/seen";
const tokens = {};
let isLost = false;

// The numbers of a document become the text that the API wrote: 10.50 stays 10.50.
export const parse = (text) =>
  JSON.parse(text, (_name, value, { source }) => (typeof value === "number" ? source : value));

const local = async (path) => parse(await (await fetch(path)).text());
export const seen = async (paymentId) => (await local(`${SEEN}?paymentId=${paymentId}`)).seen;
export const stack = () => local("/_local/stack");

async function fetchToken(form) {
  const answer = await fetch("/_local/token", { method: "POST", body: new URLSearchParams(form) });
  const { access_token, error_description } = await answer.json();
  if (!access_token) throw new Error(error_description);
  return access_token;
}

// Calls the API as a user, or as the back office; returns the text, throws the API's words.
export async function call(method, path, { body, headers, user, isRepeated } = {}) {
  tokens[user] ??= fetchToken(user ? { as: user } : { scope: "payments/manage" });
  const token = await tokens[user].catch((error) => {
    delete tokens[user];
    throw error;
  });
  const answer = await fetch(path, {
    method,
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json", ...headers },
    body: body && JSON.stringify(body),
  });
  if (answer.status === 401 && !isRepeated) { // the token is old, or of a folder that is gone
    delete tokens[user];
    return call(method, path, { body, headers, user, isRepeated: true });
  }
  const text = await answer.text();
  if (answer.ok) return text;
  const { errors, detail, title } = parse(text);
  throw new Error(errors?.map(({ field, message }) => `${field}: ${message}`).join("; ") ?? detail ?? title);
}

// Children that are strings become text: nothing of a payment is taken for HTML.
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export const pill = (status) => h("span", { class: "pill", "data-status": status }, status);

export function time(text, options = { dateStyle: "medium", timeStyle: "short" }) {
  return h("time", { datetime: text, title: text }, new Date(text).toLocaleString([], options));
}

// Shows an element for each item. What did not change stays, with its focus and what is open in it.
const shown = new WeakMap();
export function fill(parent, items, make) {
  const before = shown.get(parent) ?? new Map();
  const after = new Map(items.map((item) => [JSON.stringify(item), item]));
  if (`${[...after.keys()]}` === `${[...before.keys()]}` && before.size) return;
  const focused = document.activeElement;
  for (const [key, item] of after) after.set(key, before.get(key) ?? make(item));
  shown.set(parent, after);
  parent.replaceChildren(...after.values());
  const next = focused.isConnected ? focused : document.getElementById(focused.id) ?? parent;
  next.focus({ preventScroll: true });
}

export function trouble(text = "") {
  document.getElementById("trouble").textContent = text;
}

// Does what a form asks for; meanwhile it cannot be sent again.
export function onSubmit(form, act) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (form.ariaBusy) return;
    form.ariaBusy = true;
    try {
      await act(Object.fromEntries(new FormData(form)));
      trouble();
    } catch (error) {
      trouble(error.message);
    }
    form.ariaBusy = null;
  });
}

// Shows the page, and again whenever the laptop has seen something new.
export async function watch(show, seconds) {
  for (let last; ; await new Promise((resolve) => setTimeout(resolve, seconds * 1000))) {
    if (document.hidden) continue;
    try {
      const { size } = await local(SEEN);
      if (size === last) continue;
      last = size;
      await show();
      if (isLost) trouble();
      isLost = false;
    } catch (error) {
      isLost = true;
      const isGone = error instanceof TypeError; // as fetch says it
      if (isGone) last = undefined;
      trouble(isGone ? "The laptop does not answer: start it with make run." : error.message);
    }
  }
}

stack().then(({ signIn }) => document.getElementById("sign-in").setAttribute("href", signIn));
