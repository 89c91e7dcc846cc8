/** Fields that announce trailers, where a message cannot have any: node:http throws at them when it writes them. */
import assert from 'node:assert/strict';
import { answering, entryFor, fields, HEAD, OK, scriptedUpstream, startEdge, testBoth } from './harness.ts';

const REQUESTS: readonly (readonly [name: string, request: string])[] = [
  ['without a body', `GET /x ${HEAD}Trailer: x-sum\r\n\r\n`],
  ['with a length', `POST /x ${HEAD}Trailer: x-sum\r\nContent-Length: 1\r\n\r\na`],
  ['with an expectation', `POST /x ${HEAD}Expect: 100-continue\r\nTrailer: x-sum\r\nContent-Length: 1\r\n\r\na`],
];

for (const [name, request] of REQUESTS) {
  testBoth(`a request that announces trailers ${name} is served without the announcement`, async (t) => {
    const upstream = await scriptedUpstream(t, answering(OK));
    const edge = await startEdge(t);
    await edge.proxy.table.flip({ entry: entryFor(upstream.port), expectedGeneration: 0 });
    await (await edge.send(request)).sees('ok');
    assert.equal(fields(await upstream.wire(0)).has('trailer'), false);
    await (await edge.send(`GET / ${HEAD}\r\n`)).sees('ok');
  });
}
