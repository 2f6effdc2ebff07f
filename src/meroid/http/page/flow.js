// What the log-in page decides, without a page: tested by `node --test`.

const MODE_PERMISSIONS = {
  "admin": ["admin"],
  "single-context": ["context:execute"],
  "multi-context": ["context:create", "context:list", "context:execute"],
};

const WORDS = {
  "admin": "do everything that you may do on this node, also with keys and accounts",
  "application": "list, install and remove applications",
  "application:list": "list applications",
  "application:install": "install applications",
  "application:uninstall": "remove applications",
  "blob": "read and write files of the node",
  "context:create": "make contexts, and delete them",
  "context:list": "see your contexts, their members and what happens in them",
  "context:delete": "delete contexts",
  "context:leave": "leave contexts",
  "context:invite": "invite others into your contexts",
  "context:execute": "read and change data in your contexts, in your name",
  "context:alias": "name contexts, applications and identities",
  "context:capabilities:grant": "give members of your contexts more rights",
  "context:capabilities:revoke": "take rights from members of your contexts, or remove them",
  "context:application:update": "change which application your contexts run",
  "keys": "manage the keys that open your account",
  "keys:list": "list the keys that open your account",
  "keys:create": "let further keys open your account",
  "keys:delete": "remove keys that open your account",
};

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** The code of a log-in link, which stands behind `#`; null if there is none. */
export function readCode(hash) {
  const found = /^#code=([A-Za-z0-9_-]{22})$/.exec(hash);
  return found === null ? null : found[1];
}

/** What an app asks for, from the page's query. */
export function readRequest(search) {
  const given = new URLSearchParams(search);
  const listed = splitPermissions(given.get("permissions") ?? "");
  const mode = given.get("mode") ?? (listed.includes("admin") ? "admin" : null);
  return {
    callback: given.get("callback-url"),
    permissions: listed,
    mode: mode !== null && Object.hasOwn(MODE_PERMISSIONS, mode) ? mode : null,
    applicationId: given.get("application-id"),
    package: given.get("package-name"),
    appUrl: given.get("app-url"),
  };
}

/** A comma list, split outside brackets only: parameters hold commas too. */
export function splitPermissions(text) {
  return text.split(/,(?![^[]*\])/).map((each) => each.trim()).filter((each) => each !== "");
}

/** Whether tokens may be sent there: http or https, to this origin or to this machine. */
export function checkCallback(text, own) {
  if (text === null || text === "") return { reason: "No address was given to send you back to." };
  let url;
  try {
    url = new URL(text);
  } catch {
    return { reason: "The address to send you back to is no address." };
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    return { reason: "The address to send you back to is no web address." };
  }
  if (url.username !== "" || url.password !== "") {
    return { reason: "The address to send you back to has a user name in it." };
  }
  if (url.origin !== own && !LOOPBACK.test(url.hostname)) {
    return { reason: `This page sends nobody to ${url.origin}: only to this node's own pages and to this machine.` };
  }
  return { url, origin: url.origin };
}

/** What is asked for and minted: never `admin` unless somebody asked for it by name. */
export function wantedPermissions(request) {
  const scoped = request.applicationId === null ? "" : `[${request.applicationId}]`;
  const mode = request.mode ?? (request.permissions.length === 0 ? "multi-context" : null);
  const needed = mode === null ? [] : MODE_PERMISSIONS[mode];
  const all = [...needed, ...request.permissions].map((each) =>
    /^context:[a-z:-]+$/.test(each) && !each.startsWith("context:alias") ? each + scoped : each);
  return [...new Set(all)];
}

/** Whether the tokens are to be bound to one context and identity. */
export function isBound(request) {
  return request.mode === "single-context";
}

/** A permission in plain words. */
export function describe(permission) {
  const found = /^([a-z:-]+)(?:\[(.+)\])?$/.exec(permission);
  if (found === null || !Object.hasOwn(WORDS, found[1])) return permission;
  const words = WORDS[found[1]];
  return found[2] === undefined ? words : `${words} (only: ${found[2]})`;
}

/** Where to go with tokens: in the fragment, behind one that is there. */
export function withTokens(url, tokens, more = {}) {
  const added = new URLSearchParams({ access_token: tokens.access_token, refresh_token: tokens.refresh_token, ...more });
  const target = new URL(url);
  target.hash = target.hash === "" ? added.toString() : `${target.hash.slice(1)}&${added}`;
  return target.href;
}

/** What to say of a refusal: the reason and what to do. */
export function problemText(status, body) {
  const reason = typeof body?.reason === "string" ? body.reason : typeof body?.error === "string" ? body.error : null;
  if (reason === null) return `The node answered with status ${status}.`;
  return typeof body?.next === "string" ? `${sentence(reason)} Next: ${body.next}` : sentence(reason);
}

function sentence(text) {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}
