// node-redis as it comes, against a server, or through a proxy, which refuses WATCH.
//
// node --input-type=module - <host:port> server|proxy <rounds> < node_redis.mjs, from the folder
// with node_modules. It prints nothing but what fails.

import assert from "node:assert/strict";
import { createClient, WatchError } from "redis";

const [address, role, rounds] = process.argv.slice(2);
const equal = assert.deepEqual;
const isAbout = (got, whole) => assert(got > whole * 0.98 && got <= whole, `${got} of ${whole}`);

// At once: a library may catch what is thrown here, or go on trying to connect.
function fail(error) {
  console.error(error);
  process.exit(1);
}

async function commands(client) {
  equal(await client.ping(), "PONG");
  equal(await client.set("name", "Derek Moss"), "OK");
  equal(await client.get("name"), "Derek Moss");
  equal(await client.get("nothing"), null);
  equal(await client.set("name", "other", { condition: "NX" }), null);
  equal(await client.set("name", "other", { condition: "XX", GET: true }), "Derek Moss");
  equal(await client.expire("name", 100), 1);
  isAbout(await client.ttl("name"), 100);
  isAbout(await client.pTTL("name"), 100_000);
  equal(await client.ttl("nothing"), -2);
  equal(await client.mSet({ a: "1", b: "\0\r\nÿ" }), "OK");
  equal(await client.mGet(["a", "b", "nothing"]), ["1", "\0\r\nÿ", null]);
  equal(await client.incr("a"), 2);
  equal(await client.incrBy("a", 40), 42);
  equal(await client.append("name", " one"), 9);
  equal(await client.getEx("a", { type: "EX", value: 100 }), "42");
  isAbout(await client.ttl("a"), 100);
  equal(await client.getDel("a"), "42");
  equal(await client.exists(["a", "b"]), 1);
  equal(await client.type("name"), "string");
  await assert.rejects(client.incr("name"), /value is not an integer or out of range/);
  equal(await client.del(["b", "nothing"]), 1);
}

async function pipelines(client) {
  const counted = await client.multi().set("counter", 1).incr("counter").get("counter").exec();
  equal(counted, ["OK", 2, "2"]);
  equal(await client.multi().set("text", "x").append("text", "y").execAsPipeline(), ["OK", 2]);
  const failed = await client.multi().set("text", "x").incr("text").exec().catch((error) => error);
  equal(failed.replies[0], "OK");
  equal(failed.errorIndexes, [1]);
  const keys = Array.from({ length: Number(rounds) }, (_, at) => `key:${at}`);
  // All in one tick: the library sends them together.
  await Promise.all(keys.map((key) => client.set(key, key)));
  equal(await Promise.all(keys.map((key) => client.get(key))), keys);
  const seen = new Set();
  for await (const page of client.scanIterator({ MATCH: "key:*", COUNT: 100 })) {
    page.forEach((key) => seen.add(key));
  }
  equal([...seen].sort(), [...keys].sort());
  equal(await client.del(keys), keys.length);
}

async function transactions(client) {
  await client.set("watched", "1");
  await client.watch("watched");
  equal(await client.multi().incr("watched").exec(), [2]);
  await client.watch("watched");
  await client.set("watched", "10");
  await assert.rejects(client.multi().incr("watched").exec(), WatchError);
  equal(await client.get("watched"), "10");
}

async function watchIsRefused(client) {
  await assert.rejects(client.watch("watched"), /WATCH/);
  await assert.rejects(client.multi().set("after", "y").exec(), /EXECABORT/);
  equal(await client.multi().set("after", "z").get("after").exec(), ["OK", "z"]);
}

for (const options of [{}, { RESP: 2 }, { name: "named" }]) {
  const client = createClient({ url: `redis://${address}`, ...options });
  client.on("error", fail);
  await client.connect();
  await commands(client);
  await pipelines(client);
  await (role === "server" ? transactions : watchIsRefused)(client);
  await (options.RESP === 2 ? client.quit() : client.close());
}
