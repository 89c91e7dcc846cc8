/** The rules of h2-rules.ts, each on its own connection to a complete proxy. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { FLAG, FRAME } from '../../../proxy/h2/wire/codes.ts';
import { FieldList, HpackDecoder } from '../../../proxy/h2/wire/hpack-decoder.ts';
import { frame } from '../../../proxy/h2/wire/test-frames.ts';
import { makeCertificate } from '../../harness/certificates.ts';
import { RawClient } from './h2-frames.ts';
import type { Frame } from './h2-frames.ts';
import { RULES } from './h2-rules.ts';
import type { Rule } from './h2-rules.ts';
import { eventually, listen, route, startEdge, temporaryFolder } from './harness.ts';

const PING = frame(FRAME.ping, 0, 0, Buffer.from('the last'));

/** An app that answers only complete requests, and records their heads. */
async function wholeApp(t: TestContext): Promise<{ port: number; heads: string[] }> {
  const heads: string[] = [];
  const server = createServer((req, res) => {
    req.on('error', () => undefined);
    req.resume().on('end', () => {
      const lines = req.rawHeaders.map((text, index) => (index % 2 === 0 ? `${text}: ` : `${text}\n`));
      heads.push(`${req.method} ${req.url}\n${lines.join('')}`);
      res.end('ok');
    });
  });
  const port = await listen(server);
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port, heads };
}

/** Our encoder uses no dynamic table, so each head can be decoded alone. */
function statusOf(head: Frame | undefined): number {
  const list = new FieldList(65_536);
  if (head === undefined) return 0;
  new HpackDecoder().decode(head.payload, 0, head.payload.length, list);
  return Number(list.at(0).value);
}

/** The outcome, in the form of {@link Rule.expected}. */
async function outcomeOf(client: RawClient, { frames, later, stream = 1 }: Rule): Promise<object> {
  const isAnswered = (id: number): boolean =>
    client.frames.some((one) => one.stream === id && one.type <= FRAME.headers && (one.flags & FLAG.endStream) !== 0);
  const isOver = (id: number): boolean => client.ended || isAnswered(id) || client.of(id, FRAME.reset).length > 0;
  client.send(...frames);
  if (later !== undefined) {
    await eventually('the first answer', () => isOver(1));
    client.send(...later);
    if (stream === 1) await eventually('the end', () => client.ended);
  }
  await eventually('an answer, a reset or the end', () => isOver(stream));
  const [goaway] = client.of(0, FRAME.goaway);
  if (client.ended || goaway !== undefined) return { ends: goaway?.payload.readUInt32BE(4) };
  // Other streams continue.
  client.send(PING);
  await client.sees(({ type, flags }) => type === FRAME.ping && flags === FLAG.ack);
  if (isAnswered(stream)) return { answers: statusOf(client.of(stream, FRAME.headers)[0]) };
  return { resets: client.of(stream, FRAME.reset)[0]?.payload.readUInt32BE() };
}

const isRefused = ({ expected }: Rule): boolean =>
  'resets' in expected || ('answers' in expected && expected.answers >= 400);

test('each rule of HTTP/2 is enforced as its RFC requires', async (t) => {
  const folder = await temporaryFolder(t);
  const { cert } = await makeCertificate(folder, 'app.test', ['DNS:app.test']);
  const edge = await startEdge(t, { certificates: folder });
  const app = await wholeApp(t);
  await route(edge, app.port);
  const port = edge.proxy.addresses.find(({ kind }) => kind === 'https')?.port ?? 0;
  for (const rule of RULES) {
    const name = `${rule.section}: ${rule.what}`;
    await t.test(name, async (each) => {
      app.heads.length = 0;
      const client = await RawClient.open(each, { port, cert });
      assert.deepEqual(await outcomeOf(client, rule), rule.expected);
      if (rule.sees !== undefined) assert.match(app.heads.join('\n'), rule.sees);
      // A refused request has never reached the app completely.
      else if (isRefused(rule)) assert.deepEqual(app.heads, []);
    });
  }
});
