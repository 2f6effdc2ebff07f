// A key-value store whose replicas agree. The exported functions are the methods that clients call.
//
// Each call runs in a fresh instance: nothing in memory survives it. Arguments are JSON in, answers JSON
// out. A call that changes the state commits once, with the new root and an artifact; the node signs and
// encrypts the artifact and sends it to the other replicas, which give it to `__calimero_sync_next`.

import { Bytes, compareBytes, EMPTY, utf8, Writer } from "./bytes";
import { Entry, MAX_KEY, MAX_VALUE } from "./entry";
import * as host from "./host";
import { Arguments, errorValue, NULL, quote, quoted, quotedSize } from "./json";
import { findEntry, readArtifact, State } from "./state";

const MAX_EVENT: i32 = 16 * 1024; // the host's limit

/** Called once, when the context is created. */
export function init(): void {
  if (!parse([])) return;
  const state = new State();
  if (state.known) return refuse("AlreadyInitialized", "this context has a state");
  state.commit();
}

/** `{"key", "value"}`: stores a text under a key. Returns null. */
export function set(): void {
  const args = parse(["key", "value"]);
  if (!args) return;
  const key = args.text(0);
  const value = args.text(1);
  if (!fits("key", key, MAX_KEY) || !fits("value", value, MAX_VALUE)) return;
  const before = findEntry(key);
  if (!change(before, key, true, value)) return;
  host.emit(before && before.live ? "Updated" : "Inserted", eventData(key, value));
  host.succeed(NULL);
}

/** `{"key"}`: the text under a key, or null. */
export function get(): void {
  const args = parse(["key"]);
  if (!args) return;
  const entry = findEntry(args.text(0));
  host.succeed(entry && entry.live ? quoted(entry.value) : NULL);
}

/** `{"key"}`: removes a key. Returns the text that was there, or null if there was none. */
export function remove(): void {
  const args = parse(["key"]);
  if (!args) return;
  const key = args.text(0);
  const before = findEntry(key);
  if (!before || !before.live) return host.succeed(NULL); // nothing changes, so nothing is committed
  if (!change(before, key, false, EMPTY)) return;
  host.emit("Removed", eventData(key, null));
  host.succeed(quoted(before.value));
}

/** An object of all keys with their texts; keys in order of their code points. */
export function entries(): void {
  if (!parse([])) return;
  const sorted = new State().entries().sort((a, b) => compareBytes(a.key, b.key));
  let size = 2;
  for (let i = 0; i < sorted.length; i++) size += quotedSize(sorted[i].key) + quotedSize(sorted[i].value) + 2;
  const out = new Writer(size);
  out.ascii("{");
  for (let i = 0; i < sorted.length; i++) {
    if (i > 0) out.ascii(",");
    quote(out, sorted[i].key);
    out.ascii(":");
    quote(out, sorted[i].value);
  }
  out.ascii("}");
  host.succeed(out.finish());
}

/** How many keys there are. */
export function len(): void {
  if (!parse([])) return;
  host.succeed(utf8(new State().count.toString()));
}

/**
 * Merges what another replica committed. Every version either wins against ours or doesn't (entry.ts), so the
 * result is the same in any order and any number of times. A bad artifact changes nothing.
 */
export function __calimero_sync_next(): void {
  const versions = readArtifact(host.input());
  if (!versions) return refuse("BadArtifact", "this is not an artifact of this application");
  const state = new State();
  for (let i = 0; i < versions.length; i++) state.merge(versions[i]);
  state.commit();
}

/** Makes the next version of a key and commits it. */
function change(before: Entry | null, key: Bytes, live: bool, value: Bytes): bool {
  if (before && before.exhausted) {
    refuse("CounterExhausted", "this key can't be changed any more");
    return false;
  }
  const state = new State();
  const entry = Entry.next(key, before, host.executor(), live, value);
  state.replace(before, entry);
  state.publish(entry);
  state.commit();
  return true;
}

function parse(names: StaticArray<string>): Arguments | null {
  const args = new Arguments(host.input(), names);
  if (args.error.length == 0) return args;
  refuse("InvalidArgument", args.error);
  return null;
}

function fits(name: string, text: Bytes, limit: i32): bool {
  if (text.length <= limit) return true;
  refuse("InvalidArgument", "the " + name + " has more than " + limit.toString() + " bytes");
  return false;
}

function refuse(kind: string, data: string): void {
  host.fail(errorValue(kind, data));
}

/** `{"key", "value"}`, or `{"key"}` alone where there is no value or an event can't hold it. */
function eventData(key: Bytes, value: Bytes | null): Bytes {
  const out = new Writer(64);
  out.ascii('{"key":');
  quote(out, key);
  if (value && out.size + quotedSize(value) + 10 <= MAX_EVENT) {
    out.ascii(',"value":');
    quote(out, value);
  }
  out.ascii("}");
  return out.finish();
}
