// The node's side: host functions of module `env`, wrapped so that the rest sees bytes only.
//
// Data goes to the host by descriptors (pointer u64, length u64). Data from the host lies in a
// numbered register: ask for its length, allocate, read.

import { address, Bytes, utf8 } from "./bytes";

// @ts-ignore: decorator
@external("env", "panic_utf8")
declare function hostPanic(message: u64, location: u64): void;
// @ts-ignore: decorator
@external("env", "register_len")
declare function hostRegisterLen(register: u64): u64;
// @ts-ignore: decorator
@external("env", "read_register")
declare function hostReadRegister(register: u64, buffer: u64): i32;
// @ts-ignore: decorator
@external("env", "executor_id")
declare function hostExecutorId(register: u64): void;
// @ts-ignore: decorator
@external("env", "input")
declare function hostInput(register: u64): void;
// @ts-ignore: decorator
@external("env", "value_return")
declare function hostValueReturn(result: u64): void;
// @ts-ignore: decorator
@external("env", "emit")
declare function hostEmit(event: u64): void;
// @ts-ignore: decorator
@external("env", "commit")
declare function hostCommit(root: u64, artifact: u64): void;
// @ts-ignore: decorator
@external("env", "storage_read")
declare function hostStorageRead(key: u64, register: u64): i32;
// @ts-ignore: decorator
@external("env", "storage_write")
declare function hostStorageWrite(key: u64, value: u64, register: u64): i32;
// @ts-ignore: decorator
@external("env", "storage_remove")
declare function hostStorageRemove(key: u64, register: u64): i32;

const REGISTER: u64 = 0; // one is enough: each answer is read at once
const ID_BYTES: i32 = 32;

// Descriptors live in static memory; two are in use at a time.
const FIRST = memory.data(40, 8);
const SECOND = memory.data(40, 8);

function describe(at: usize, bytes: Bytes): u64 {
  store<u64>(at, address(bytes));
  store<u64>(at, bytes.length, 8);
  return at;
}

function readRegister(size: i32): Bytes {
  const out = new StaticArray<u8>(size);
  hostReadRegister(REGISTER, describe(FIRST, out));
  return out;
}

/** What the caller passed: JSON of named arguments, or an artifact. */
export function input(): Bytes {
  hostInput(REGISTER);
  return readRegister(<i32>hostRegisterLen(REGISTER));
}

/** The client key that acts. */
export function executor(): Bytes {
  hostExecutorId(REGISTER);
  return readRegister(ID_BYTES);
}

export function read(key: Bytes): Bytes | null {
  if (hostStorageRead(describe(FIRST, key), REGISTER) == 0) return null;
  return readRegister(<i32>hostRegisterLen(REGISTER));
}

export function write(key: Bytes, value: Bytes): void {
  hostStorageWrite(describe(FIRST, key), describe(SECOND, value), REGISTER);
}

export function erase(key: Bytes): void {
  hostStorageRemove(describe(FIRST, key), REGISTER);
}

/** Ends a change: the root of the new state (32 bytes), and what other replicas have to merge. */
export function commit(root: Bytes, artifact: Bytes): void {
  hostCommit(describe(FIRST, root), describe(SECOND, artifact));
}

export function emit(kind: string, data: Bytes): void {
  describe(FIRST, utf8(kind));
  describe(FIRST + 16, data);
  hostEmit(FIRST);
}

/** The answer of the method: JSON. */
export function succeed(json: Bytes): void {
  store<u64>(FIRST, 0);
  describe(FIRST + 8, json);
  hostValueReturn(FIRST);
}

/** An error value: JSON too. The node discards every change of this call. */
export function fail(json: Bytes): void {
  store<u64>(FIRST, 1);
  describe(FIRST + 8, json);
  hostValueReturn(FIRST);
}

let aborting = false;

/** The compiler calls this where the language throws (see asconfig.json). */
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  if (aborting) unreachable(); // out of memory while saying so
  aborting = true;
  describe(FIRST, utf8(message ? message : "abort"));
  describe(SECOND, utf8(file ? file : "?"));
  store<u32>(SECOND, line, 16);
  store<u32>(SECOND, column, 20);
  hostPanic(FIRST, SECOND);
}
