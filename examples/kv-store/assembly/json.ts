// JSON (RFC 8259), as much as this application needs: named arguments that are all texts on the
// way in, texts and objects on the way out. Texts are UTF-8 bytes throughout.

import { address, Bytes, copy, EMPTY, isUtf8, utf8, Writer } from "./bytes";

const QUOTE: u8 = 0x22;
const BACKSLASH: u8 = 0x5c;
const OPEN: u8 = 0x7b;
const CLOSE: u8 = 0x7d;
const COLON: u8 = 0x3a;
const COMMA: u8 = 0x2c;
const HEX = "0123456789abcdef";

export const NULL: Bytes = utf8("null");

/**
 * The arguments of one call. Strict: exactly the expected names, once each, texts only, nothing
 * before or after. A method without arguments takes `{}`, `null` or no input at all.
 */
export class Arguments {
  /** What is wrong, or empty. */
  error: string = "";
  private values: StaticArray<Bytes>;
  private present: StaticArray<bool>;
  private at: i32 = 0;

  constructor(private bytes: Bytes, private names: StaticArray<string>) {
    this.values = new StaticArray<Bytes>(names.length).fill(EMPTY);
    this.present = new StaticArray<bool>(names.length);
    if (!isUtf8(bytes)) this.error = "the arguments are not UTF-8";
    else if (names.length > 0 || !this.nothing()) this.object();
    if (this.error.length == 0) this.complete();
  }

  /** The text of an argument, by its place in the list of names. */
  text(index: i32): Bytes {
    return this.values[index];
  }

  private complete(): void {
    for (let i = 0; i < this.names.length; i++) {
      if (!unchecked(this.present[i])) return this.refuse('the argument "' + this.names[i] + '" is missing');
    }
  }

  private nothing(): bool {
    if (this.bytes.length == 0) return true;
    return this.bytes.length == 4 && memory.compare(address(this.bytes), address(NULL), 4) == 0;
  }

  private object(): void {
    this.space();
    if (!this.take(OPEN)) return this.refuse("the arguments are not a JSON object");
    this.space();
    if (!this.take(CLOSE)) {
      do {
        this.member();
        if (this.error.length > 0) return;
      } while (this.take(COMMA));
      if (!this.take(CLOSE)) return this.refuse("the arguments are not valid JSON");
    }
    this.space();
    if (this.at != this.bytes.length) this.refuse("there is more after the arguments");
  }

  private member(): void {
    this.space();
    const name = this.string();
    if (!name) return this.refuse("the arguments are not valid JSON");
    const index = this.indexOf(name);
    if (index < 0) return this.refuse("there is an argument that this method doesn't take");
    if (unchecked(this.present[index])) return this.refuse('the argument "' + this.names[index] + '" comes twice');
    this.space();
    if (!this.take(COLON)) return this.refuse("the arguments are not valid JSON");
    this.space();
    const value = this.string();
    if (!value) return this.refuse('the argument "' + this.names[index] + '" is not a valid text');
    this.values[index] = value;
    this.present[index] = true;
    this.space();
  }

  private indexOf(name: Bytes): i32 {
    for (let i = 0; i < this.names.length; i++) {
      const known = utf8(this.names[i]);
      if (known.length == name.length && memory.compare(address(known), address(name), name.length) == 0) return i;
    }
    return -1;
  }

  /** A text without quotes and escapes, or null if there is no valid one here. */
  private string(): Bytes | null {
    if (!this.take(QUOTE)) return null;
    const from = this.at;
    const size = this.bytes.length;
    while (this.at < size && this.peek() != QUOTE && this.peek() != BACKSLASH && this.peek() >= 0x20) this.at++;
    if (this.take(QUOTE)) return copy(address(this.bytes) + from, this.at - 1 - from); // no escapes: the usual case

    const out = new Writer(size - from);
    this.at = from;
    while (this.at < size) {
      const byte = this.peek();
      this.at++;
      if (byte == QUOTE) return out.finish();
      if (byte < 0x20) return null;
      if (byte != BACKSLASH) out.u8(byte);
      else if (!this.escape(out)) return null;
    }
    return null;
  }

  private escape(out: Writer): bool {
    if (this.at >= this.bytes.length) return false;
    const kind = this.peek();
    this.at++;
    switch (kind) {
      case QUOTE: case BACKSLASH: case 0x2f: out.u8(kind); return true;
      case 0x62: out.u8(0x08); return true; // b
      case 0x66: out.u8(0x0c); return true; // f
      case 0x6e: out.u8(0x0a); return true; // n
      case 0x72: out.u8(0x0d); return true; // r
      case 0x74: out.u8(0x09); return true; // t
      case 0x75: return this.unicode(out); // u
      default: return false;
    }
  }

  /** The digits after `\u`; two halves of a surrogate pair make one code point, a lone half is refused. */
  private unicode(out: Writer): bool {
    let code = this.hex();
    if (code < 0 || (code >= 0xdc00 && code < 0xe000)) return false;
    if (code >= 0xd800 && code < 0xdc00) {
      if (!this.take(BACKSLASH) || !this.take(0x75)) return false;
      const low = this.hex();
      if (low < 0xdc00 || low >= 0xe000) return false;
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    if (code < 0x80) {
      out.u8(<u8>code);
    } else if (code < 0x800) {
      out.u8(<u8>(0xc0 | (code >> 6)));
      out.u8(<u8>(0x80 | (code & 0x3f)));
    } else if (code < 0x10000) {
      out.u8(<u8>(0xe0 | (code >> 12)));
      out.u8(<u8>(0x80 | ((code >> 6) & 0x3f)));
      out.u8(<u8>(0x80 | (code & 0x3f)));
    } else {
      out.u8(<u8>(0xf0 | (code >> 18)));
      out.u8(<u8>(0x80 | ((code >> 12) & 0x3f)));
      out.u8(<u8>(0x80 | ((code >> 6) & 0x3f)));
      out.u8(<u8>(0x80 | (code & 0x3f)));
    }
    return true;
  }

  private hex(): i32 {
    if (this.at + 4 > this.bytes.length) return -1;
    let code = 0;
    for (let i = 0; i < 4; i++) {
      const byte = this.peek();
      this.at++;
      const lower = byte | 0x20;
      if (byte >= 0x30 && byte <= 0x39) code = (code << 4) | (byte - 0x30);
      else if (lower >= 0x61 && lower <= 0x66) code = (code << 4) | (lower - 0x57);
      else return -1;
    }
    return code;
  }

  private peek(): u8 {
    return load<u8>(address(this.bytes) + this.at);
  }

  private take(byte: u8): bool {
    if (this.at >= this.bytes.length || this.peek() != byte) return false;
    this.at++;
    return true;
  }

  private space(): void {
    while (this.at < this.bytes.length) {
      const byte = this.peek();
      if (byte != 0x20 && byte != 0x09 && byte != 0x0a && byte != 0x0d) return;
      this.at++;
    }
  }

  private refuse(reason: string): void {
    this.error = reason;
  }
}

/** How long a text gets when it is written with `quote`. */
export function quotedSize(text: Bytes): i32 {
  let size = text.length + 2;
  for (let i = 0; i < text.length; i++) {
    const byte = unchecked(text[i]);
    if (byte == QUOTE || byte == BACKSLASH) size += 1;
    else if (byte < 0x20) size += 5;
  }
  return size;
}

/** Writes a text in quotes; only what must be escaped is. */
export function quote(out: Writer, text: Bytes): void {
  out.u8(QUOTE);
  if (quotedSize(text) == text.length + 2) out.raw(text);
  else escapeAll(out, text);
  out.u8(QUOTE);
}

function escapeAll(out: Writer, text: Bytes): void {
  for (let i = 0; i < text.length; i++) {
    const byte = unchecked(text[i]);
    if (byte < 0x20) {
      out.ascii("\\u00");
      out.u8(<u8>HEX.charCodeAt(byte >> 4));
      out.u8(<u8>HEX.charCodeAt(byte & 15));
    } else {
      if (byte == QUOTE || byte == BACKSLASH) out.u8(BACKSLASH);
      out.u8(byte);
    }
  }
}

/** A text as a JSON value. */
export function quoted(text: Bytes): Bytes {
  const out = new Writer(quotedSize(text));
  quote(out, text);
  return out.finish();
}

/** `{"kind":…,"data":…}`: what a failed method returns. */
export function errorValue(kind: string, data: string): Bytes {
  const out = new Writer(64);
  out.ascii('{"kind":');
  quote(out, utf8(kind));
  out.ascii(',"data":');
  quote(out, utf8(data));
  out.u8(CLOSE);
  return out.finish();
}
