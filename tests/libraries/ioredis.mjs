// ioredis as it comes, against a server, or through a proxy, which refuses WATCH.
//
// node --input-type=module - <host:port> server|proxy <rounds> < ioredis.mjs, from the folder with
// node_modules. It prints nothing but what fails.

import assert from "node:assert/strict";
import { once } from "node:events";
import { Redis } from "ioredis";

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
  equal(await client.getBuffer("name"), Buffer.from("Derek Moss"));
  equal(await client.get("nothing"), null);
  equal(await client.set("name", "other", "NX"), null);
  equal(await client.set("name", "other", "EX", 100, "GET"), "Derek Moss");
  isAbout(await client.ttl("name"), 100);
  equal(await client.expire("name", 50), 1);
  isAbout(await client.pttl("name"), 50_000);
  equal(await client.ttl("nothing"), -2);
  equal(await client.mset({ a: "1", b: "\0\r\nÿ" }), "OK");
  equal(await client.mget("a", "b", "nothing"), ["1", "\0\r\nÿ", null]);
  equal(await client.incr("a"), 2);
  equal(await client.append("name", " one"), 9);
  equal(await client.getex("a", "EX", 100), "2");
  isAbout(await client.ttl("a"), 100);
  equal(await client.getdel("a"), "2");
  equal(await client.exists("a", "b"), 1);
  await assert.rejects(client.incr("name"), /value is not an integer or out of range/);
  equal(await client.del("b", "nothing"), 1);
}

async function pipelines(client) {
  const counted = await client.multi().set("counter", 1).incr("counter").get("counter").exec();
  equal(counted, [[null, "OK"], [null, 2], [null, "2"]]);
  const keys = Array.from({ length: Number(rounds) }, (_, at) => `key:${at}`);
  const pipeline = client.pipeline();
  keys.forEach((key) => pipeline.set(key, key).get(key));
  equal(await pipeline.exec(), keys.flatMap((key) => [[null, "OK"], [null, key]]));
  const failed = await client.pipeline().set("text", "x").incr("text").get("text").exec();
  equal(failed[1][0].name, "ReplyError");
  equal(failed[2], [null, "x"]);
  const seen = new Set();
  for await (const page of client.scanStream({ match: "key:*", count: 100 })) {
    page.forEach((key) => seen.add(key));
  }
  equal([...seen].sort(), [...keys].sort());
  equal(await client.del(keys), keys.length);
}

async function transactions(client) {
  await client.set("watched", "1");
  await client.watch("watched");
  equal(await client.multi().incr("watched").exec(), [[null, 2]]);
  await client.watch("watched");
  await client.set("watched", "10");
  equal(await client.multi().incr("watched").exec(), null);
  equal(await client.get("watched"), "10");
}

async function watchIsRefused(client) {
  await assert.rejects(client.watch("watched"), /WATCH/);
  await assert.rejects(client.multi().set("after", "y").exec(), /EXECABORT/);
  equal(await client.multi().set("after", "z").get("after").exec(), [[null, "OK"], [null, "z"]]);
}

const settings = [{}, { protocol: 2 }, { enableAutoPipelining: true, connectionName: "named" }];
for (const options of settings) {
  const client = new Redis(`redis://${address}`, options);
  client.on("error", fail);
  await commands(client);
  await pipelines(client);
  await (role === "server" ? transactions : watchIsRefused)(client);
  const ended = once(client, "end");
  equal(await client.quit(), "OK");
  await ended;
}
