// The decisions of the log-in page, run by `node --test` (tests/unit/http/test_login_page_script.py).
import assert from "node:assert/strict";
import test from "node:test";

import * as flow from "../../../src/meroid/http/page/flow.js";

const OWN = "https://node.example";

test("a code is read from the fragment alone", () => {
  assert.equal(flow.readCode("#code=" + "a".repeat(22)), "a".repeat(22));
  for (const bad of ["", "#code=", "#code=short", "?code=" + "a".repeat(22), "#code=" + "a".repeat(23), "#code=<script>aaaaaaaaaaaaaa"]) {
    assert.equal(flow.readCode(bad), null, bad);
  }
});

test("tokens go to this origin and to this machine only", () => {
  for (const good of ["https://node.example/app", "http://localhost:5173/", "http://127.0.0.1:9080/callback", "http://[::1]:80/#x=1"]) {
    assert.ok(flow.checkCallback(good, OWN).url, good);
  }
  const bad = [
    null, "", "x", "javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x", "file:///etc", "ftp://localhost/",
    "https://evil.example/", "http://node.example/", "https://node.example:444/", "https://node.example.evil.example/",
    "http://localhost.evil.example/", "http://127.0.0.1.evil.example/", "https://user@localhost/", "https://node.example@evil.example/",
    "//evil.example/", "http://127.1.evil/", "http://0.0.0.0/",
  ];
  for (const each of bad) {
    const checked = flow.checkCallback(each, OWN);
    assert.equal(checked.url, undefined, String(each));
    assert.ok(checked.reason.length > 10);
  }
});

test("nobody gets admin without asking for it", () => {
  for (const search of ["", "?callback-url=http://localhost", "?mode=", "?mode=nonsense", "?mode=__proto__", "?permissions=", "?manifest-url=x"]) {
    const wanted = flow.wantedPermissions(flow.readRequest(search));
    assert.deepEqual(wanted, ["context:create", "context:list", "context:execute"], search);
  }
  assert.deepEqual(flow.wantedPermissions(flow.readRequest("?permissions=admin")), ["admin"]);
  assert.deepEqual(flow.wantedPermissions(flow.readRequest("?mode=admin")), ["admin"]);
});

test("what is asked for is the mode's and the query's, within the application", () => {
  const read = (search) => flow.wantedPermissions(flow.readRequest(search));
  assert.deepEqual(read("?mode=single-context"), ["context:execute"]);
  assert.deepEqual(read("?permissions=context:list,blob"), ["context:list", "blob"]);
  assert.deepEqual(read("?mode=multi-context&application-id=APP&permissions=context:list,context:alias"),
    ["context:create[APP]", "context:list[APP]", "context:execute[APP]", "context:alias"]);
  assert.deepEqual(read("?permissions=context:execute[c,k,m],context:list"), ["context:execute[c,k,m]", "context:list"]);
  assert.equal(flow.isBound(flow.readRequest("?mode=single-context")), true);
  assert.equal(flow.isBound(flow.readRequest("?mode=multi-context")), false);
});

test("permissions are told in words, unknown ones as they stand", () => {
  assert.match(flow.describe("admin"), /everything/);
  assert.match(flow.describe("context:execute[abc]"), /only: abc/);
  assert.equal(flow.describe("something:new"), "something:new");
  assert.equal(flow.describe("constructor"), "constructor");
});

test("tokens go into the fragment, behind one that is there", () => {
  const tokens = { access_token: "a.b.c", refresh_token: "d.e.f" };
  assert.equal(flow.withTokens("http://localhost/x?y=1", tokens), "http://localhost/x?y=1#access_token=a.b.c&refresh_token=d.e.f");
  const behind = flow.withTokens("http://localhost/#/route", tokens, { context_id: "c d" });
  assert.equal(behind, "http://localhost/#/route&access_token=a.b.c&refresh_token=d.e.f&context_id=c+d");
  assert.equal(behind.split("#").length, 2);
  assert.equal(new URLSearchParams(behind.split("#")[1]).get("refresh_token"), "d.e.f");
});

test("a refusal is told with what to do next", () => {
  assert.equal(flow.problemText(401, { reason: "this link was used before", next: "log in" }), "This link was used before. Next: log in");
  assert.equal(flow.problemText(400, { error: "Bad." }), "Bad.");
  assert.match(flow.problemText(500, null), /500/);
});
