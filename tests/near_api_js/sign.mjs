// Signs NEP-413 messages with near-api-js. Reads one JSON list of {key?, account, message, nonce, recipient, callback?}
// from standard input, `nonce` in base64; without `key` (ed25519:…) it makes one. Writes the list of signed messages.
import { KeyPair, KeyPairSigner } from "near-api-js";

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);

const signed = [];
for (const asked of JSON.parse(Buffer.concat(chunks).toString("utf8"))) {
  const pair = asked.key ? KeyPair.fromString(asked.key) : KeyPair.fromRandom("ed25519");
  const payload = {
    message: asked.message,
    nonce: new Uint8Array(Buffer.from(asked.nonce, "base64")),
    recipient: asked.recipient,
    ...(asked.callback === undefined ? {} : { callbackUrl: asked.callback }),
  };
  const made = await new KeyPairSigner(pair).signNep413Message(asked.account, payload);
  signed.push({
    key: pair.toString(),
    account: made.accountId,
    public_key: made.publicKey.toString(),
    signature: typeof made.signature === "string" ? made.signature : Buffer.from(made.signature).toString("base64"),
  });
}
process.stdout.write(JSON.stringify(signed));
