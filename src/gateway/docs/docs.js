// Shows what /openapi.json says, and sends what is written into its forms. Whatever comes from
// there or from an answer is put into the page as text.
"use strict";

const byId = (id) => document.getElementById(id);
const copy = (id) => byId(id).content.firstElementChild.cloneNode(true);
const element = (name, text) => Object.assign(document.createElement(name), {textContent: text});

let schemas = {};

async function load() {
  const answer = await fetch("/openapi.json");
  const api = await answer.json();
  schemas = api.components.schemas;
  byId("version").textContent = api.info.version;
  byId("about").textContent = api.info.description;
  const main = byId("operations");
  main.replaceChildren();
  const groups = new Map();
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const tag = operation.tags?.[0] ?? "service";
      if (!groups.has(tag)) {
        const group = copy("group");
        group.querySelector("h2").textContent = tag;
        groups.set(tag, group);
      }
      if (operation.security?.length) byId("authorize").hidden = false;
      groups.get(tag).append(shown(method.toUpperCase(), path, operation));
    }
  }
  // The tables first.
  const service = groups.get("service");
  groups.delete("service");
  main.append(...groups.values(), service);
}

function shown(method, path, operation) {
  const block = copy("operation");
  const find = (selector) => block.querySelector(selector);
  block.id = `${method} ${path}`;
  find(".method").textContent = method;
  find(".path").textContent = path;
  find(".summary").textContent = operation.summary;
  const boxes = (operation.parameters ?? []).map((parameter) => {
    const label = element("label", ` ${parameter.name}: ${parameter.description}`);
    const box = Object.assign(document.createElement("input"), {type: "checkbox", name: parameter.name});
    label.prepend(box);
    find(".parameters").append(label);
    return box;
  });
  const content = operation.requestBody?.content;
  const [kind, body] = [find("select"), find("textarea")];
  if (content) {
    for (const type of Object.keys(content)) kind.append(new Option(type));
    const example = content["application/json"].example;
    const fill = () => {
      const isLines = kind.value !== "application/json";
      body.value = isLines ? `${JSON.stringify(example)}\n` : JSON.stringify(example, null, 2);
    };
    fill();
    kind.addEventListener("change", fill);
    const schema = resolved(content["application/json"].schema.oneOf[0]);
    find(".fields tbody").append(...rows(schema, ""));
  } else {
    for (const part of [find(".form"), find(".fields"), find("h3")]) part.remove();
  }
  for (const [status, answer] of Object.entries(operation.responses)) {
    const row = document.createElement("tr");
    row.append(element("td", status), element("td", answer.description));
    find(".answers tbody").append(row);
  }
  const request = () => {
    const asked = boxes.filter((box) => box.checked).map((box) => `${box.name}=true`);
    const url = asked.length ? `${path}?${asked.join("&")}` : path;
    const headers = {};
    if (content) headers["content-type"] = kind.value;
    const token = byId("token").value;
    if (token && operation.security?.length) headers.authorization = `Bearer ${token}`;
    return {url, options: {method, headers, body: content ? body.value : undefined}};
  };
  const told = () => { find(".curl").textContent = curl(request()); };
  block.addEventListener("input", told);
  block.addEventListener("toggle", told);
  find("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    told();
    const {url, options} = request();
    const [answer, status, text] = [find(".answer"), find(".answer p"), find(".answer pre")];
    answer.hidden = false;
    [status.textContent, text.textContent] = ["sending", ""];
    try {
      const response = await fetch(url, options);
      status.textContent = `${response.status} ${response.statusText}, request ${response.headers.get("x-request-id")}`;
      text.textContent = pretty(await response.text());
    } catch (error) {
      status.textContent = `no answer: ${error.message}`;
    }
  });
  return block;
}

const resolved = (schema) => schema.$ref ? schemas[schema.$ref.split("/").pop()] : schema;

function rows(schema, within) {
  return Object.entries(schema.properties ?? {}).flatMap(([name, of]) => {
    const row = document.createElement("tr");
    const field = document.createElement("td");
    field.append(element("code", within + name));
    const required = schema.required?.includes(name) ? "yes" : "";
    row.append(field, element("td", type(of)), element("td", required));
    const inner = of.items ?? of.additionalProperties ?? of;
    const path = of.items ? `${within}${name}[].` : `${within}${name}.`;
    return [row, ...rows(typeof inner === "object" ? inner : {}, path)];
  });
}

function type(of) {
  const types = [of.type ?? "any"].flat().filter((name) => name !== "null");
  const more = of.enum ? of.enum.filter((value) => value !== null).join(", ") : of.format ?? of.description;
  const inner = of.items ? ` of ${type(of.items)}` : typeof of.additionalProperties === "object" ? ` to ${type(of.additionalProperties)}` : "";
  return types.join(" or ") + inner + (more ? ` (${more})` : "");
}

function curl({url, options}) {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const headers = Object.entries(options.headers).map(([name, value]) => {
    // Not to be copied by accident.
    return name === "authorization" ? `-H "Authorization: Bearer $GATEWAY_TOKEN"` : `-H ${quoted(`${name}: ${value}`)}`;
  });
  const body = options.body === undefined ? [] : [`--data-binary ${quoted(options.body)}`];
  return [`curl -X ${options.method}`, ...headers, ...body, quoted(location.origin + url)].join(" \\\n  ");
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

load().catch((error) => {
  byId("operations").textContent = `openapi.json cannot be read: ${error.message}`;
});
