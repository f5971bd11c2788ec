"use strict";

// Everything is put into the page as text, never as markup: labels are what users have written.
const byId = (id) => document.getElementById(id);

async function ask(method, path, body) {
  const headers = { "X-Pkgd": "1" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, {
    method, headers, credentials: "same-origin", cache: "no-store", redirect: "error",
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (answer.status === 401) {
    location.assign("/auth/login?redirect=/ui/keys");
    return new Promise(() => {});
  }
  const text = await answer.text();
  if (!answer.ok) {
    let message = `the server answers ${answer.status}`;
    try { message = JSON.parse(text).errors[0].message; } catch (ignored) { /* not one of our answers */ }
    throw new Error(message);
  }
  return text ? JSON.parse(text) : null;
}

function cell(row, text) {
  const made = document.createElement("td");
  made.textContent = text;
  row.append(made);
  return made;
}

function limits(key) {
  const parts = (key.allow || []).map((one) => `${one.resources.join(" ")}: ${one.actions.join(", ")}`);
  return [...parts, ...key.networks].join("; ") || "everything";
}

function show(key) {
  const row = document.createElement("tr");
  row.dataset.id = key.id;
  cell(row, key.label);
  cell(row, `pkgd_${key.id}_…`);
  cell(row, limits(key));
  cell(row, key.suspended ? "suspended" : key.expires.slice(0, 10));
  cell(row, key.last_used ? key.last_used.slice(0, 10) : "never");
  cell(row, "").append(revoking(`/api/v1/keys/${encodeURIComponent(key.id)}`));
  return row;
}

function showLogin(login) {
  const row = document.createElement("tr");
  row.dataset.id = login.id;
  cell(row, login.client);
  cell(row, login.created.slice(0, 10));
  cell(row, login.expires.slice(0, 10));
  cell(row, "").append(revoking(`/api/v1/refresh-tokens/${encodeURIComponent(login.id)}`));
  return row;
}

function revoking(path) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Revoke";
  button.addEventListener("click", () => attempt(async () => {
    await ask("DELETE", path);
    await list();
  }));
  return button;
}

async function list() {
  const found = await ask("GET", "/api/v1/keys");
  byId("user").textContent = found.user;
  byId("keys").replaceChildren(...found.keys.map(show));
  const logins = await ask("GET", "/api/v1/refresh-tokens");
  byId("logins").replaceChildren(...logins.refresh_tokens.map(showLogin));
  document.body.dataset.ready = "1";
}

async function make() {
  const resources = byId("resources").value.split(/[\s]+/).filter(Boolean);
  const body = { label: byId("label").value, expires_in: Number(byId("days").value) * 86400 };
  if (resources.length) body.allow = [{ resources, actions: byId("actions").value.split(",") }];
  const made = await ask("POST", "/api/v1/keys", body);
  byId("key").textContent = made.key;
  byId("made").hidden = false;
  byId("form").reset();
  await list();
}

async function attempt(work) {
  byId("error").hidden = true;
  try {
    await work();
  } catch (error) {
    byId("error").textContent = error.message;
    byId("error").hidden = false;
  }
}

byId("form").addEventListener("submit", (event) => { event.preventDefault(); attempt(make); });
byId("logout").addEventListener("click", () => attempt(async () => {
  await ask("POST", "/auth/logout");
  byId("keys").replaceChildren();
  byId("logins").replaceChildren();
  byId("user").textContent = "You have logged out.";
  delete document.body.dataset.ready;
}));
attempt(list);
