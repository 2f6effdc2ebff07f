// Bytes, and reading and writing them in a fixed layout (numbers are little endian).

export type Bytes = StaticArray<u8>;

export const EMPTY: Bytes = new StaticArray<u8>(0);

/** Address of the first byte. */
export function address(bytes: Bytes): usize {
  return changetype<usize>(bytes);
}

/** A copy of `size` bytes at an address. */
export function copy(from: usize, size: i32): Bytes {
  const out = new StaticArray<u8>(size);
  memory.copy(address(out), from, size);
  return out;
}

export function utf8(text: string): Bytes {
  const out = new StaticArray<u8>(String.UTF8.byteLength(text));
  String.UTF8.encodeUnsafe(changetype<usize>(text), text.length, address(out));
  return out;
}

/** Lexicographic order; for UTF-8 this is the order of code points. */
export function compareBytes(a: Bytes, b: Bytes): i32 {
  const order = memory.compare(address(a), address(b), min(a.length, b.length));
  return order != 0 ? order : a.length - b.length;
}

/** Whether these bytes are UTF-8 (RFC 3629: no surrogates, no overlong forms). */
export function isUtf8(bytes: Bytes): bool {
  const size = bytes.length;
  let i = 0;
  while (i < size) {
    const first: u32 = unchecked(bytes[i++]);
    if (first < 0x80) continue;
    let more: i32;
    let least: u32;
    let code: u32;
    if (first >= 0xc2 && first < 0xe0) { more = 1; least = 0x80; code = first & 0x1f; }
    else if (first >= 0xe0 && first < 0xf0) { more = 2; least = 0x800; code = first & 0x0f; }
    else if (first >= 0xf0 && first < 0xf5) { more = 3; least = 0x10000; code = first & 0x07; }
    else return false;
    if (i + more > size) return false;
    while (more-- > 0) {
      const next: u32 = unchecked(bytes[i++]);
      if ((next & 0xc0) != 0x80) return false;
      code = (code << 6) | (next & 0x3f);
    }
    if (code < least || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return false;
  }
  return true;
}

/** Bytes that grow at the end. */
export class Writer {
  private buffer: Bytes;
  size: i32 = 0;

  constructor(capacity: i32) {
    this.buffer = new StaticArray<u8>(max(capacity, 16));
  }

  u8(value: u8): void {
    store<u8>(this.room(1), value);
  }

  u32(value: u32): void {
    store<u32>(this.room(4), value);
  }

  u64(value: u64): void {
    store<u64>(this.room(8), value);
  }

  raw(bytes: Bytes): void {
    memory.copy(this.room(bytes.length), address(bytes), bytes.length);
  }

  /** Length (u32), then the bytes. */
  sized(bytes: Bytes): void {
    this.u32(bytes.length);
    this.raw(bytes);
  }

  ascii(text: string): void {
    const at = this.room(text.length);
    for (let i = 0; i < text.length; i++) store<u8>(at + i, <u8>text.charCodeAt(i));
  }

  finish(): Bytes {
    return this.size == this.buffer.length ? this.buffer : copy(address(this.buffer), this.size);
  }

  /** Makes room for so many bytes and says where they go. */
  private room(bytes: i32): usize {
    const needed = this.size + bytes;
    if (needed > this.buffer.length) {
      const larger = new StaticArray<u8>(max(needed, this.buffer.length * 2));
      memory.copy(address(larger), address(this.buffer), this.size);
      this.buffer = larger;
    }
    const at = address(this.buffer) + this.size;
    this.size = needed;
    return at;
  }
}

/** Reads what a Writer wrote. Past the end it gives zeros and sets `failed`: check that once, at the end. */
export class Reader {
  at: i32 = 0;
  failed: bool = false;

  constructor(private bytes: Bytes) {}

  get done(): bool {
    return !this.failed && this.at == this.bytes.length;
  }

  u8(): u8 {
    const at = this.take(1);
    return this.failed ? 0 : load<u8>(at);
  }

  u32(): u32 {
    const at = this.take(4);
    return this.failed ? 0 : load<u32>(at);
  }

  u64(): u64 {
    const at = this.take(8);
    return this.failed ? 0 : load<u64>(at);
  }

  raw(size: u32): Bytes {
    const at = this.take(size);
    return this.failed ? EMPTY : copy(at, size);
  }

  sized(): Bytes {
    return this.raw(this.u32());
  }

  private take(size: u32): usize {
    if (this.failed || size > <u32>(this.bytes.length - this.at)) {
      this.failed = true;
      return 0;
    }
    const from = address(this.bytes) + this.at;
    this.at += size;
    return from;
  }
}
