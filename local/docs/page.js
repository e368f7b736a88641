// Tries a call: fetches a token from this machine, sends the request, and shows both ways.
"use strict";

const TOKEN_PATH = "/_local/token";
const caller = document.getElementById("caller");
caller.addEventListener("submit", (event) => event.preventDefault());

async function token() {
  const chosen = new FormData(caller);
  const form = new URLSearchParams({ as: chosen.get("as"), scope: chosen.getAll("scope").join(" ") });
  if (chosen.get("expired")) form.set("expired", "true");
  const response = await fetch(TOKEN_PATH, { method: "POST", body: form });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error_description);
  return answer.access_token;
}

function request(form) {
  const url = new URL(form.dataset.path, location.origin);
  const headers = {};
  for (const input of form.querySelectorAll("[data-in]")) {
    if (!input.value) continue;
    if (input.dataset.in === "query") url.searchParams.set(input.name, input.value);
    else headers[input.name] = input.value;
  }
  const body = form.elements.body?.value;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  return { url: url.href, method: form.dataset.method, headers, body };
}

const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function curl({ url, method, headers, body }) {
  const parts = [`curl -i ${method === "GET" ? "" : `-X ${method} `}${quote(url)}`];
  for (const [name, value] of Object.entries(headers)) parts.push(`-H ${quote(`${name}: ${value}`)}`);
  if (body !== undefined) parts.push(`--data-raw ${quote(body)}`);
  return parts.join(" \\\n  ");
}

function pretty(text) {
  // Broken into lines by hand: JSON.parse would round an amount that a double cannot hold.
  let depth = 0, inString = false, out = "";
  try { JSON.parse(text); } catch { return text; }
  const line = () => "\n" + "  ".repeat(depth);
  for (let i = 0; i < text.length; i += 1) {
    const c = text[i];
    if (inString) {
      out += c;
      if (c === "\\") out += text[(i += 1)];
      else if (c === '"') inString = false;
    } else if (c === '"') { inString = true; out += c; }
    else if (/\s/.test(c)) continue;
    else if ("{[".includes(c)) {
      const close = text.slice(i + 1).trimStart()[0];
      if ("}]".includes(close)) { out += c + close; i = text.indexOf(close, i); }
      else { depth += 1; out += c + line(); }
    } else if ("}]".includes(c)) { depth -= 1; out += line() + c; }
    else out += c === "," ? c + line() : c === ":" ? ": " : c;
  }
  return out;
}

async function send(form) {
  const output = form.querySelector("output");
  const show = (name, text) => { output.querySelector(`.${name}`).textContent = text; };
  for (const name of ["line", "curl", "headers", "body"]) show(name, "");
  output.querySelector(".line").classList.remove("ok");
  output.hidden = false;
  try {
    const call = request(form);
    call.headers = { Authorization: `Bearer ${await token()}`, ...call.headers };
    show("curl", curl(call));
    const started = performance.now();
    const response = await fetch(call.url, call);
    const text = await response.text();
    show("line", `${response.status} ${response.statusText} in ${Math.round(performance.now() - started)} ms`);
    output.querySelector(".line").classList.toggle("ok", response.ok);
    show("headers", [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n"));
    show("body", pretty(text));
    return response.ok ? JSON.parse(text) : null;
  } catch (error) {
    show("line", error.message);
    return null;
  }
}

for (const form of document.querySelectorAll("article form")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    const payment = await send(form);
    button.disabled = false;
    if (!payment) return;
    for (const input of document.querySelectorAll('input[name="paymentId"]')) input.value = payment.paymentId;
  });
}
