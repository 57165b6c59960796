"use strict";

// Shows the operations of an OpenAPI document of ours, and calls them. All text goes in as text, never as markup.

const SAMPLE_DEPTH_MAX = 4;

const byId = (id) => document.getElementById(id);

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function resolve(spec, value) {
  if (!value.$ref) return value;
  return value.$ref.slice(2).split("/").reduce((at, key) => at[key], spec);
}

function sample(spec, given, depth = 0) {
  const schema = resolve(spec, given);
  if (schema.enum) return schema.enum[0];
  switch (Array.isArray(schema.type) ? schema.type[0] : schema.type) {
    case "object":
      if (depth >= SAMPLE_DEPTH_MAX) return {};
      return Object.fromEntries(
        Object.entries(schema.properties ?? {}).map(([name, inner]) => [name, sample(spec, inner, depth + 1)]),
      );
    case "array": return [];
    case "integer": case "number": return 0;
    case "boolean": return false;
    case "string": return schema.format === "int64" || schema.format === "uint64" ? "0" : "";
    default: return null;
  }
}

/** Without what is empty, since an empty value of a sample is no choice of anybody. */
function pruned(value) {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(pruned);
  const entries = Object.entries(value).map(([name, inner]) => [name, pruned(inner)]);
  return Object.fromEntries(entries.filter(([, inner]) => {
    const empty = inner && typeof inner === "object" && !Object.keys(inner).length;
    return inner !== "" && inner !== null && inner !== 0 && inner !== "0" && inner !== false && !empty;
  }));
}

function operationsOf(spec) {
  const found = [];
  for (const [path, item] of Object.entries(spec.paths)) {
    for (const [method, operation] of Object.entries(item)) {
      found.push({ path, method: method.toUpperCase(), operation });
    }
  }
  return found;
}

function list(spec, operations) {
  const wanted = byId("find").value.toLowerCase();
  const fits = ({ path, operation }) => `${operation.operationId} ${operation.summary} ${path}`.toLowerCase().includes(wanted);
  byId("operations").replaceChildren(...operations.filter(fits).map((each) => {
    const button = element("button", { type: "button", title: `${each.method} ${each.path}` }, each.operation.summary);
    button.addEventListener("click", () => show(spec, each));
    return element("li", {}, button);
  }));
}

function show(spec, { path, method, operation }) {
  const form = element("form");
  const inputs = operation.parameters.map((given) => {
    const parameter = resolve(spec, given);
    const flag = parameter.allowEmptyValue === true;
    const input = element("input", { type: flag ? "checkbox" : "text", required: parameter.required === true });
    form.append(element("label", {}, element("code", {}, parameter.name), input));
    return { parameter, input, flag };
  });
  let body = null;
  if (operation.requestBody) {
    const schema = operation.requestBody.content["application/json"].schema;
    body = element("textarea", { spellcheck: false, value: JSON.stringify(sample(spec, schema), null, 2) });
    form.append(element("label", { className: "whole" }, "Body; what is empty is not sent", body));
  }
  const result = element("pre", { hidden: true });
  form.append(element("button", {}, "Send"));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    result.hidden = false;
    result.textContent = await send(path, method, inputs, body);
  });
  byId("operation").replaceChildren(
    element("h2", {}, operation.summary), element("code", {}, `${method} ${path}`), form, result,
  );
}

async function send(path, method, inputs, body) {
  let target = path;
  const query = new URLSearchParams();
  for (const { parameter, input, flag } of inputs) {
    if (parameter.in === "path") {
      target = target.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    } else if (flag ? input.checked : input.value !== "") {
      const values = flag ? [""] : parameter.schema.type === "array" ? input.value.split(",") : [input.value];
      values.forEach((value) => query.append(parameter.name, value));
    }
  }
  const headers = {};
  if (byId("token").value) headers.authorization = `Bearer ${byId("token").value}`;
  if (body) headers["content-type"] = "application/json";
  try {
    const text = body && JSON.stringify(pruned(JSON.parse(body.value || "{}")));
    const response = await fetch(String(query) ? `${target}?${query}` : target, { method, headers, body: text, credentials: "omit" });
    const answer = await response.text();
    return `${response.status} ${response.statusText}\n\n${indented(answer)}`;
  } catch (error) {
    return String(error);
  }
}

function indented(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

async function start() {
  const spec = await (await fetch(document.body.dataset.document)).json();
  byId("title").textContent = document.title = spec.info.title;
  const operations = operationsOf(spec);
  byId("find").addEventListener("input", () => list(spec, operations));
  list(spec, operations);
}

start().catch((error) => { byId("operation").textContent = String(error); });
