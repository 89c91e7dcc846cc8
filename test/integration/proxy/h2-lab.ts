/** An app behind an HTTP/2 front, and fields of almost valid requests. */
import type { TestContext } from 'node:test';
import { GET } from './h2-frames.ts';
import { startHttp2Edge } from './h2-harness.ts';
import type { Http2Edge, Http2Settings } from './h2-harness.ts';
import { answering, entryFor, OK, scriptedUpstream } from './harness.ts';
import type { ScriptedUpstream, Wire } from './harness.ts';

export async function lab(
  t: TestContext,
  onConnection: (wire: Wire) => void = answering(OK),
  settings: Http2Settings = {},
): Promise<{ edge: Http2Edge; app: ScriptedUpstream }> {
  const app = await scriptedUpstream(t, onConnection);
  const edge = await startHttp2Edge(t, settings);
  edge.plane.put(entryFor(app.port));
  return { edge, app };
}

export type Field = readonly [string, string];

export const instead = (name: string, value: string): Field[] =>
  GET.map(([one, was]) => [one, one === name ? value : was]);
