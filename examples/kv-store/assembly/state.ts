// What is stored, under keys of 32 bytes: SHA-256 of a kind and an id.
//
// - Header: number of live keys, and the sum behind the root (root.ts).
// - Entry, by key: its version and its position in the index.
// - Page, by number: storage keys of 64 entries. The host can't list keys, so the pages do. A removed
//   key's place is taken by the last one, so there are no holes and each change touches two pages at most.

import { address, Bytes, copy, Reader, utf8, Writer } from "./bytes";
import { Entry } from "./entry";
import * as host from "./host";
import { addTo, rootOf, SUM_BYTES, takeFrom } from "./root";
import { DIGEST_BYTES, sha256 } from "./sha256";

const KIND_HEADER: u8 = 0;
const KIND_ENTRY: u8 = 1;
const KIND_PAGE: u8 = 2;
const PAGE_SLOTS: u32 = 64;
const POSITION_BYTES: i32 = 4;
const ARTIFACT_VERSION: u8 = 1;

function storageKey(kind: u8, id: Bytes): Bytes {
  const out = new Writer(id.length + 1);
  out.u8(kind);
  out.raw(id);
  return sha256(out.finish());
}

const HEADER: Bytes = storageKey(KIND_HEADER, utf8(""));

function pageKey(page: u32): Bytes {
  const id = new StaticArray<u8>(4);
  store<u32>(address(id), page);
  return storageKey(KIND_PAGE, id);
}

export function findEntry(key: Bytes): Entry | null {
  const record = host.read(storageKey(KIND_ENTRY, key));
  return record ? decode(record) : null;
}

// The position comes first, so that it can be changed without decoding the rest.
function decode(record: Bytes): Entry {
  const from = new Reader(record);
  const position = from.u32();
  const entry = Entry.read(from);
  entry.position = position;
  return entry;
}

function encode(entry: Entry): Bytes {
  const out = new Writer(POSITION_BYTES + entry.size);
  out.u32(entry.position);
  entry.write(out);
  return out.finish();
}

/** The state as it is while one method runs; `commit` ends it. */
export class State {
  count: u32 = 0;
  /** Whether there was a state before this call. */
  known: bool = false;
  private sum: Bytes = new StaticArray<u8>(SUM_BYTES);
  private changes: Entry[] = [];

  constructor() {
    const record = host.read(HEADER);
    if (record) {
      const from = new Reader(record);
      this.count = from.u32();
      this.sum = from.raw(SUM_BYTES);
      this.known = true;
    }
  }

  /** Takes a version over if it wins against the one that is here; says whether it did. */
  merge(entry: Entry): bool {
    const before = findEntry(entry.key);
    return before && !entry.wins(before) ? false : this.replace(before, entry);
  }

  /** Puts a version in the place of the one that is here. */
  replace(before: Entry | null, entry: Entry): bool {
    const id = storageKey(KIND_ENTRY, entry.key);
    const wasLive = before ? before.live : false;
    if (before) {
      takeFrom(this.sum, before);
      entry.position = before.position;
    }
    addTo(this.sum, entry);
    if (entry.live && !wasLive) entry.position = this.append(id);
    if (!entry.live && wasLive) this.release(entry.position);
    host.write(id, encode(entry));
    return true;
  }

  /** Notes a version for the artifact, because it was made here. */
  publish(entry: Entry): void {
    this.changes.push(entry);
  }

  commit(): void {
    const header = new Writer(4 + SUM_BYTES);
    header.u32(this.count);
    header.raw(this.sum);
    host.write(HEADER, header.finish());
    host.commit(rootOf(this.sum), this.artifact());
  }

  /** All live entries, in no particular order. */
  entries(): StaticArray<Entry> {
    const out = new StaticArray<Entry>(this.count);
    let found: u32 = 0;
    for (let page: u32 = 0; found < this.count; page++) {
      const slots = host.read(pageKey(page))!;
      for (let at = 0; at < slots.length; at += DIGEST_BYTES) {
        out[found++] = decode(host.read(copy(address(slots) + at, DIGEST_BYTES))!);
      }
    }
    return out;
  }

  private artifact(): Bytes {
    const out = new Writer(64);
    out.u8(ARTIFACT_VERSION);
    out.u32(this.changes.length);
    for (let i = 0; i < this.changes.length; i++) this.changes[i].write(out);
    return out.finish();
  }

  /** Adds an entry at the end of the index. */
  private append(id: Bytes): u32 {
    const position = this.count++;
    const key = pageKey(position / PAGE_SLOTS);
    const slots = new Writer((position % PAGE_SLOTS + 1) * DIGEST_BYTES);
    if (position % PAGE_SLOTS != 0) slots.raw(host.read(key)!);
    slots.raw(id);
    host.write(key, slots.finish());
    return position;
  }

  /** Frees a place in the index by moving the last entry there. */
  private release(position: u32): void {
    const last = --this.count;
    const lastKey = pageKey(last / PAGE_SLOTS);
    const lastPage = host.read(lastKey)!;
    const kept = <i32>(last % PAGE_SLOTS) * DIGEST_BYTES;
    const moved = copy(address(lastPage) + kept, DIGEST_BYTES);
    if (kept == 0) host.erase(lastKey);
    else host.write(lastKey, copy(address(lastPage), kept));
    if (position == last) return;

    const key = pageKey(position / PAGE_SLOTS);
    const page = host.read(key)!;
    memory.copy(address(page) + (position % PAGE_SLOTS) * DIGEST_BYTES, address(moved), DIGEST_BYTES);
    host.write(key, page);
    const record = host.read(moved)!;
    store<u32>(address(record), position);
    host.write(moved, record);
  }
}

/** The versions in another replica's artifact, or null if it isn't one of ours. */
export function readArtifact(artifact: Bytes): Entry[] | null {
  const from = new Reader(artifact);
  if (from.u8() != ARTIFACT_VERSION) return null;
  const count = from.u32();
  const out: Entry[] = [];
  for (let i: u32 = 0; i < count && !from.failed; i++) {
    const entry = Entry.read(from);
    if (from.failed || !entry.valid) return null;
    out.push(entry);
  }
  return from.done ? out : null;
}
