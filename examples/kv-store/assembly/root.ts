// The root of the state: a hash of the *set* of versions that costs the same however many there are.
//
// Each version is stretched to 1024 numbers of 16 bits by SHA-256; the state keeps their sum, number
// by number. Adding and taking away commute, so the order of changes leaves no trace. This is LtHash
// (Bellare and Micciancio 1997; parameters of Lewi and others 2019): plain sums or XORs of short
// hashes would be easy to collide, sums this wide are not.

import { address, Bytes, Writer } from "./bytes";
import { Entry } from "./entry";
import { digest, DIGEST_BYTES, sha256 } from "./sha256";

export const SUM_BYTES: i32 = 2048;

const SEED = memory.data(33, 8); // digest of the version, then the number of the block
const BLOCK = memory.data(32, 8);

export function addTo(sum: Bytes, entry: Entry): void {
  seed(entry);
  for (let i = 0; i < SUM_BYTES; i += DIGEST_BYTES) {
    stretch(i);
    for (let lane = 0; lane < DIGEST_BYTES; lane += 2) {
      const at = address(sum) + i + lane;
      store<u16>(at, load<u16>(at) + load<u16>(BLOCK + lane));
    }
  }
}

export function takeFrom(sum: Bytes, entry: Entry): void {
  seed(entry);
  for (let i = 0; i < SUM_BYTES; i += DIGEST_BYTES) {
    stretch(i);
    for (let lane = 0; lane < DIGEST_BYTES; lane += 2) {
      const at = address(sum) + i + lane;
      store<u16>(at, load<u16>(at) - load<u16>(BLOCK + lane));
    }
  }
}

export function rootOf(sum: Bytes): Bytes {
  return sha256(sum);
}

function seed(entry: Entry): void {
  const out = new Writer(entry.size);
  entry.write(out);
  const version = out.finish();
  digest(address(version), version.length, SEED);
}

function stretch(offset: i32): void {
  store<u8>(SEED + DIGEST_BYTES, <u8>(offset / DIGEST_BYTES));
  digest(SEED, DIGEST_BYTES + 1, BLOCK);
}
