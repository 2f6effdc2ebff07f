// The log-in page: one form for a password, one to allow what an app asks for. Tokens stay in this script's memory.

import { checkCallback, describe, isBound, problemText, readCode, readRequest, wantedPermissions, withTokens }
  from "/auth/assets/flow.js";

const part = (id) => document.getElementById(id);
const show = (id, visible = true) => { part(id).hidden = !visible; };
const say = (id, text) => { part(id).textContent = text; show(id, text !== ""); };

const request = readRequest(location.search);
const code = readCode(location.hash);
let purpose = "log in";
let passwordRule = { min: 8 };
let tokens = null;

if (code !== null) history.replaceState(null, "", location.pathname + location.search); // out of the history

class Refusal extends Error {}

async function ask(method, path, body, bearer) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (bearer !== undefined) headers["Authorization"] = `Bearer ${bearer}`;
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new Refusal("The node can't be reached.");
  }
  const text = await answer.text();
  let json = null;
  try { json = JSON.parse(text); } catch { /* plain text */ }
  if (!answer.ok) throw new Refusal(problemText(answer.status, json ?? { error: text.split("\n")[0] }));
  return json.data;
}

async function guarded(form, work) {
  const buttons = [...form.querySelectorAll("button")];
  say("problem", "");
  buttons.forEach((each) => { each.disabled = true; });
  try {
    await work();
  } catch (error) {
    say("problem", error instanceof Refusal ? error.message : "Something went wrong on this page.");
    if (!(error instanceof Refusal)) throw error;
  } finally {
    buttons.forEach((each) => { each.disabled = false; });
  }
}

function choosePurpose(wanted, words) {
  purpose = wanted;
  const chooses = wanted !== "log in";
  part("title").textContent = words.title;
  document.title = words.title;
  part("go").textContent = words.button;
  say("intro", words.intro ?? "");
  show("again-row", chooses);
  part("again").required = chooses;
  part("password").autocomplete = chooses ? "new-password" : "current-password";
  say("rule", chooses ? `at least ${passwordRule.min} characters` : "");
}

const PLAIN = { title: "Log in", button: "Log in" };
const SIGN_UP = { title: "Make an account", button: "Make the account" };

async function begin() {
  const known = await ask("GET", "/auth/providers");
  const method = known.providers.find((each) => each.name === "user_password");
  if (method === undefined) throw new Refusal("This node takes no password, and this page can work with nothing else.");
  passwordRule = { min: method.config.min_password_length ?? 8 };
  if (request.package !== null) throw new Refusal("This page can't install packages: install the application first.");
  if (request.callback !== null) {
    const checked = checkCallback(request.callback, location.origin);
    if (checked.url === undefined) throw new Refusal(checked.reason);
    part("origin").textContent = checked.origin;
    show("asker");
  }
  if (code !== null) {
    await beginWithCode();
  } else if (known.setup_required) {
    choosePurpose("set up", {
      title: "Set up this node", button: "Own this node",
      intro: "This node has no owner yet: who logs in now becomes it, with the name and password chosen here.",
    });
    show("setup-row");
    say("rule", "");
  } else {
    choosePurpose("log in", PLAIN);
    show("other", known.signup === "open");
  }
  show("proof");
  part(part("username").readOnly ? "password" : "username").focus();
}

async function beginWithCode() {
  const link = await ask("POST", "/auth/link", { code });
  const name = link.label === "" ? "" : ` (${link.label})`;
  if (link.usernames.length > 0) {
    choosePurpose("link", { title: "Set a new password", button: "Set it",
      intro: `For the account${name} on this node. Log-ins with the old password end.` });
    part("username").value = link.usernames[0];
    part("username").readOnly = link.usernames.length === 1;
  } else {
    choosePurpose("link", { title: "Welcome", button: "Open the account",
      intro: `Choose a user name and a password for your account${name} on this node.` });
  }
}

part("other").addEventListener("click", () => {
  const signsUp = purpose === "sign up";
  choosePurpose(signsUp ? "log in" : "sign up", signsUp ? PLAIN : SIGN_UP);
  part("other").textContent = signsUp ? "Make a new account" : "Log in instead";
});

part("proof").addEventListener("submit", (event) => {
  event.preventDefault();
  guarded(event.target, async () => {
    const username = part("username").value.trim();
    const password = part("password").value;
    if (purpose !== "log in" && password !== part("again").value) throw new Refusal("The two passwords differ.");
    const proof = { username, password };
    if (purpose === "link") proof.login_code = code;
    if (purpose === "sign up") proof.sign_up = true;
    const setup = part("setup").value.trim();
    if (purpose === "set up" && setup !== "") proof.setup_code = setup;
    tokens = await ask("POST", "/auth/token", {
      auth_method: "user_password", public_key: username, client_name: location.origin,
      timestamp: Date.now(), permissions: [], provider_data: proof,
    });
    part("password").value = "";
    part("again").value = "";
    await afterLogin();
  });
});

async function afterLogin() {
  show("proof", false);
  say("intro", "");
  if (request.callback === null) {
    await endOwnSession();
    part("title").textContent = "Done";
    say("done", "Your account is open. Go to your app, or run meroctl login. You may close this page.");
    return;
  }
  part("title").textContent = "Allow access";
  part("permissions").replaceChildren(...wantedPermissions(request).map((each) => {
    const item = document.createElement("li");
    item.textContent = describe(each);
    return item;
  }));
  show("consent");
  if (isBound(request)) await offerPlaces();
  part("consent").querySelector("button").focus();
}

async function offerPlaces() {
  const { contexts } = await ask("GET", "/admin-api/contexts", undefined, tokens.access_token);
  const fitting = contexts.filter((each) => request.applicationId === null || each.applicationId === request.applicationId);
  for (const context of fitting) {
    const path = `/admin-api/contexts/${encodeURIComponent(context.id)}/identities-owned`;
    const { identities } = await ask("GET", path, undefined, tokens.access_token);
    for (const identity of identities) {
      part("place").append(new Option(`${context.id} as ${identity}`, `${context.id} ${identity}`));
    }
  }
  if (part("place").options.length === 0) throw new Refusal("You have no context for this: join or make one first.");
  show("place-row");
}

part("consent").addEventListener("submit", (event) => {
  event.preventDefault();
  guarded(event.target, async () => {
    const [contextId, identity] = isBound(request) ? part("place").value.split(" ") : ["", ""];
    if (isBound(request) && contextId === "") throw new Refusal("Choose a context first.");
    const minted = await ask("POST", "/admin/client-key", {
      context_id: contextId, context_identity: identity, permissions: wantedPermissions(request),
      target_node_url: request.appUrl ?? location.origin,
    }, tokens.access_token);
    await endOwnSession();
    const more = {};
    if (request.applicationId !== null) more.application_id = request.applicationId;
    if (contextId !== "") Object.assign(more, { context_id: contextId, context_identity: identity });
    location.replace(withTokens(checkCallback(request.callback, location.origin).url, minted, more));
  });
});

part("refuse").addEventListener("click", () => guarded(part("consent"), async () => {
  await endOwnSession();
  show("consent", false);
  say("done", "Nothing was given. You may close this page.");
}));

async function endOwnSession() {
  const { access_token: access, refresh_token: refresh } = tokens;
  tokens = null;
  await ask("POST", "/auth/logout", { refresh_token: refresh }, access).catch(() => undefined);
}

guarded(part("proof"), begin);
