"use strict";
const TOKENS = "/_local/token";

// The scopes of an operation that takes no person's token; empty for the others.
function scopes({ paths }, { url, method }) {
  const { pathname } = new URL(url, location);
  const isCalled = (path) => RegExp(`^${path.replace(/{\w+}/g, "[^/]+")}$`).test(pathname);
  const security = paths[Object.keys(paths).find(isCalled)]?.[method.toLowerCase()]?.security ?? [];
  return security.some(({ bearer }) => bearer) ? "" : security.flatMap(Object.values).join(" ");
}

// A call without a token of its own gets one of alice's, or the back office's where it has to be.
async function authorize(spec, request) {
  if (request.url.endsWith(TOKENS) || request.headers.Authorization) return request;
  const body = new URLSearchParams({ scope: scopes(spec, request) });
  const answer = await fetch(TOKENS, { method: "POST", body });
  request.headers.Authorization = `Bearer ${(await answer.json()).access_token}`;
  return request;
}

// Swagger UI parses a JSON body and prints it again, which makes 10.50 of an amount 10.5.
function pretty(text) {
  const exact = (_name, value, { source }) => typeof value === "number" ? JSON.rawJSON(source) : value;
  try { return JSON.stringify(JSON.parse(text, exact), null, 2); } catch { return text; }
}
const exactNumbers = (ResponseBody, { React }) => (props) =>
  React.createElement(ResponseBody, { ...props, content: pretty(props.content), contentType: "text/plain" });

const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

(async () => {
  const spec = await (await fetch("/openapi.json")).json();
  document.title = spec.info.title;
  for (const scheme of Object.values(spec.components.securitySchemes)) {
    if (scheme.type !== "oauth2") continue;
    const scopes = Object.assign({}, ...Object.values(scheme.flows).map((flow) => flow.scopes));
    scheme.description = "This machine's user pool: any user name, such as bob; leave the rest empty.";
    scheme.flows = { password: { tokenUrl: TOKENS, scopes } };
  }
  SwaggerUIBundle({
    spec,
    dom_id: "#swagger-ui",
    tryItOutEnabled: true,
    requestInterceptor: (request) => authorize(spec, request),
    plugins: [{ wrapComponents: { responseBody: exactNumbers } }],
  });
})();
