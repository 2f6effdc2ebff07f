// One key with its value, or the trace of a removed one, and which of two versions wins.

import { Bytes, compareBytes, isUtf8, Reader, Writer } from "./bytes";

export const MAX_KEY: i32 = 1024;
export const MAX_VALUE: i32 = 512 * 1024;

// Nobody reaches this by counting; it keeps `counter + 1` from overflowing on hostile artifacts.
const MAX_COUNTER: u64 = 1 << 62;
const EXECUTOR_BYTES: u32 = 32;

/**
 * A version of a key. Its stamp is a Lamport counter (one more than the version that its author
 * saw) and the author's client key. No clock: clocks of replicas disagree.
 */
export class Entry {
  /** Place in the index of live keys; differs between replicas, so it isn't part of the version. */
  position: u32 = 0;

  constructor(
    public key: Bytes,
    public counter: u64,
    public executor: Bytes,
    public live: bool, // false: removed. The trace stays, or an older version could bring the key back.
    public value: Bytes,
  ) {}

  /** The version that `executor` makes of a key after having seen `before`. */
  static next(key: Bytes, before: Entry | null, executor: Bytes, live: bool, value: Bytes): Entry {
    return new Entry(key, before ? before.counter + 1 : 1, executor, live, value);
  }

  /**
   * Whether this version replaces another one of the same key. This is a total order on
   * everything that is in a version, so every replica picks the same winner, in whatever order
   * and however often the versions arrive.
   */
  wins(other: Entry): bool {
    if (this.counter != other.counter) return this.counter > other.counter;
    const byExecutor = compareBytes(this.executor, other.executor);
    if (byExecutor != 0) return byExecutor > 0;
    if (this.live != other.live) return this.live;
    return compareBytes(this.value, other.value) > 0;
  }

  get exhausted(): bool {
    return this.counter >= MAX_COUNTER;
  }

  get size(): i32 {
    return 8 + EXECUTOR_BYTES + 1 + 4 + this.key.length + 4 + this.value.length;
  }

  /** The version: what is hashed and what travels. */
  write(out: Writer): void {
    out.u64(this.counter);
    out.raw(this.executor);
    out.u8(this.live ? 1 : 0);
    out.sized(this.key);
    out.sized(this.value);
  }

  static read(from: Reader): Entry {
    const counter = from.u64();
    const executor = from.raw(EXECUTOR_BYTES);
    const flag = from.u8();
    if (flag > 1) from.failed = true;
    const key = from.sized();
    return new Entry(key, counter, executor, flag == 1, from.sized());
  }

  /** Whether a version that came from outside is one that this application could have made. */
  get valid(): bool {
    if (this.counter == 0 || this.counter > MAX_COUNTER) return false;
    if (this.key.length > MAX_KEY || this.value.length > MAX_VALUE) return false;
    if (!this.live && this.value.length > 0) return false;
    return isUtf8(this.key) && isUtf8(this.value);
  }
}
